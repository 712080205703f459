/**
 * The body of an answer: chunks as they are consumed, under the eyes of a watchdog.
 *
 * Nothing is read ahead of the consumer: while it works on a chunk the socket fills up and the server
 * waits.
 */
import type { IncomingMessage } from 'node:http';
import { asError, ProgramError } from '../../errors.ts';
import { KubeUnreachableError } from '../errors.ts';
import type { SilenceWatchdog } from './silence.ts';

export class KubeBody {
  readonly #answer: IncomingMessage;
  readonly #watchdog: SilenceWatchdog;
  readonly #what: string;
  /** The clock of the server when it answered, milliseconds since 1970, cut to seconds; undefined where it sent none. */
  readonly serverTimeMs: number | undefined;

  constructor(answer: IncomingMessage, watchdog: SilenceWatchdog, what: string) {
    const timeMs = Date.parse(answer.headers.date ?? '');
    this.serverTimeMs = Number.isNaN(timeMs) ? undefined : timeMs;
    this.#answer = answer;
    this.#watchdog = watchdog;
    this.#what = what;
  }

  /** Every chunk until the end. Throws a KubeError where the connection breaks, or the signal's reason. */
  async *chunks(): AsyncGenerator<Buffer, void, void> {
    try {
      for await (const chunk of this.#answer) {
        yield chunk as Buffer;
        this.#watchdog.heard();
      }
    } catch (thrown) {
      throw explain(thrown, this.#watchdog.signal, this.#what);
    }
  }

  /** The text of a small body; a longer one is cut. Throws like `chunks`. */
  async text(limitBytes: number): Promise<string> {
    const pieces: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of this.chunks()) {
      pieces.push(chunk);
      sizeBytes += chunk.length;
      if (sizeBytes > limitBytes) break;
    }
    return Buffer.concat(pieces).toString();
  }

  /** From now on `limitMs` of silence are normal. */
  allowSilence(limitMs: number): void {
    this.#watchdog.allow(limitMs);
  }

  /** Frees the socket: for the next request where the body was read to its end, else by closing it. Idempotent. */
  close(): void {
    this.#watchdog.dispose();
  }
}

/** The error of a failed request: an error of this program unchanged, the reason of its signal, or a broken connection. */
export function explain(thrown: unknown, signal: AbortSignal, what: string): Error {
  if (thrown instanceof ProgramError) return thrown;
  if (signal.aborted) return signal.reason as Error;
  const error = asError(thrown);
  return new KubeUnreachableError(`${what}: ${causeText(error)}`, { cause: error });
}

/** The innermost cause has the best text: `ECONNREFUSED`, `CERT_HAS_EXPIRED`. Several addresses fail with an AggregateError without a text. */
function causeText(error: Error): string {
  const inner = error.cause instanceof Error ? error.cause : error;
  const code = 'code' in inner && typeof inner.code === 'string' ? inner.code : '';
  return [code, inner.message].filter((part) => part !== '').join(': ') || inner.name;
}
