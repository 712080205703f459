/**
 * A client of the local etcd that writes only while a key exists: the one that stands for the leader lock.
 *
 * etcd itself looks for the key, as part of each transaction. A process that was stopped for a while, or whose last write
 * is still on its way, can therefore never write after another replica has taken over.
 */
import { ConditionFailedError } from '../../shared/etcd/errors.ts';
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
} from '../../shared/etcd/types.ts';

/** Keys are written by `txn` alone. Closing it is left to the owner of the client within. */
export class FencedClient implements EtcdClient {
  readonly #client: EtcdClient;
  readonly #key: EtcdKey;
  readonly #onFenced: () => void;

  /** `onFenced` is called when a transaction was refused because `key` does not exist. */
  constructor(client: EtcdClient, key: EtcdKey, onFenced: () => void) {
    this.#client = client;
    this.#key = key;
    this.#onFenced = onFenced;
  }

  get state(): EtcdConnectionState {
    return this.#client.state;
  }

  async txn(operations: readonly TxnOperation[], options: TxnOptions): Promise<Revision> {
    const { onlyIf = [] } = options;
    try {
      return await this.#client.txn(operations, { ...options, onlyIf: [...onlyIf, { key: this.#key, exists: true }] });
    } catch (thrown) {
      if (thrown instanceof ConditionFailedError && onlyIf.length === 0) this.#onFenced();
      // Whoever is told to stop for it shall not take it for a failure.
      options.signal.throwIfAborted();
      throw thrown;
    }
  }

  /** Refused: etcd would not tell which of the two conditions has failed. */
  putIfAbsent(): Promise<boolean> {
    return Promise.reject(new Error('a fenced client puts by transactions only'));
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

  keepLease(lease: LeaseId, ttlSeconds: number, onLost: () => void): () => void {
    return this.#client.keepLease(lease, ttlSeconds, onLost);
  }

  onRecovered(listener: () => void): () => void {
    return this.#client.onRecovered(listener);
  }

  forgetCluster(): void {
    this.#client.forgetCluster();
  }

  close(): void {}
}
