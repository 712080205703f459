/**
 * A prefix of a remote etcd as a source of keys: a listing, then every change, for as long as it goes.
 *
 * Pages of one revision, then a watch from the next one, so that nothing is missed and nothing comes twice.
 * A history that was compacted away is listed again; the receiver knows which of the keys it holds were not
 * named. A listing that breaks off is begun anew and is never taken for a complete one. Values are passed on
 * as they are. Once in a while everything is listed again: releases of etcd that lose events, and a store that
 * was set back and has grown since, cannot be told by a watch.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { asError, errorCode } from '../../shared/errors.ts';
import { ClusterChangedError, EtcdError } from '../../shared/etcd/errors.ts';
import type { EtcdClient, EtcdKey, Revision, WatchEvent } from '../../shared/etcd/types.ts';
import {
  BYTES_PER_SLICE,
  ETCD_BACKOFF_MAX_MS,
  ETCD_BACKOFF_MIN_MS,
  EVENTS_PER_SLICE,
  RELIST_BACKOFF_MAX_MS,
} from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { Sink } from '../../shared/publisher/types.ts';
import { Backoff } from '../../shared/time/backoff.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { pauseUntilRecovered } from '../../shared/time/recovery.ts';
import { SourceReplacedError } from '../errors.ts';
import type { ListTurns } from './list-turns.ts';

export interface EtcdSourceOptions {
  readonly client: EtcdClient;
  readonly prefix: EtcdKey;
  /** Only the key that the prefix itself is. */
  readonly exact?: boolean;
  /** Where given, the prefix is listed again after this time to three times of it, whatever the watch tells. */
  readonly relistMs?: number;
  /** Where given, the prefix is listed when it is its turn. */
  readonly turns?: ListTurns;
  readonly sink: Sink;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** The prefix cannot be read, or can again: undefined. */
  readonly onFailing?: (error: Error | undefined) => void;
  /** The listing under way has that many keys, as the remote counts them. Called before the keys of each page. */
  readonly onAnnounced?: (keys: number) => void;
  /** The remote has sent a notification of progress. */
  readonly onProgress?: () => void;
}

/**
 * Feeds `sink` until the signal is aborted, then rejects with its reason. Rejects with SourceReplacedError
 * when another store answers: then everything that is known of the remote has to be asked for again.
 * Every other failure is logged and tried again, with back-off.
 */
export async function runEtcdSource(options: EtcdSourceOptions): Promise<never> {
  const { client, prefix, sink, clock, log, signal, onFailing } = options;
  let isFailing = false;
  // A watch that fails right after each listing must not become a storm of listings.
  const maxMs = () => (isFailing ? ETCD_BACKOFF_MAX_MS : RELIST_BACKOFF_MAX_MS);
  const backoff = new Backoff({ minMs: ETCD_BACKOFF_MIN_MS, maxMs });
  for (;;) {
    const startMs = clock.monotonicMs();
    try {
      const revision = await listInTurn(options);
      sink.listed();
      if (isFailing) onFailing?.(undefined);
      isFailing = false;
      const reason = await follow(options, revision);
      signal.throwIfAborted();
      sink.interrupted(reason ?? 'everything is compared once more');
      if (reason !== undefined)
        log.info({ prefix, revision, reason }, 'the place in the history of the remote is lost; listing again');
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asError(thrown);
      if (error instanceof ClusterChangedError) throw new SourceReplacedError(error.message);
      if (error instanceof SourceReplacedError) throw error;
      // What concerns the connection is logged once for all of its users.
      const isOwn = !(error instanceof EtcdError && error.concernsConnection);
      if (isOwn && !isFailing) {
        log.warn(
          { prefix, code: errorCode(error), reason: error.message },
          'a prefix of the remote cannot be read; trying again',
        );
      }
      isFailing = true;
      onFailing?.(error);
      sink.interrupted(error.message);
    }
    if (clock.monotonicMs() - startMs >= RELIST_BACKOFF_MAX_MS) backoff.reset();
    if (await pauseUntilRecovered(client, backoff.nextMs(), clock, signal)) backoff.reset();
  }
}

async function listInTurn(options: EtcdSourceOptions): Promise<Revision> {
  const endTurn = await options.turns?.take(options.signal);
  try {
    return await list(options);
  } finally {
    endTurn?.();
  }
}

/** Names every key of the prefix; the revision they are of. */
async function list({ client, prefix, exact = false, sink, signal, onAnnounced }: EtcdSourceOptions): Promise<Revision> {
  // A list has one page at least.
  let revision = 0 as Revision;
  for await (const page of client.list(prefix, { signal, exact })) {
    onAnnounced?.(page.total);
    let bytes = 0;
    for (const { key, value } of page.keyValues) {
      sink.upsert(key, value);
      bytes += value.length;
      if (bytes < BYTES_PER_SLICE) continue;
      bytes = 0;
      await turn();
      signal.throwIfAborted();
    }
    revision = page.revision;
  }
  signal.throwIfAborted();
  return revision;
}

/**
 * Passes on what changes after `revision`; resolves with the reason when only a new listing can go on, or with
 * undefined when one is due by the clock.
 */
async function follow(options: EtcdSourceOptions, revision: Revision): Promise<string | undefined> {
  const { relistMs, clock, signal } = options;
  if (relistMs === undefined) return pass(options, revision, signal);
  const watching = new AbortController();
  const stop = () => watching.abort();
  signal.addEventListener('abort', stop, { once: true });
  let isDue = false;
  const due = clock.sleep(relistMs * (1 + 2 * Math.random()), watching.signal).then(
    () => {
      isDue = true;
      stop();
    },
    () => undefined,
  );
  try {
    const reason = await pass(options, revision, watching.signal);
    return isDue ? undefined : reason;
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
    await due;
  }
}

/** As `follow`, until `watching` is aborted. */
async function pass(options: EtcdSourceOptions, revision: Revision, watching: AbortSignal): Promise<string> {
  const { client, prefix, exact = false, sink, signal, onProgress } = options;
  for await (const batch of client.watch(prefix, { signal: watching, exact, from: (revision + 1) as Revision })) {
    switch (batch.kind) {
      case 'events':
        await deliver(batch.events, sink, signal);
        break;
      case 'progress':
        onProgress?.();
        break;
      case 'compacted':
        return `the history before revision ${batch.compactRevision} was compacted`;
      case 'replaced':
        throw new SourceReplacedError(batch.reason);
    }
  }
  return 'the watch ended';
}

/** In order, with a turn of the event loop for others between slices. */
async function deliver(events: readonly WatchEvent[], sink: Sink, signal: AbortSignal): Promise<void> {
  let count = 0;
  let bytes = 0;
  signal.throwIfAborted();
  for (const event of events) {
    if (count >= EVENTS_PER_SLICE || bytes >= BYTES_PER_SLICE) {
      [count, bytes] = [0, 0];
      await turn();
      signal.throwIfAborted();
    }
    count += 1;
    if (event.type === 'put') {
      sink.upsert(event.key, event.value);
      bytes += event.value.length;
    } else {
      sink.remove(event.key);
    }
  }
}
