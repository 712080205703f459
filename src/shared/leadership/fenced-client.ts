/**
 * A client of the local etcd whose transactions are applied only while the leader lock is held, and in no other order than that
 * of the calls.
 *
 * etcd compares the mod revision of the lock key in each transaction. A process that was suspended, or whose last write is still
 * under way, can therefore never write after another replica has taken over: the key is gone.
 *
 * The same comparison prevents late writes of this process. A transaction whose response did not arrive may be applied
 * at any time: a member that hung proposes what it had received, a network delivers what it held back. Newer values were then
 * written through another member or connection. So after such a transaction, and before any other, the lock key is
 * rewritten: its mod revision rises, and etcd rejects everything that was sent before. What was rejected only because it was
 * under way at that moment is reported as FenceRenewedError, and the caller retries it. Without such a failure nothing is
 * rewritten, and no transaction costs a request more.
 */
import { ConditionFailedError, EtcdError, LeaseNotFoundError } from '../etcd/errors.ts';
import { FenceRenewedError } from '../etcd/fence-renewed-error.ts';
import type {
  CallOptions,
  EtcdClient,
  EtcdConnectionState,
  EtcdKey,
  GrantOptions,
  KeyValue,
  LeaseId,
  LeaseTimeToLive,
  ListOptions,
  ListPage,
  Revision,
  TxnOperation,
  TxnOptions,
  WatchBatch,
  WatchOptions,
} from '../etcd/types.ts';
import type { Logger } from '../process/log.ts';
import { unlessAborted } from '../time/abort.ts';
import type { Clock } from '../time/clock.ts';
import type { LeaderKey } from './leader-lock.ts';
import { LostTransactions } from './lost-transactions.ts';

export interface FencedClientOptions {
  readonly client: EtcdClient;
  readonly lock: LeaderKey;
  /** etcd does not hold the lock key of this term any more. May be called more than once. */
  readonly onLost: () => void;
  readonly clock: Clock;
  readonly log: Logger;
  /** Of the term. */
  readonly signal: AbortSignal;
}

/** Only `txn` writes keys. The owner of the wrapped client closes it. */
export class FencedClient implements EtcdClient {
  readonly #client: EtcdClient;
  readonly #options: FencedClientOptions;
  /** The mod revision of the lock key that transactions depend on. */
  #fence: Revision;
  /** A transaction that depends on `#fence` may be applied later, or is already. */
  #isInDoubt = false;
  #renewal: Promise<void> | undefined;
  readonly #lost: LostTransactions;

  constructor(options: FencedClientOptions) {
    this.#client = options.client;
    this.#options = options;
    const { client, lock, clock, signal } = options;
    this.#lost = new LostTransactions({ client, key: lock.key, clock, signal });
    this.#fence = options.lock.createRevision;
  }

  get state(): EtcdConnectionState {
    return this.#client.state;
  }

  /** Rejects with FenceRenewedError where the transaction has to be repeated. */
  async txn(operations: readonly TxnOperation[], options: TxnOptions): Promise<Revision> {
    if (!this.#isInDoubt) return this.#send(operations, options);
    // The caller may reuse the buffers during the wait.
    const copies = operations.map((each) => (each.type === 'put' ? { ...each, value: Buffer.from(each.value) } : each));
    while (this.#isInDoubt) await this.#renewed(options.signal);
    return this.#send(copies, options);
  }

  /** Always rejects: etcd does not report which of the two conditions failed. */
  putIfAbsent(): Promise<boolean> {
    return Promise.reject(new Error('a fenced client puts by transactions only'));
  }

  leaderTerm(key: EtcdKey, options: CallOptions): Promise<bigint> {
    return this.#client.leaderTerm(key, options);
  }

  get(key: EtcdKey, options: CallOptions): Promise<KeyValue | undefined> {
    return this.#client.get(key, options);
  }

  list(prefix: EtcdKey, options: ListOptions): AsyncIterable<ListPage> {
    return this.#client.list(prefix, options);
  }

  watch(prefix: EtcdKey, options: WatchOptions): AsyncIterable<WatchBatch> {
    return this.#client.watch(prefix, options);
  }

  grantLease(ttlSeconds: number, options: GrantOptions): Promise<LeaseId> {
    return this.#client.grantLease(ttlSeconds, options);
  }

  leaseTimeToLive(lease: LeaseId, options: CallOptions): Promise<LeaseTimeToLive | undefined> {
    return this.#client.leaseTimeToLive(lease, options);
  }

  revokeLease(lease: LeaseId, options: CallOptions): Promise<void> {
    return this.#client.revokeLease(lease, options);
  }

  keepLease(lease: LeaseId, ttlSeconds: number, onLost: () => void, onKept?: (askedMs: number) => void): () => void {
    return this.#client.keepLease(lease, ttlSeconds, onLost, onKept);
  }

  onRecovered(listener: () => void): () => void {
    return this.#client.onRecovered(listener);
  }

  forgetCluster(): void {
    this.#client.forgetCluster();
  }

  close(): void {}

  async #send(operations: readonly TxnOperation[], options: TxnOptions): Promise<Revision> {
    const { onlyIf = [], signal } = options;
    const fence = this.#fence;
    const { key } = this.#options.lock;
    try {
      const depending = [...onlyIf, { key, modRevision: fence }];
      const send = (limit: AbortSignal) => this.#client.txn(operations, { ...options, signal: limit, onlyIf: depending });
      return await this.#lost.run(send, signal);
    } catch (thrown) {
      const isOver = thrown instanceof EtcdError && thrown.changesNothing;
      if (!isOver && fence === this.#fence) this.#isInDoubt = true;
      const error = thrown instanceof ConditionFailedError ? await this.#causeOf(thrown, fence, options) : thrown;
      // A caller that is aborted because of it must not see a failure.
      signal.throwIfAborted();
      throw error;
    }
  }

  /** Why a transaction that depended on `fence` was rejected: it depends on the wrong revision, the lock is lost, or the caller's condition failed. */
  async #causeOf(failure: ConditionFailedError, fence: Revision, { signal }: CallOptions): Promise<Error> {
    if (fence !== this.#fence || this.#isInDoubt) return new FenceRenewedError();
    const found = await this.#lockRevision({ signal });
    if (found === undefined || found <= fence) return failure;
    if (found > this.#fence) this.#fence = found;
    return new FenceRenewedError();
  }

  /** One attempt at a time, which all callers share. */
  #renewed(signal: AbortSignal): Promise<void> {
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = undefined;
    });
    return unlessAborted(this.#renewal, signal);
  }

  /**
   * Rewrites the lock key. That the outcome of an attempt is unknown does no harm: of all attempts that depend on one revision etcd
   * applies one, and rejects it for good once the key has another one.
   */
  async #renew(): Promise<void> {
    const { lock, log, onLost, signal } = this.#options;
    const { key, lease } = lock;
    const fence = this.#fence;
    try {
      const put = { type: 'put', key, value: new Uint8Array(), lease } as const;
      const onlyIf = [{ key, modRevision: fence }];
      this.#fence = await this.#lost.run((limit) => this.#client.txn([put], { signal: limit, onlyIf }), signal);
    } catch (thrown) {
      if (thrown instanceof LeaseNotFoundError) onLost();
      if (!(thrown instanceof ConditionFailedError)) throw thrown;
      const found = await this.#lockRevision({ signal });
      if (found === undefined || found <= fence) throw thrown;
      this.#fence = found;
    }
    this.#isInDoubt = false;
    log.info({ lock: key }, 'a write to the local etcd has an unknown outcome; it cannot be applied any more');
  }

  /** The mod revision of the lock key; undefined where that is gone. */
  async #lockRevision(options: CallOptions): Promise<Revision | undefined> {
    const { lock, onLost } = this.#options;
    const found = await this.#client.get(lock.key, options);
    if (found?.createRevision === lock.createRevision) return found.modRevision;
    onLost();
    return undefined;
  }
}
