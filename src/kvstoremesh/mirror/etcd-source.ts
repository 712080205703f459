/**
 * Lists a prefix of a remote's etcd, then watches it.
 *
 * The pages of a listing are of one revision and the watch starts at the next one, so no event is missed or duplicated.
 * After a compaction the prefix is listed again; the receiver finds out which of its keys the listing did not name. A
 * listing that breaks off is repeated and never counts as complete. Values pass through unchanged. The prefix is also
 * listed again from time to time: a watch does not show events that etcd lost, nor that a store was restored from a backup
 * and has grown since.
 */

import { asError, errorCode } from '../../shared/errors.ts';
import { ClusterChangedError, EtcdError } from '../../shared/etcd/errors.ts';
import type { EtcdClient, EtcdKey, Revision, WatchEvent } from '../../shared/etcd/types.ts';
import { ETCD_BACKOFF_MAX_MS, ETCD_BACKOFF_MIN_MS, RELIST_BACKOFF_MAX_MS } from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { Sink } from '../../shared/publisher/types.ts';
import { LinkedAbort } from '../../shared/time/abort.ts';
import { Backoff } from '../../shared/time/backoff.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { pauseUntilRecovered } from '../../shared/time/recovery.ts';
import { Turns } from '../../shared/time/turns.ts';
import { SourceReplacedError } from '../errors.ts';
import type { ListTurns } from './list-turns.ts';

export interface EtcdSourceOptions {
  readonly client: EtcdClient;
  readonly prefix: EtcdKey;
  /** Read only the key that equals the prefix. */
  readonly exact?: boolean;
  /** If set, the prefix is listed again after a random time between this and three times this. */
  readonly relistMs?: number;
  /** If set, listings wait for their turn. */
  readonly turns?: ListTurns;
  /** What else takes part in the budget of a turn of the event loop. @default a budget of its own */
  readonly slices?: Turns | undefined;
  readonly sink: Sink;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Called with an error when the prefix cannot be read, and with undefined when it can again. */
  readonly onFailing?: (error: Error | undefined) => void;
  /** The number of keys in the current listing, as the remote counts them. Called before the keys of each page. */
  readonly onAnnounced?: (keys: number) => void;
  /** The remote sent a progress notification. */
  readonly onProgress?: () => void;
}

/**
 * Feeds `sink` until the signal is aborted, then rejects with its reason. Rejects with SourceReplacedError
 * when another store answers: everything known of the remote is then outdated.
 * Any other failure is logged and retried with back-off.
 */
export async function runEtcdSource(options: EtcdSourceOptions): Promise<never> {
  const { client, prefix, sink, clock, log, signal, onFailing } = options;
  let isFailing = false;
  // A watch that fails right after each listing must not cause a storm of listings.
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
      sink.interrupted(reason ?? 'periodic relisting');
      if (reason !== undefined) log.info({ prefix, revision, reason }, 'watch position lost; relisting');
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asError(thrown);
      if (error instanceof ClusterChangedError) throw new SourceReplacedError(error.message);
      if (error instanceof SourceReplacedError) throw error;
      // Errors of the connection are logged once for all of its users.
      const isOwn = !(error instanceof EtcdError && error.concernsConnection);
      if (isOwn && !isFailing) {
        log.warn({ prefix, code: errorCode(error), reason: error.message }, 'cannot read prefix of remote cluster; retrying');
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

/** Passes on every key of the prefix. Resolves with the revision of the listing. */
async function list({
  client,
  prefix,
  exact = false,
  sink,
  signal,
  clock,
  slices,
  onAnnounced,
}: EtcdSourceOptions): Promise<Revision> {
  const slicer = new Slicer(slices ?? new Turns(clock), signal);
  // A list has one page at least.
  let revision = 0 as Revision;
  for await (const page of client.list(prefix, { signal, exact })) {
    onAnnounced?.(page.total);
    for (const { key, value } of page.keyValues) {
      if (slicer.isOver(value.length)) await slicer.turn();
      sink.upsert(key, value);
    }
    revision = page.revision;
  }
  signal.throwIfAborted();
  return revision;
}

/**
 * Passes on the changes after `revision`. Resolves with the reason when a new listing is needed, or with undefined when the
 * periodic one is due.
 */
async function follow(options: EtcdSourceOptions, revision: Revision): Promise<string | undefined> {
  const { relistMs, clock, signal } = options;
  if (relistMs === undefined) return pass(options, revision, signal);
  const watching = new LinkedAbort(signal);
  let isDue = false;
  const due = clock.sleep(relistMs * (1 + 2 * Math.random()), watching.signal).then(
    () => {
      isDue = true;
      watching.abort();
    },
    () => undefined,
  );
  try {
    const reason = await pass(options, revision, watching.signal);
    return isDue ? undefined : reason;
  } finally {
    watching.abort();
    await due;
  }
}

/** As `follow`, until `watching` is aborted. */
async function pass(options: EtcdSourceOptions, revision: Revision, watching: AbortSignal): Promise<string> {
  const { client, prefix, exact = false, sink, signal, clock, slices, onProgress } = options;
  const slicer = new Slicer(slices ?? new Turns(clock), signal);
  for await (const batch of client.watch(prefix, { signal: watching, exact, from: (revision + 1) as Revision })) {
    switch (batch.kind) {
      case 'events':
        signal.throwIfAborted();
        await deliver(batch.events, sink, slicer);
        break;
      case 'progress':
        onProgress?.();
        break;
      case 'compacted':
        return `history before revision ${batch.compactRevision} was compacted`;
      case 'replaced':
        throw new SourceReplacedError(batch.reason);
    }
  }
  return 'the watch ended';
}

/** In order, with a turn of the event loop between slices. */
async function deliver(events: readonly WatchEvent[], sink: Sink, slicer: Slicer): Promise<void> {
  for (const event of events) {
    if (slicer.isOver(event.type === 'put' ? event.value.length : 0)) await slicer.turn();
    if (event.type === 'put') sink.upsert(event.key, event.value);
    else sink.remove(event.key);
  }
}

/** Keys between two looks at the clock, and bytes of values that take as long. */
const KEYS_PER_CHECK = 16;
const BYTES_PER_CHECK = 16 * 1024;

/** Tells when a source has to wait for the next turn of the event loop. */
class Slicer {
  readonly #turns: Turns;
  readonly #signal: AbortSignal;
  #keys = 0;
  #bytes = 0;

  constructor(turns: Turns, signal: AbortSignal) {
    this.#turns = turns;
    this.#signal = signal;
  }

  /** Asked before each key, with the bytes of its value. */
  isOver(bytes: number): boolean {
    this.#keys += 1;
    this.#bytes += bytes;
    if (this.#keys < KEYS_PER_CHECK && this.#bytes < BYTES_PER_CHECK) return false;
    [this.#keys, this.#bytes] = [0, 0];
    return this.#turns.isOver();
  }

  /** Rejects with the reason of the signal once that is aborted. */
  async turn(): Promise<void> {
    await this.#turns.turn();
    this.#signal.throwIfAborted();
  }
}
