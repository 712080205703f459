/**
 * Server-sent events: a response that goes on while its client reads.
 *
 * A reader is asked for what is new since it was asked last, and only while the client has taken all of the previous
 * answer. So a slow client skips states instead of filling a queue, and one that takes nothing for long is cut off.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { HTTP_ANSWER_TIMEOUT_MS } from '../limits.ts';
import { LinkedAbort } from '../time/abort.ts';
import type { Clock } from '../time/clock.ts';

export interface EventReader {
  /** The events since the last call, as `eventText` writes them; empty if there are none. */
  read(): Promise<string>;
}

export interface EventStreamOptions {
  /** A reader for one client, by the query of its request. */
  readonly open: (query: URLSearchParams) => EventReader;
  readonly maxStreams: number;
  /** Between two calls of a reader. */
  readonly intervalMs: number;
  /** After so long without events the client receives an event `beat`, by which it sees that the server is there. */
  readonly beatMs: number;
  readonly clock: Clock;
}

const HEAD = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // A proxy in between is not to collect events.
  'x-accel-buffering': 'no',
};

/** One event with `data` as JSON, which has no line breaks. */
export function eventText(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

export class EventStreams {
  readonly #options: EventStreamOptions;
  #open = 0;

  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  /** Another client would be one too many. */
  get isFull(): boolean {
    return this.#open >= this.#options.maxStreams;
  }

  /** Resolves when the client is gone, or when the signal is aborted; the response is ended then. Never rejects. */
  async serve(response: ServerResponse, query: URLSearchParams, signal: AbortSignal): Promise<void> {
    this.#open += 1;
    const ended = new LinkedAbort(signal);
    response.once('close', () => ended.abort());
    response.once('error', () => ended.abort());
    try {
      response.writeHead(200, HEAD);
      response.flushHeaders();
      await this.#feed(response, this.#options.open(query), ended.signal);
    } catch {
      // Aborted, or too slow.
    } finally {
      this.#open -= 1;
      ended.abort();
      response.end();
      response.destroy();
    }
  }

  async #feed(response: ServerResponse, reader: EventReader, signal: AbortSignal): Promise<never> {
    const { clock, intervalMs, beatMs } = this.#options;
    let writtenMs = Number.NEGATIVE_INFINITY;
    for (;;) {
      const news = await reader.read();
      signal.throwIfAborted();
      const isSilent = clock.monotonicMs() - writtenMs >= beatMs;
      const text = news === '' && isSilent ? eventText('beat', { now: clock.nowMs() }) : news;
      if (text !== '') {
        writtenMs = clock.monotonicMs();
        if (!response.write(text)) await drained(response, signal);
      }
      await clock.sleep(intervalMs, signal);
    }
  }
}

/** Resolves when everything is taken; rejects where that takes too long, or with the signal's reason. */
async function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  await once(response, 'drain', { signal: AbortSignal.any([signal, AbortSignal.timeout(HTTP_ANSWER_TIMEOUT_MS)]) });
}
