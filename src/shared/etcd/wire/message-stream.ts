/**
 * A bidirectional stream that holds one message at a time.
 *
 * The library reads ahead up to 16 messages, and one message of a watch may have hundreds of megabytes. Here
 * a message is accepted only on request; until then flow control stops the server.
 */
import {
  type Client,
  type ClientDuplexStream,
  InterceptingCall,
  type Interceptor,
  type Metadata,
  type ServiceError,
} from '@grpc/grpc-js';

interface Waiter {
  resolve(message: Buffer | undefined): void;
  reject(error: ServiceError): void;
}

const identity = (bytes: Buffer): Buffer => bytes;

export class MessageStream {
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  /** Accepts the message that was received and not requested yet. */
  #held: (() => void) | undefined;
  #waiter: Waiter | undefined;
  #isWanted = false;
  readonly #onSettled: (messageBytes: number) => void;
  /** Bytes of the messages that were handed over and are still in use. */
  readonly #usedBytes: number[] = [];
  #ended: { readonly error: ServiceError | undefined } | undefined;

  /** `onSettled` is called for each message once it is no longer in use. */
  constructor(client: Client, path: string, metadata: Metadata, onSettled: (messageBytes: number) => void) {
    this.#onSettled = onSettled;
    const gate: Interceptor = (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start: (sent, _listener, next) =>
          next(sent, { onReceiveMessage: (message, pass) => this.#received(() => pass(message)) }),
      });
    this.#call = client.makeBidiStreamRequest(path, identity, identity, metadata, { interceptors: [gate] });
    this.#call.on('data', (message: Buffer) => {
      this.#usedBytes.push(message.length);
      this.#settle((waiter) => waiter.resolve(message));
    });
    this.#call.on('end', () => this.#end(undefined));
    this.#call.on('error', (error: ServiceError) => this.#end(error));
  }

  send(message: Buffer): void {
    if (this.#ended === undefined) this.#call.write(message);
  }

  /**
   * The next message, undefined when the server ended the stream. Rejects with the status. Await it before the next call.
   * Earlier messages are no longer in use, unless `keepsLast` is set.
   */
  next({ keepsLast = false } = {}): Promise<Buffer | undefined> {
    if (!keepsLast) this.#letGo();
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        if (this.#ended.error === undefined) resolve(undefined);
        else reject(this.#ended.error);
        return;
      }
      this.#waiter = { resolve, reject };
      this.#isWanted = true;
      this.#letThrough();
    });
  }

  /** Ends the stream; a pending `next` rejects. Idempotent. */
  cancel(): void {
    this.#letGo();
    this.#call.cancel();
    // The end is reported after everything that was received before it.
    this.#isWanted = true;
    this.#letThrough();
  }

  #letGo(): void {
    for (const bytes of this.#usedBytes.splice(0)) this.#onSettled(bytes);
  }

  #received(pass: () => void): void {
    this.#held = pass;
    this.#letThrough();
  }

  #letThrough(): void {
    const pass = this.#held;
    if (pass === undefined || !this.#isWanted) return;
    this.#held = undefined;
    this.#isWanted = false;
    pass();
  }

  #end(error: ServiceError | undefined): void {
    this.#ended ??= { error };
    this.#settle((waiter) => (error === undefined ? waiter.resolve(undefined) : waiter.reject(error)));
  }

  #settle(tell: (waiter: Waiter) => void): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter !== undefined) tell(waiter);
  }
}
