/**
 * Between a client and an etcd: a member that hangs and resumes.
 *
 * What a client has sent when it hangs reaches etcd when it resumes, although the client has given up and left. That the client gave up
 * is not passed on: a member may read the request before it reads the cancellation, and then carries it out.
 */
import { once } from 'node:events';
import { createServer, connect as dial, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { until } from '../until.ts';

const FRAME_HEADER_BYTES = 9;
/** Types of HTTP/2 frames. */
const [HEADERS, RST_STREAM, GOAWAY] = [1, 3, 7];
const FLAG_END_STREAM = 1;

export class HangingMember {
  readonly endpoint: string;
  readonly #links: readonly HeldLink[];
  readonly #isHanging: { now: boolean };

  private constructor(port: number, links: readonly HeldLink[], isHanging: { now: boolean }) {
    this.endpoint = `http://127.0.0.1:${port}`;
    this.#links = links;
    this.#isHanging = isHanging;
  }

  /** In front of the etcd at `port`, until the test has finished. */
  static async start(port: number): Promise<HangingMember> {
    const links: HeldLink[] = [];
    const isHanging = { now: false };
    const listener = createServer((client) => {
      if (isHanging.now) client.destroy();
      else links.push(new HeldLink(client, dial({ port, host: '127.0.0.1' })));
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    onTestFinished(() => {
      for (const link of links) link.end();
      listener.close();
    });
    return new HangingMember((listener.address() as { readonly port: number }).port, links, isHanging);
  }

  /** From now on nothing is passed on, and new connections end. */
  hang(): void {
    this.#isHanging.now = true;
    for (const link of this.#links) link.hold();
  }

  /** Resolves when it has received `text`, so many times. */
  async received(text: string, times = 1): Promise<void> {
    const count = () => this.#links.reduce((sum, { held }) => sum + held.toString('latin1').split(text).length - 1, 0);
    await until(`${text} is received`, () => count() >= times);
  }

  /** Clients lose their connections, and new ones are accepted; what was received is still held. */
  accept(): void {
    this.#isHanging.now = false;
    for (const link of this.#links) link.leave();
  }

  /** Everything that was received is executed, in the order in which it came. Resolves when etcd has answered it. */
  async resume(): Promise<void> {
    this.accept();
    for (const link of this.#links) await link.deliver();
  }
}

class HeldLink {
  held: Buffer = Buffer.alloc(0);
  readonly #client: Socket;
  readonly #server: Socket;
  #isHeld = false;
  #answers = 0;

  constructor(client: Socket, server: Socket) {
    this.#client = client;
    this.#server = server;
    for (const socket of [client, server]) socket.setNoDelay(true).on('error', () => undefined);
    client.on('data', (chunk: Buffer) => {
      if (this.#isHeld) this.held = Buffer.concat([this.held, chunk]);
      else server.write(chunk);
    });
    server.on('data', (chunk: Buffer) => {
      if (!this.#isHeld) client.write(chunk);
      else this.#answers += [...framesOf(chunk)].filter(isEnd).length;
    });
    client.on('close', () => {
      if (!this.#isHeld) server.destroy();
    });
    server.on('close', () => client.destroy());
  }

  hold(): void {
    this.#isHeld = true;
  }

  /** The client's side of a held connection ends. */
  leave(): void {
    if (this.#isHeld) this.#client.destroy();
  }

  async deliver(): Promise<void> {
    const frames = [...framesOf(this.held)].filter(({ type }) => type !== RST_STREAM && type !== GOAWAY);
    this.held = Buffer.alloc(0);
    const requests = frames.filter(({ type }) => type === HEADERS).length;
    this.#answers = 0;
    for (const { bytes } of frames) this.#server.write(bytes);
    await until('etcd has answered what was held', () => this.#answers >= requests);
  }

  end(): void {
    this.#client.destroy();
    this.#server.destroy();
  }
}

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly bytes: Buffer;
}

/** The whole frames of `bytes`, which begin with one. */
function* framesOf(bytes: Buffer): Generator<Frame> {
  let at = 0;
  while (bytes.length - at >= FRAME_HEADER_BYTES) {
    const end = at + FRAME_HEADER_BYTES + bytes.readUIntBE(at, 3);
    if (end > bytes.length) return;
    yield { type: bytes[at + 3] ?? 0, flags: bytes[at + 4] ?? 0, bytes: bytes.subarray(at, end) };
    at = end;
  }
}

const isEnd = ({ type, flags }: Frame) => type === HEADERS && (flags & FLAG_END_STREAM) !== 0;
