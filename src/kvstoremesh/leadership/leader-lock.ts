/**
 * The lock that decides which of several replicas over one etcd mirrors.
 *
 * It is a queue of keys, one for each replica, as etcd's own recipe for a mutex and the original have it: whose key was
 * created first leads, the others wait. A key hangs on a lease of its replica, so that the dead leave the queue; the successor
 * of a process that was killed need not wait for that (lock-place.ts).
 */

import { asError, errorCode } from '../../shared/errors.ts';
import { ClusterChangedError, EtcdError } from '../../shared/etcd/errors.ts';
import { LEADER_LOCKS } from '../../shared/etcd/keyspace.ts';
import { type EtcdClient, type EtcdKey, type KeyValue, keyOf, type LeaseId, type Revision } from '../../shared/etcd/types.ts';
import { ETCD_BACKOFF_MAX_MS, ETCD_BACKOFF_MIN_MS } from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';
import { TaskScope } from '../../shared/process/task-scope.ts';
import { Backoff } from '../../shared/time/backoff.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { pauseUntilRecovered } from '../../shared/time/recovery.ts';
import { LockLostError } from '../errors.ts';
import type { LeaseClaim, LockPlace } from './lock-place.ts';

/** How long after its last sign of life a leader loses the lock; the original's. */
export const LOCK_LEASE_TTL_SECONDS = 25;

/** How long the end of a candidacy may take. */
const WITHDRAW_TIMEOUT_MS = 2_000;

export interface LeaderLockOptions {
  /** The local etcd. Its cluster may be forgotten as long as nobody is elected: no publisher may run on it then. */
  readonly client: EtcdClient;
  readonly ttlSeconds: number;
  /** Where this process runs; undefined where the end of its predecessors cannot be told. */
  readonly place: LockPlace | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Takes the keys of earlier processes of this place out of the queue, where these have ended and only their leases live on,
 * as after a kill. To be called once, before this process joins: each process can then displace those alone that had ended
 * before it began. No write is cut short by it: every write of a term depends on its key, and etcd refuses those that come later.
 *
 * Tries until etcd answers; a lease that it does not let us revoke is logged and left to end. Rejects only with the signal's reason.
 */
export async function releaseEnded(options: LeaderLockOptions, signal: AbortSignal): Promise<void> {
  const { client, place } = options;
  if (place === undefined) return;
  await persist(options, signal, async () => {
    // A lease that the key is not named by may carry other keys too.
    for await (const { keyValues } of client.list(LEADER_LOCKS, { signal, keysOnly: true }))
      for (const { key, lease } of keyValues)
        if (key === lockKey(lease) && (await place.hasEnded(lease))) await release(lease, options, signal);
  });
}

async function release(lease: LeaseId, { client, log }: LeaderLockOptions, signal: AbortSignal): Promise<void> {
  const lock = lockKey(lease);
  try {
    await client.revokeLease(lease, { signal });
    log.info({ lock }, 'an earlier process of this place has ended; its leader lock is released');
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof EtcdError && thrown.concernsConnection) throw thrown;
    const { message } = asError(thrown);
    log.warn({ lock, error: message }, 'the leader lock of an earlier process cannot be released; it ends with its lease');
  }
}

/** Joins the queue, and tries until that has succeeded. Rejects only with the signal's reason. */
export async function standForLeader(options: LeaderLockOptions, signal: AbortSignal): Promise<Candidacy> {
  const { client, ttlSeconds, place } = options;
  return persist(options, signal, async () => {
    const claim = await place?.claim();
    let candidacy: Candidacy | undefined;
    try {
      const lease = await client.grantLease(ttlSeconds, { signal, ...(claim && { id: claim.id }) });
      candidacy = new Candidacy(lease, claim, options, signal);
      await candidacy.join();
      return candidacy;
    } catch (thrown) {
      // Whether the key was put may be unknown: it goes with its lease.
      await candidacy?.withdraw();
      claim?.release();
      throw thrown;
    }
  });
}

/** Resolves with what `attempt` does, which is repeated until it succeeds. Rejects only with the signal's reason. */
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
        log.warn({ code: errorCode(thrown), error: asError(thrown).message }, 'the leader lock cannot be asked for; trying on');
      reported = errorCode(thrown);
      await pauseUntilRecovered(client, backoff.nextMs(), clock, signal);
    }
  }
}

/** etcd's recipe has the lease in hexadecimal digits without leading zeros. */
function lockKey(lease: LeaseId): EtcdKey {
  return keyOf(`${LEADER_LOCKS}${lease.toString(16)}`);
}

/** A place in the queue, from when it is taken until it is lost or given up. */
export class Candidacy {
  readonly key: EtcdKey;
  readonly #lease: LeaseId;
  readonly #claim: LeaseClaim | undefined;
  readonly #options: LeaderLockOptions;
  readonly #scope: TaskScope;
  readonly #stopKeeping: () => void;
  readonly #election = Promise.withResolvers<void>();
  /** The key that is first in the queue. */
  #leader: EtcdKey | undefined;

  constructor(lease: LeaseId, claim: LeaseClaim | undefined, options: LeaderLockOptions, signal: AbortSignal) {
    this.key = lockKey(lease);
    this.#lease = lease;
    this.#claim = claim;
    this.#options = options;
    this.#scope = new TaskScope(signal);
    this.#stopKeeping = options.client.keepLease(lease, options.ttlSeconds, () => this.lose('its lease has ended'));
    this.#election.promise.catch(() => undefined);
    const onEnd = () => this.#election.reject(this.signal.reason);
    if (this.signal.aborted) onEnd();
    else this.signal.addEventListener('abort', onEnd, { once: true });
  }

  /** Aborted when the place is lost, with LockLostError, or when whoever stood wants to end. */
  get signal(): AbortSignal {
    return this.#scope.signal;
  }

  /** Resolves when the place is the first one; rejects with the reason of `signal`. Whom it waits for is logged. */
  elected(): Promise<void> {
    return this.#election.promise;
  }

  /** To be called once, at first. */
  async join(): Promise<void> {
    await this.#options.client.putIfAbsent(this.key, new Uint8Array(), this.#lease, { signal: this.signal });
    this.#scope.run(() => this.#watchQueue());
  }

  /** The place turned out to be lost. The first reason counts. */
  lose(reason: string): void {
    this.#scope.abort(new LockLostError(reason));
  }

  /** Leaves the queue: the next one leads at once. Takes 2 s at most; where etcd cannot be reached the lease ends by itself. */
  async withdraw(): Promise<void> {
    const { client, log, ttlSeconds } = this.#options;
    await this.#scope.end();
    this.#stopKeeping();
    try {
      const { signal } = new AbortController();
      await client.revokeLease(this.#lease, { signal, timeoutMs: WITHDRAW_TIMEOUT_MS });
    } catch (thrown) {
      const { message } = asError(thrown);
      log.info({ error: message, ttlSeconds }, 'the key of the leader lock could not be removed; it ends with its lease');
    }
    // Not before: without it a process that starts takes this one for one that has ended.
    this.#claim?.release();
  }

  /** Until the place is lost, or the signal is aborted; then it rejects. */
  async #watchQueue(): Promise<void> {
    const { client, clock, log } = this.#options;
    const { signal } = this;
    const backoff = new Backoff({ minMs: ETCD_BACKOFF_MIN_MS, maxMs: ETCD_BACKOFF_MAX_MS });
    for (;;) {
      try {
        const { queue, revision } = await readQueue(client, signal);
        this.#judge(queue);
        signal.throwIfAborted();
        backoff.reset();
        await untilSomeoneLeaves(client, revision, signal);
      } catch (thrown) {
        signal.throwIfAborted();
        if (thrown instanceof ClusterChangedError) this.lose(thrown.message);
        // That the etcd is away is told elsewhere; it does not cost the place as long as the lease lives.
        log.debug({ code: errorCode(thrown) }, 'the queue of the leader lock cannot be read; trying on');
        await pauseUntilRecovered(client, backoff.nextMs(), clock, signal);
      }
    }
  }

  #judge(queue: readonly EtcdKey[]): void {
    const [first] = queue;
    const before = this.#leader;
    this.#leader = first;
    if (!queue.includes(this.key)) this.lose('its key was removed');
    else if (first === this.key) this.#election.resolve();
    else if (before === this.key) this.lose(`${first} is before it now`);
    else if (before !== first) this.#options.log.info({ leader: first, own: this.key }, 'another replica leads; standing by');
  }
}

/** The keys in the order of their creation. Nobody writes a key of the queue twice, so its mod revision is that of its creation. */
async function readQueue(client: EtcdClient, signal: AbortSignal): Promise<{ queue: EtcdKey[]; revision: Revision }> {
  const keyValues: KeyValue[] = [];
  let revision = 0 as Revision;
  for await (const page of client.list(LEADER_LOCKS, { signal, keysOnly: true })) {
    keyValues.push(...page.keyValues);
    revision = page.revision;
  }
  return { queue: keyValues.sort((a, b) => a.modRevision - b.modRevision).map(({ key }) => key), revision };
}

async function untilSomeoneLeaves(client: EtcdClient, seen: Revision, signal: AbortSignal): Promise<void> {
  const from = (seen + 1) as Revision;
  for await (const batch of client.watch(LEADER_LOCKS, { signal, from, deletesOnly: true }))
    if (batch.kind !== 'progress') return;
}
