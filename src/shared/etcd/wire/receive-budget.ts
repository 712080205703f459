/**
 * Limits the bytes that all remote etcds together have sent and that are not processed yet.
 *
 * A message is received completely before it is decoded, and a server decides how large it is and how long it takes. The
 * library reports a message only when it is complete; received bytes are therefore counted at the sockets, and
 * processed bytes are subtracted. Bytes of cancelled calls count until the connection is replaced.
 */
import { MAX_RECEIVED_BYTES, RECEIVED_BYTES_CHECK_MS } from '../../limits.ts';
import { ReceiveBudgetError } from '../errors.ts';

/** A connection whose bytes count. */
export interface Receiver {
  /** Of the etcd at its other end, for the message of the error. */
  readonly name: string;
  /** Bytes received and not processed yet. */
  readonly heldBytes: number;
  /** Drops the connection and the bytes it holds. Everything in flight fails with `error`. */
  refuse(error: ReceiveBudgetError): void;
}

export class ReceiveBudget {
  readonly #maxBytes: number;
  readonly #receivers = new Set<Receiver>();
  #timer: NodeJS.Timeout | undefined;

  constructor(maxBytes = MAX_RECEIVED_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Counts `receiver` in; returns a function that counts it out. */
  add(receiver: Receiver): () => void {
    this.#receivers.add(receiver);
    this.#timer ??= setInterval(() => this.check(), RECEIVED_BYTES_CHECK_MS).unref();
    return () => {
      this.#receivers.delete(receiver);
      if (this.#receivers.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  /** Drops the connections that hold most, until the others fit. Called every RECEIVED_BYTES_CHECK_MS. */
  check(): void {
    // Of hundreds of connections, many times a second: without garbage unless there is something to do.
    let total = 0;
    for (const { heldBytes } of this.#receivers) total += heldBytes;
    if (total <= this.#maxBytes) return;
    const held = Array.from(this.#receivers, (receiver) => ({ receiver, bytes: receiver.heldBytes }));
    for (const { receiver, bytes } of held.sort((a, b) => b.bytes - a.bytes)) {
      if (total <= this.#maxBytes) return;
      total -= bytes;
      receiver.refuse(new ReceiveBudgetError(receiver.name, bytes, this.#maxBytes));
    }
  }
}

/** What a client may receive. */
export interface ReceiveLimits {
  /** Of one message. */
  readonly maxMessageBytes: number;
  readonly budget: ReceiveBudget;
}
