/**
 * A watch that survives its connections.
 *
 * Each connection is a session: a watch that starts after the last delivered event. Before its first
 * event a range at that revision proves that the store still has it. A store that was emptied or restored
 * has not reached that revision. A store that was compacted at exactly the next revision accepts the watch,
 * although older releases of etcd have lost the deletions of that revision.
 */

import { setImmediate as turn } from 'node:timers/promises';
import { asError, errorCode } from '../../errors.ts';
import {
  ETCD_BACKOFF_MAX_MS,
  ETCD_BACKOFF_MIN_MS,
  ETCD_CALL_TIMEOUT_MS,
  EVENTS_PER_SLICE,
  MIN_FRAGMENT_BYTES,
} from '../../limits.ts';
import type { Logger } from '../../process/log.ts';
import { ENDED } from '../../time/abort.ts';
import { Backoff } from '../../time/backoff.ts';
import type { Clock } from '../../time/clock.ts';
import type { EndpointChannel } from '../connection/channel.ts';
import type { Transport } from '../connection/transport.ts';
import {
  ClusterChangedError,
  CompactedError,
  DeadlineError,
  EtcdError,
  errorOfCancelReason,
  FutureRevisionError,
  ResponseTooLargeError,
  UnavailableError,
} from '../errors.ts';
import type { EtcdObserver } from '../observer.ts';
import { type EtcdKey, keyText, NO_REVISION, type WatchBatch, type WatchEvent, type WatchOptions } from '../types.ts';
import type { ClusterPin } from '../wire/cluster-pin.ts';
import { decodeRange, type EncodedEvents, readEvents, type WatchAnswer } from '../wire/codec.ts';
import { encodeRange, encodeWatch, firstBelow, RANGE, WATCH } from '../wire/methods.ts';
import { WatchCursor } from './watch-cursor.ts';
import type { WatchStreams, WatchSubscription } from './watch-streams.ts';

export interface WatchParts {
  readonly transport: Transport;
  readonly streams: WatchStreams;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: EtcdObserver | undefined;
}

/** See `EtcdClient.watch`. */
export async function* watchPrefix(parts: WatchParts, prefix: EtcdKey, options: WatchOptions): AsyncGenerator<WatchBatch, void> {
  const { transport } = parts;
  const { signal } = options;
  const log = parts.log.child({ prefix: keyText(prefix) });
  const backoff = new Backoff({ minMs: ETCD_BACKOFF_MIN_MS, maxMs: ETCD_BACKOFF_MAX_MS });
  const cursor = new WatchCursor(options.from);
  const { pin } = transport;
  let trouble: string | undefined;
  let isAlone = false;
  while (!signal.aborted && !transport.isClosed) {
    const session = new WatchSession(parts, prefix, options, cursor, pin);
    try {
      await session.begin(isAlone);
      for await (const batch of session.batches()) {
        if (trouble !== undefined) log.info({ revision: cursor.delivered }, 'watch resumed');
        trouble = undefined;
        backoff.reset();
        yield batch;
      }
      if (session.retired === undefined) throw new UnavailableError('the server ended the watch');
    } catch (thrown) {
      if (signal.aborted || transport.isClosed) return;
      const error = asError(thrown);
      const last = lastBatch(error);
      if (last !== undefined) {
        yield last;
        return;
      }
      session.failed(error);
      if (session.retired === undefined) {
        // What concerns the connection is logged once for all of its users.
        const isOwn = !(error instanceof EtcdError && error.concernsConnection);
        const code = errorCode(error);
        if (isOwn && trouble !== code) log.warn({ code, reason: error.message }, 'watch interrupted');
        if (isOwn) trouble = code;
        session.close();
        // Do not retry immediately with a server that accepts watches only to end them.
        if (session.hasLasted) backoff.reset();
        await transport.pause(backoff, signal).catch(() => undefined);
      }
    } finally {
      isAlone = session.retired === 'alone';
      session.close();
    }
  }
}

/** What ends a watch for good. */
function lastBatch(error: Error): WatchBatch | undefined {
  if (error instanceof CompactedError) return { kind: 'compacted', compactRevision: error.oldestLeft ?? NO_REVISION };
  // A backlog that exceeds one message can never be received; a list can.
  if (error instanceof ResponseTooLargeError) return { kind: 'compacted', compactRevision: NO_REVISION };
  if (error instanceof ClusterChangedError || error instanceof FutureRevisionError) {
    return { kind: 'replaced', reason: error.message };
  }
  return undefined;
}

/** One subscription of a watch. */
class WatchSession {
  readonly #parts: WatchParts;
  readonly #prefix: EtcdKey;
  readonly #options: WatchOptions;
  readonly #cursor: WatchCursor;
  readonly #pin: ClusterPin;
  readonly #onAbort = () => this.#subscription?.close();
  readonly #startMs: number;
  #subscription: WatchSubscription | undefined;
  #retired: 'connection' | 'alone' | undefined;

  constructor(parts: WatchParts, prefix: EtcdKey, options: WatchOptions, cursor: WatchCursor, pin: ClusterPin) {
    this.#parts = parts;
    this.#prefix = prefix;
    this.#options = options;
    this.#cursor = cursor;
    this.#pin = pin;
    this.#startMs = parts.clock.monotonicMs();
  }

  get hasLasted(): boolean {
    return this.#parts.clock.monotonicMs() - this.#startMs >= ETCD_CALL_TIMEOUT_MS;
  }

  /** It was ended because the connection is replaced by another one, or because it is to have a stream of its own. */
  get retired(): 'connection' | 'alone' | undefined {
    return this.#retired;
  }

  /** Resolves when the server watches and still has what is to be resumed from. */
  async begin(alone: boolean): Promise<void> {
    const { signal, deletesOnly = false, exact = false } = this.#options;
    await this.#parts.transport.ready(signal);
    signal.throwIfAborted();
    this.#subscription = this.#parts.streams.subscribe({
      request: (watchId) => encodeWatch(this.#prefix, { start: this.#cursor.start, deletesOnly, exact, watchId }),
      alone,
      onRetire: (reason) => {
        this.#retired = reason;
      },
    });
    signal.addEventListener('abort', this.#onAbort, { once: true });
    await this.#created(this.#subscription);
    await this.#verify(this.#subscription.channel);
  }

  /** Everything the stream brings, from its next message on; returns when the server ends it. */
  async *batches(): AsyncGenerator<WatchBatch, void> {
    const { transport } = this.#parts;
    const fragments: EncodedEvents[] = [];
    let fragmentBytes = 0;
    for (;;) {
      const answer = await this.#next(fragments.length > 0);
      if (answer === undefined) return;
      const { events, fragment, header } = answer;
      if (events.count === 0 && !fragment && fragments.length === 0) {
        if (!answer.created && this.#cursor.progressed(header.revision)) yield { kind: 'progress', revision: header.revision };
        else this.#parts.observer?.droppedEvents(1);
        continue;
      }
      fragments.push(events);
      fragmentBytes += Math.max(MIN_FRAGMENT_BYTES, events.message.length);
      if (fragmentBytes > transport.maxMessageBytes) throw new ResponseTooLargeError(`${fragmentBytes} bytes in fragments`);
      if (fragment) continue;
      yield* this.#deliver(fragments.splice(0));
      fragmentBytes = 0;
    }
  }

  failed(error: Error): void {
    if (this.#subscription === undefined || this.#retired !== undefined || !(error instanceof EtcdError)) return;
    this.#parts.transport.failed(this.#subscription.channel, error);
    this.#parts.transport.streamRefused(error);
  }

  close(): void {
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#subscription?.close();
  }

  async #created(subscription: WatchSubscription): Promise<void> {
    const { clock } = this.#parts;
    const answered = new AbortController();
    let isLate = false;
    const late = clock.sleep(ETCD_CALL_TIMEOUT_MS, answered.signal).then(
      () => {
        isLate = true;
        subscription.close();
      },
      () => undefined,
    );
    try {
      const answer = await this.#next();
      if (answer === undefined) throw new UnavailableError('the server ended the watch');
      if (!answer.created) throw new UnavailableError('the server began the watch out of order');
    } catch (thrown) {
      throw isLate ? new DeadlineError(WATCH.name, ETCD_CALL_TIMEOUT_MS) : thrown;
    } finally {
      answered.abort(ENDED);
      await late;
    }
  }

  /** Reads a key below the prefix, which a user with access to the prefix may read; it need not exist. */
  async #verify(channel: EndpointChannel): Promise<void> {
    const revision = this.#cursor.delivered;
    if (revision === NO_REVISION) return;
    await this.#parts.transport.call({
      method: RANGE,
      request: encodeRange({ key: firstBelow(this.#prefix), revision, keysOnly: true, limit: 1 }),
      decode: (message) => decodeRange(message, 1),
      subject: { action: 'Get', kind: 'read', key: this.#prefix },
      signal: this.#options.signal,
      revision,
      channel,
      pin: this.#pin,
    });
  }

  /** `keepsLast`: the messages before are still in use. */
  async #next(keepsLast = false): Promise<WatchAnswer | undefined> {
    const { transport } = this.#parts;
    const revision = this.#cursor.start;
    let answer: WatchAnswer | undefined;
    try {
      answer = await this.#subscription?.next({ keepsLast });
    } catch (thrown) {
      throw transport.streamError(thrown, WATCH, this.#subscription?.channel, revision);
    }
    if (answer === undefined) return undefined;
    transport.contact(this.#pin, answer.header);
    if (answer.compactRevision > 0) throw new CompactedError(revision, answer.compactRevision);
    if (answer.canceled) {
      throw errorOfCancelReason(answer.cancelReason, { what: WATCH.name, timeoutMs: ETCD_CALL_TIMEOUT_MS, revision });
    }
    return answer;
  }

  /** A server may send events that were not requested. */
  #isAsked = ({ key, type }: WatchEvent): boolean => {
    const { exact = false, deletesOnly = false } = this.#options;
    return (exact ? key === this.#prefix : key.startsWith(this.#prefix)) && (type === 'delete' || !deletesOnly);
  };

  async *#deliver(parts: readonly EncodedEvents[]): AsyncGenerator<WatchBatch, void> {
    const { observer, clock } = this.#parts;
    const arrivedMs = clock.monotonicMs();
    const { signal } = this.#options;
    let left = parts.reduce((sum, { count }) => sum + count, 0);
    for (const part of parts) {
      for (const slice of readEvents(part, EVENTS_PER_SLICE)) {
        left -= slice.length;
        const asked = slice.every(this.#isAsked) ? slice : slice.filter(this.#isAsked);
        const { events, revision } = this.#cursor.take(asked, left === 0);
        const dropped = slice.length - events.length;
        if (dropped > 0) observer?.droppedEvents(dropped);
        observer?.events(events, (clock.monotonicMs() - arrivedMs) / 1000);
        if (events.length > 0) yield { kind: 'events', events, revision };
        if (left > 0) await turn();
        signal.throwIfAborted();
      }
    }
  }
}
