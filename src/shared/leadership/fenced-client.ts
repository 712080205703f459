/**
 * A client of the local etcd that writes only while the key of the leader lock exists.
 *
 * etcd checks for the key in each transaction. A process that was suspended, or whose last write is still under way, can
 * therefore never write after another replica has taken over.
 */
import { ConditionFailedError } from '../etcd/errors.ts';
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

/** Only `txn` writes keys. The owner of the wrapped client closes it. */
export class FencedClient implements EtcdClient {
  readonly #client: EtcdClient;
  readonly #key: EtcdKey;
  readonly #onFenced: () => void;

  /** `onFenced` is called when etcd refused a transaction because `key` does not exist. */
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
      // A caller that is aborted because of it must not see a failure.
      options.signal.throwIfAborted();
      throw thrown;
    }
  }

  /** Always rejects: etcd does not report which of the two conditions failed. */
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
}
