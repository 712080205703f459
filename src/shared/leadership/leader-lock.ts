/**
 * The lock that decides which replica on an etcd is the leader.
 *
 * It is a queue of keys, one for each replica, as in etcd's recipe for a mutex and in the original: the replica whose key
 * was created first is the leader. Each key is attached to a lease of its replica, so a dead replica leaves the queue. The
 * successor of a killed process does not have to wait for that (lock-place.ts).
 */

import { asError, errorCode } from '../errors.ts';
import { ClusterChangedError, EtcdError } from '../etcd/errors.ts';
import { type EtcdClient, type EtcdKey, type KeyValue, keyOf, type LeaseId, type Revision } from '../etcd/types.ts';
import { ETCD_BACKOFF_MAX_MS, ETCD_BACKOFF_MIN_MS } from '../limits.ts';
import type { Logger } from '../process/log.ts';
import { TaskScope } from '../process/task-scope.ts';
import { onAbort } from '../time/abort.ts';
import { Backoff } from '../time/backoff.ts';
import type { Clock } from '../time/clock.ts';
import { pauseUntilRecovered } from '../time/recovery.ts';
import { LockLostError } from './errors.ts';
import type { LeaseClaim, LockPlace } from './lock-place.ts';

/** How long the end of a candidacy may take. */
const WITHDRAW_TIMEOUT_MS = 2_000;

/** How often within the duration of the lease a leader checks that it was renewed. */
const RENEWAL_CHECKS = 10;

export interface LeaderLockOptions {
  /** The prefix of the queue: one of the daemon's own. */
  readonly locks: EtcdKey;
  /** The local etcd. The client may forget its cluster ID while there is no term: no publisher may use it then. */
  readonly client: EtcdClient;
  readonly ttlSeconds: number;
  /** Where this process runs; undefined where the end of its predecessors cannot be detected. */
  readonly place: LockPlace | undefined;
  /** Called with the key of the replica that leads, of this one or of another, when it is another one than before. */
  readonly onLeader?: (key: EtcdKey) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Removes the lock keys of earlier processes of this place that have ended but whose leases still exist, as after a kill.
 * Call it once, before this process joins the queue: it can then displace only processes that ended before it started.
 * Every write of a term depends on its lock key, so etcd refuses later writes of an ended term.
 *
 * Retries until etcd answers. A lease that cannot be revoked is logged and left to expire. Rejects only with the signal's
 * reason.
 */
export async function releaseEnded(options: LeaderLockOptions, signal: AbortSignal): Promise<void> {
  const { client, locks, place } = options;
  if (place === undefined) return;
  await persist(options, signal, async () => {
    // A lease that does not match the name of the key may carry other keys too.
    for await (const { keyValues } of client.list(locks, { signal, keysOnly: true }))
      for (const { key, lease } of keyValues)
        if (key === lockKey(locks, lease) && (await place.hasEnded(lease))) await release(lease, options, signal);
  });
}

async function release(lease: LeaseId, { client, locks, log }: LeaderLockOptions, signal: AbortSignal): Promise<void> {
  const lock = lockKey(locks, lease);
  try {
    await client.revokeLease(lease, { signal });
    log.info({ lock }, 'released the leader lock of an earlier process that has ended');
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof EtcdError && thrown.concernsConnection) throw thrown;
    const { message } = asError(thrown);
    log.warn({ lock, error: message }, 'cannot release the leader lock of an earlier process; it expires with its lease');
  }
}

/** Joins the queue, and retries until that succeeds. Rejects only with the signal's reason. */
export async function standForLeader(options: LeaderLockOptions, signal: AbortSignal): Promise<Candidacy> {
  const { client, ttlSeconds, place, clock } = options;
  return persist(options, signal, async () => {
    const claim = await place?.claim();
    let candidacy: Candidacy | undefined;
    try {
      const grantedMs = clock.monotonicMs();
      const lease = await client.grantLease(ttlSeconds, { signal, ...(claim && { id: claim.id }) });
      candidacy = new Candidacy({ lease, grantedMs, claim }, options, signal);
      await candidacy.join();
      return candidacy;
    } catch (thrown) {
      // The key may have been written all the same: revoking its lease removes it.
      await candidacy?.withdraw();
      claim?.release();
      throw thrown;
    }
  });
}

/** Repeats `attempt` until it succeeds, and resolves with its result. Rejects only with the signal's reason. */
async function persist<T>({ client, clock, log }: LeaderLockOptions, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  const backoff = new Backoff({ minMs: ETCD_BACKOFF_MIN_MS, maxMs: ETCD_BACKOFF_MAX_MS });
  let reported: string | undefined;
  for (;;) {
    try {
      return await attempt();
    } catch (thrown) {
      signal.throwIfAborted();
      if (thrown instanceof ClusterChangedError) client.forgetCluster();
      if (reported !== errorCode(thrown))
        log.warn({ code: errorCode(thrown), error: asError(thrown).message }, 'cannot join the leader lock queue; retrying');
      reported = errorCode(thrown);
      await pauseUntilRecovered(client, backoff.nextMs(), clock, signal);
    }
  }
}

/** etcd's recipe names the key by the lease, in hexadecimal digits without leading zeros. */
function lockKey(locks: EtcdKey, lease: LeaseId): EtcdKey {
  return keyOf(`${locks}${lease.toString(16)}`);
}

/** The lock key of a leader. */
export interface LeaderKey {
  readonly key: EtcdKey;
  readonly lease: LeaseId;
  readonly createRevision: Revision;
}

interface GrantedLease {
  readonly lease: LeaseId;
  /** Not later than etcd granted it, by the monotonic clock. */
  readonly grantedMs: number;
  readonly claim: LeaseClaim | undefined;
}

/** A place in the queue, until it is lost or given up. */
export class Candidacy {
  readonly key: EtcdKey;
  readonly #lease: LeaseId;
  readonly #claim: LeaseClaim | undefined;
  readonly #options: LeaderLockOptions;
  readonly #scope: TaskScope;
  readonly #stopKeeping: () => void;
  readonly #election = Promise.withResolvers<LeaderKey>();
  /** The first key in the queue. */
  #leader: EtcdKey | undefined;
  /** This replica led and others were in the queue when it was read last. */
  #isAwaited = false;
  /** Until one duration of the lease later no other replica can lead. */
  #renewedMs: number;

  constructor({ lease, grantedMs, claim }: GrantedLease, options: LeaderLockOptions, signal: AbortSignal) {
    this.key = lockKey(options.locks, lease);
    this.#lease = lease;
    this.#renewedMs = grantedMs;
    this.#claim = claim;
    this.#options = options;
    this.#scope = new TaskScope(signal);
    this.#stopKeeping = options.client.keepLease(
      lease,
      options.ttlSeconds,
      () => this.lose('its lease has expired'),
      (askedMs) => {
        this.#renewedMs = askedMs;
      },
    );
    this.#election.promise.catch(() => undefined);
    onAbort(this.signal, () => this.#election.reject(this.signal.reason));
  }

  /** Aborted with LockLostError when the place is lost, or when the caller's signal is. */
  get signal(): AbortSignal {
    return this.#scope.signal;
  }

  /** Resolves with the own key when it is the first one; rejects with the reason of `signal`. The current leader is logged. */
  elected(): Promise<LeaderKey> {
    return this.#election.promise;
  }

  /** Call it once, before anything else. */
  async join(): Promise<void> {
    await this.#options.client.putIfAbsent(this.key, new Uint8Array(), this.#lease, { signal: this.signal });
    this.#scope.run(() => this.#watchQueue());
    this.#scope.run(() => this.#watchRenewal());
  }

  /** The place is lost. The first reason counts. */
  lose(reason: string): void {
    this.#scope.abort(new LockLostError(reason));
  }

  /** Leaves the queue: the next replica leads at once. Takes 2 s at most; without etcd the lease expires by itself. */
  async withdraw(): Promise<void> {
    const { client, log, ttlSeconds } = this.#options;
    await this.#scope.end();
    this.#stopKeeping();
    try {
      const { signal } = new AbortController();
      await client.revokeLease(this.#lease, { signal, timeoutMs: WITHDRAW_TIMEOUT_MS });
    } catch (thrown) {
      const { message } = asError(thrown);
      log.info({ error: message, ttlSeconds }, 'cannot delete the leader lock key; it expires with its lease');
    }
    // Not earlier: a process that starts would otherwise take this one for ended.
    this.#claim?.release();
  }

  /** Rejects when the place is lost or the signal is aborted. */
  async #watchQueue(): Promise<void> {
    const { client, locks, clock, log } = this.#options;
    const { signal } = this;
    const backoff = new Backoff({ minMs: ETCD_BACKOFF_MIN_MS, maxMs: ETCD_BACKOFF_MAX_MS });
    for (;;) {
      try {
        const { queue, revision } = await readQueue(client, locks, signal);
        this.#judge(queue);
        signal.throwIfAborted();
        backoff.reset();
        await untilQueueChanges(client, locks, revision, signal);
      } catch (thrown) {
        signal.throwIfAborted();
        if (thrown instanceof ClusterChangedError) this.lose(thrown.message);
        // The connection reports that etcd is away. The place is kept as long as the lease exists.
        log.debug({ code: errorCode(thrown) }, 'cannot read the leader lock queue; retrying');
        await pauseUntilRecovered(client, backoff.nextMs(), clock, signal);
      }
    }
  }

  /**
   * A leader whose etcd member is away, or cut off from the other members, is told neither that its lease has expired nor
   * that another replica leads. It ends its term when that may have happened. Where no other replica waits, the term goes on
   * while etcd is away: nothing is gained by giving up what it has in memory. A replica that joins after the connection was
   * lost is not seen, but the lock key prevents writes of the former leader in any case.
   */
  async #watchRenewal(): Promise<never> {
    const { clock, ttlSeconds } = this.#options;
    const ttlMs = ttlSeconds * 1000;
    for (;;) {
      await clock.sleep(ttlMs / RENEWAL_CHECKS, this.signal);
      if (!this.#isAwaited || clock.monotonicMs() - this.#renewedMs < ttlMs) continue;
      this.lose(`etcd has not renewed its lease for ${ttlSeconds} s, and another replica waits`);
    }
  }

  #judge(queue: readonly KeyValue[]): void {
    const first = queue[0]?.key;
    const before = this.#leader;
    this.#leader = first;
    if (first !== undefined && first !== before) this.#options.onLeader?.(first);
    const wasAwaited = this.#isAwaited;
    this.#isAwaited = first === this.key && queue.length > 1;
    const own = queue.find(({ key }) => key === this.key);
    if (own === undefined) this.lose('its key was deleted');
    else if (first === this.key) {
      this.#election.resolve({ key: this.key, lease: this.#lease, createRevision: own.createRevision });
      if (this.#isAwaited && !wasAwaited) this.#options.log.info('other replicas wait for the leader lock');
    } else if (before === this.key) this.lose(`${first} precedes it now`);
    else if (before !== first) this.#options.log.info({ leader: first, own: this.key }, 'another replica leads; standing by');
  }
}

/** The keys in the order of their creation: a leader may have rewritten its own (fenced-client.ts). */
async function readQueue(
  client: EtcdClient,
  locks: EtcdKey,
  signal: AbortSignal,
): Promise<{ queue: KeyValue[]; revision: Revision }> {
  const keyValues: KeyValue[] = [];
  let revision = 0 as Revision;
  for await (const page of client.list(locks, { signal, keysOnly: true })) {
    keyValues.push(...page.keyValues);
    revision = page.revision;
  }
  return { queue: keyValues.sort((a, b) => a.createRevision - b.createRevision), revision };
}

async function untilQueueChanges(client: EtcdClient, locks: EtcdKey, seen: Revision, signal: AbortSignal): Promise<void> {
  const from = (seen + 1) as Revision;
  for await (const batch of client.watch(locks, { signal, from })) if (batch.kind !== 'progress') return;
}
