/**
 * A WebSocket to an API server, on a connection that was upgraded for it.
 *
 * Node's WebSocket hides the response to a refused handshake, which has the cause, and has no backpressure.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { asError } from '../../errors.ts';
import { onAbort } from '../../time/abort.ts';
import { KubeDecodeError, KubeUnreachableError } from '../errors.ts';
import { encodeFrame, FrameReader, MAX_MESSAGE_BYTES, OPCODE } from './frames.ts';

/** RFC 6455, section 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const NORMAL_CLOSURE = 1000;

export interface Handshake {
  readonly headers: Readonly<Record<string, string>>;
  /** Of the header `sec-websocket-accept` in the response. */
  readonly accept: string;
}

/** `protocols`: the preferred one first. */
export function handshake(protocols: readonly string[]): Handshake {
  const key = randomBytes(16).toString('base64');
  return {
    headers: {
      'sec-websocket-key': key,
      'sec-websocket-version': '13',
      'sec-websocket-protocol': protocols.join(', '),
    },
    accept: createHash('sha1').update(`${key}${ACCEPT_SUFFIX}`).digest('base64'),
  };
}

export class WebSocket {
  /** What the server chose of the protocols. */
  readonly protocol: string;
  readonly #socket: Duplex;
  readonly #what: string;
  readonly #signal: AbortSignal;
  readonly #unlink: () => void;
  #isClosing = false;

  /** Owns `socket`, which `signal` closes. `what` is for errors. */
  constructor(socket: Duplex, protocol: string, what: string, signal: AbortSignal) {
    this.protocol = protocol;
    this.#socket = socket;
    this.#what = what;
    this.#signal = signal;
    // The reader of the messages receives the error.
    socket.on('error', () => undefined);
    this.#unlink = onAbort(signal, () => socket.destroy());
    socket.once('close', this.#unlink);
  }

  /**
   * The messages until the server or `close` ends them, or the connection. At most one is in memory. Throws KubeUnreachableError,
   * KubeDecodeError, or the reason of the signal.
   */
  async *messages(): AsyncGenerator<Buffer, void, void> {
    const reader = new FrameReader();
    let parts: Buffer[] = [];
    try {
      for await (const chunk of this.#socket) {
        for (const { opcode, isFinal, payload } of reader.push(chunk as Buffer)) {
          if (opcode === OPCODE.close) return;
          if (opcode === OPCODE.ping) await this.#write(OPCODE.pong, payload);
          if (opcode > OPCODE.binary) continue;
          parts = this.#added(parts, payload);
          if (!isFinal) continue;
          const message = Buffer.concat(parts);
          parts = [];
          yield message;
        }
      }
    } catch (thrown) {
      if (this.#isClosing && !this.#signal.aborted) return;
      throw this.#explained(thrown);
    } finally {
      this.close();
    }
    // A destroyed socket may end its chunks without an error.
    if (this.#signal.aborted) throw this.#signal.reason as Error;
  }

  /** Resolves when the kernel takes more. Throws like `messages`. */
  async send(message: Buffer): Promise<void> {
    await this.#write(OPCODE.binary, message);
  }

  /** Ends both directions. Idempotent. */
  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#unlink();
    const status = Buffer.alloc(2);
    status.writeUInt16BE(NORMAL_CLOSURE);
    if (this.#socket.writable) this.#socket.end(encodeFrame(OPCODE.close, status), () => this.#socket.destroy());
    else this.#socket.destroy();
  }

  async #write(opcode: number, payload: Buffer): Promise<void> {
    if (!this.#socket.writable) throw this.#explained(new Error('the connection is closed'));
    if (this.#socket.write(encodeFrame(opcode, payload))) return;
    const done = new AbortController();
    const closed = new Promise<void>((resolve) => {
      this.#socket.once('close', resolve);
      done.signal.addEventListener('abort', () => this.#socket.off('close', resolve), { once: true });
    });
    await Promise.race([once(this.#socket, 'drain', { signal: done.signal }).catch(() => undefined), closed]);
    done.abort();
  }

  #added(parts: Buffer[], payload: Buffer): Buffer[] {
    const sizeBytes = parts.reduce((sum, { length }) => sum + length, payload.length);
    if (sizeBytes > MAX_MESSAGE_BYTES) throw new KubeDecodeError(`WebSocket: a message of more than ${MAX_MESSAGE_BYTES} bytes`);
    return [...parts, payload];
  }

  #explained(thrown: unknown): Error {
    if (this.#signal.aborted) return this.#signal.reason as Error;
    if (thrown instanceof KubeDecodeError) return thrown;
    return new KubeUnreachableError(`${this.#what}: ${asError(thrown).message}`, { cause: thrown });
  }
}
