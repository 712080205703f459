/** Calls of etcd's API over node:http2 that read of an answer only what a simulated agent needs: it keeps no keys. */
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2';
import { type EtcdKey, prefixEnd, type Revision } from '../../src/shared/etcd/types.ts';
import { decodeWatch } from '../../src/shared/etcd/wire/codec.ts';
import { frameOf } from '../../src/shared/etcd/wire/grpc-frames.ts';
import { encodeWatchCreate } from '../../src/shared/etcd/wire/messages.ts';
import { encodeRange, RANGE, WATCH } from '../../src/shared/etcd/wire/methods.ts';
import { WireReader } from '../../src/shared/etcd/wire/reader.ts';

const PREFIX_BYTES = 5;
/** Of agents. */
const PAGE = 256;

const HEADERS = {
  [constants.HTTP2_HEADER_METHOD]: 'POST',
  [constants.HTTP2_HEADER_SCHEME]: 'http',
  [constants.HTTP2_HEADER_TE]: 'trailers',
  [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
  'user-agent': 'grpc-go/1.70.0',
};

/** What a list read. */
export interface Listed {
  readonly keys: number;
  readonly bytes: number;
  readonly revision: number;
}

/** Reads everything below `prefix` in pages of one revision. Rejects if the connection ends. */
export async function list(session: ClientHttp2Session, prefix: EtcdKey): Promise<Listed> {
  const end = prefixEnd(prefix) as EtcdKey;
  let [key, keys, bytes, revision]: [EtcdKey, number, number, number] = [prefix, 0, 0, 0];
  for (;;) {
    const request = encodeRange({ key, end, limit: PAGE, revision: revision as Revision });
    const page = skimRange(await unary(session, RANGE.path, request));
    keys += page.keys;
    bytes += page.bytes;
    if (revision === 0) revision = page.revision;
    if (!page.more || page.keys === 0) return { keys, bytes, revision };
    key = `${page.lastKey}\0` as EtcdKey;
  }
}

/** Whether the key exists. */
export async function exists(session: ClientHttp2Session, key: EtcdKey): Promise<boolean> {
  return skimRange(await unary(session, RANGE.path, encodeRange({ key }))).keys > 0;
}

function unary(session: ClientHttp2Session, path: string, message: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ...HEADERS, [constants.HTTP2_HEADER_PATH]: path });
    const chunks: Buffer[] = [];
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
    });
    stream.once('error', reject);
    stream.once('close', () => {
      if (bytes < PREFIX_BYTES) reject(new Error(`${path}: no answer`));
      else resolve((chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, bytes)).subarray(PREFIX_BYTES));
    });
    stream.end(frameOf(message));
  });
}

interface Page {
  readonly keys: number;
  readonly bytes: number;
  readonly lastKey: string;
  readonly more: boolean;
  readonly revision: number;
}

function skimRange(message: Buffer): Page {
  const reader = new WireReader(message);
  let [keys, more, revision, last] = [0, false, 0, 0];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x12) {
      keys += 1;
      last = reader.position;
      reader.skip(tag);
    } else if (tag === 0x0a) revision = revisionOf(reader.bytes());
    else if (tag === 0x18) more = reader.bool();
    else reader.skip(tag);
  }
  return { keys, bytes: message.length, lastKey: keys === 0 ? '' : keyAt(message, last), more, revision };
}

function revisionOf(header: Buffer): number {
  const reader = new WireReader(header);
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x18) return reader.revision();
    reader.skip(tag);
  }
  return 0;
}

function keyAt(message: Buffer, position: number): string {
  const reader = new WireReader(message, position);
  const keyValue = new WireReader(reader.bytes());
  while (!keyValue.done) {
    const tag = keyValue.tag();
    if (tag === 0x0a) return keyValue.latin1();
    keyValue.skip(tag);
  }
  return '';
}

export interface WatchListener {
  created(): void;
  events(count: number, message: Buffer): void;
  /** The server ended one watch: its history is gone, or it has another reason. */
  canceled(reason: string): void;
  /** The stream ended. */
  ended(): void;
}

/** What is watched, and from which revision on it has to be watched again. */
export interface WatchPosition {
  readonly prefix: EtcdKey;
  readonly startRevision: number;
}

/** All watches of a client, on one stream as those of etcd's Go client. */
export class WatchStream {
  readonly #stream: ClientHttp2Stream;
  /** By the ID of the watch. */
  readonly #positions = new Map<number, WatchPosition>();
  #received: Buffer = Buffer.alloc(0);

  constructor(session: ClientHttp2Session, listener: WatchListener) {
    this.#stream = session.request({ ...HEADERS, [constants.HTTP2_HEADER_PATH]: WATCH.path, hasleader: 'true' });
    this.#stream.on('error', () => undefined);
    this.#stream.once('close', () => listener.ended());
    this.#stream.on('data', (chunk: Buffer) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
      for (;;) {
        if (this.#received.length < PREFIX_BYTES) return;
        const end = PREFIX_BYTES + this.#received.readUInt32BE(1);
        if (this.#received.length < end) return;
        const message = this.#received.subarray(PREFIX_BYTES, end);
        this.#received = this.#received.length === end ? Buffer.alloc(0) : this.#received.subarray(end);
        const answer = decodeWatch(message);
        if (answer.created) listener.created();
        if (answer.canceled) listener.canceled(answer.cancelReason);
        if (answer.events.count === 0) continue;
        listener.events(answer.events.count, message);
        const watched = this.#positions.get(answer.watchId);
        if (watched !== undefined) this.#positions.set(answer.watchId, { ...watched, startRevision: answer.header.revision + 1 });
      }
    });
  }

  get positions(): readonly WatchPosition[] {
    return [...this.#positions.values()];
  }

  /** Watches everything below the prefix from the revision on. */
  create({ prefix, startRevision }: WatchPosition): void {
    const watchId = this.#positions.size + 1;
    this.#positions.set(watchId, { prefix, startRevision });
    this.#stream.write(
      frameOf(encodeWatchCreate({ key: prefix, end: prefixEnd(prefix), startRevision, deletesOnly: false, watchId })),
    );
  }
}
