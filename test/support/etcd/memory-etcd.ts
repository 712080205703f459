/**
 * The parts of an etcd that a publisher uses, in memory: for sizes that would take minutes with a real one, and for moments
 * that a real one cannot be brought into. Behaviour towards etcd itself is tested on a real one.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LeaseNotFoundError } from '../../../src/shared/etcd/errors.ts';
import {
  type EtcdClient,
  type EtcdKey,
  type KeyValue,
  keyOf,
  type LeaseId,
  type ListOptions,
  type ListPage,
  NO_LEASE,
  NO_REVISION,
  type Revision,
  type TxnOperation,
  type WatchBatch,
  type WatchEvent,
  type WatchOptions,
} from '../../../src/shared/etcd/types.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { createPublisher, type PublisherOptions } from '../../../src/shared/publisher/publisher.ts';
import type { Publisher } from '../../../src/shared/publisher/types.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';

const PAGE = 1000;

interface Watcher {
  readonly prefix: EtcdKey;
  readonly deletesOnly: boolean;
  events: WatchEvent[];
  wake: () => void;
}

export class MemoryEtcd {
  /** Keys by `directoryOf`, for a list that looks at few of many. */
  readonly #directories = new Map<string, Map<EtcdKey, KeyValue>>();
  readonly #leases = new Map<LeaseId, () => void>();
  readonly #watchers = new Set<Watcher>();
  #revision = 1 as Revision;
  #nextLease = 1n;
  #lists = 0;
  #size = 0;
  readonly #ends = new Set<(batch: WatchBatch) => void>();

  /** Lists that were asked for. */
  get lists(): number {
    return this.#lists;
  }

  /** Keys that there are. */
  get size(): number {
    return this.#size;
  }

  count(prefix: EtcdKey): number {
    return [...this.#below(prefix)].length;
  }

  valueOf(key: EtcdKey): Buffer | undefined {
    return this.#get(key)?.value;
  }

  leaseOf(key: EtcdKey): LeaseId {
    return this.#get(key)?.lease ?? NO_LEASE;
  }

  deleteAll(prefix: EtcdKey): void {
    this.#apply([...this.#below(prefix)].map(({ key }) => ({ type: 'delete', key })));
  }

  /** All leases end, and with them all keys that hang on one. */
  revokeAll(): void {
    const lost = [...this.#leases.values()];
    this.#leases.clear();
    this.#apply([...this.#below('')].filter(({ lease }) => lease !== NO_LEASE).map(({ key }) => ({ type: 'delete', key })));
    for (const onLost of lost) onLost();
  }

  /** Every watch receives that its history is gone. */
  compact(): void {
    for (const end of this.#ends) end({ kind: 'compacted', compactRevision: this.#revision });
    this.#ends.clear();
  }

  client(): EtcdClient {
    const client: Partial<EtcdClient> = {
      get: async (key) => {
        await nextTurn();
        return this.#get(key);
      },
      list: (prefix, options) => this.#list(prefix, options),
      watch: (prefix, options) => this.#watch(prefix, options),
      txn: async (operations) => {
        for (const operation of operations)
          if (operation.type === 'put' && operation.lease !== NO_LEASE && !this.#leases.has(operation.lease))
            throw new LeaseNotFoundError();
        const copied = operations.map((operation) =>
          operation.type === 'put' ? { ...operation, value: Buffer.from(operation.value) } : operation,
        );
        await nextTurn();
        return this.#apply(copied);
      },
      grantLease: () => {
        const lease = this.#nextLease as LeaseId;
        this.#nextLease += 1n;
        this.#leases.set(lease, () => undefined);
        return Promise.resolve(lease);
      },
      leaseTimeToLive: (lease) => Promise.resolve(this.#leases.has(lease) ? { ttl: 900, grantedTtl: 900 } : undefined),
      keepLease: (lease, _, onLost) => {
        this.#leases.set(lease, onLost);
        return () => undefined;
      },
      onRecovered: () => () => undefined,
      forgetCluster: () => undefined,
    };
    return client as EtcdClient;
  }

  #apply(operations: readonly TxnOperation[]): Revision {
    this.#revision = (this.#revision + 1) as Revision;
    const modRevision = this.#revision;
    for (const operation of operations) {
      const { key } = operation;
      if (operation.type === 'put') {
        const value = operation.value as Buffer;
        const before = this.#get(key);
        const isCreation = before === undefined;
        const createRevision = before?.createRevision ?? modRevision;
        const { lease } = operation;
        if (isCreation) this.#size += 1;
        const directory = this.#directories.get(directoryOf(key)) ?? new Map<EtcdKey, KeyValue>();
        this.#directories.set(directoryOf(key), directory.set(key, { key, value, createRevision, modRevision, lease }));
        this.#tell({ type: 'put', key, value, modRevision, lease, isCreation });
      } else if (this.#directories.get(directoryOf(key))?.delete(key) === true) {
        this.#size -= 1;
        this.#tell({ type: 'delete', key, modRevision });
      }
    }
    return modRevision;
  }

  #get(key: EtcdKey): KeyValue | undefined {
    return this.#directories.get(directoryOf(key))?.get(key);
  }

  *#below(prefix: string): IterableIterator<KeyValue> {
    for (const [directory, keys] of this.#directories) {
      if (!directory.startsWith(prefix) && !prefix.startsWith(directory.slice(0, -2))) continue;
      for (const keyValue of keys.values()) if (keyValue.key.startsWith(prefix)) yield keyValue;
    }
  }

  #tell(event: WatchEvent): void {
    for (const watcher of this.#watchers) {
      if ((watcher.deletesOnly && event.type === 'put') || !event.key.startsWith(watcher.prefix)) continue;
      watcher.events.push(event);
      watcher.wake();
    }
  }

  async *#list(prefix: EtcdKey, { keysOnly = false, minModRevision = NO_REVISION }: ListOptions): AsyncGenerator<ListPage> {
    this.#lists += 1;
    const revision = this.#revision;
    let keyValues: KeyValue[] = [];
    const nothing = Buffer.alloc(0);
    for (const keyValue of this.#below(prefix)) {
      if (keyValue.modRevision < minModRevision) continue;
      keyValues.push(keysOnly ? { ...keyValue, value: nothing } : keyValue);
      if (keyValues.length < PAGE) continue;
      await nextTurn();
      yield { keyValues, revision, total: 0 };
      keyValues = [];
    }
    await nextTurn();
    yield { keyValues, revision, total: 0 };
  }

  async *#watch(prefix: EtcdKey, { signal, deletesOnly = false }: WatchOptions): AsyncGenerator<WatchBatch> {
    const watcher: Watcher = { prefix, deletesOnly, events: [], wake: () => undefined };
    this.#watchers.add(watcher);
    let end: WatchBatch | undefined;
    this.#ends.add((batch) => {
      end = batch;
      watcher.wake();
    });
    signal.addEventListener('abort', () => watcher.wake(), { once: true });
    try {
      while (!signal.aborted && end === undefined) {
        if (watcher.events.length === 0) await new Promise<void>((resolve) => (watcher.wake = resolve));
        const all = watcher.events;
        watcher.events = [];
        for (let at = 0; at < all.length && !signal.aborted; at += PAGE) {
          const events = all.slice(at, at + PAGE);
          await nextTurn();
          yield { kind: 'events', events, revision: (events.at(-1) as WatchEvent).modRevision };
        }
      }
      if (end !== undefined) yield end;
    } finally {
      this.#watchers.delete(watcher);
    }
  }
}

/** What the key has before its last slash, and its last two characters: a map of all keys would stand still while it grows. */
function directoryOf(key: EtcdKey): string {
  return `${key.slice(0, key.lastIndexOf('/') + 1)}${key.slice(-2)}`;
}

/** A running publisher on an etcd in memory. */
export function memoryPublisher(
  options: Partial<PublisherOptions> = {},
  etcd = new MemoryEtcd(),
): {
  readonly etcd: MemoryEtcd;
  readonly publisher: Publisher;
  readonly stop: () => Promise<void>;
} {
  const observer = { transaction() {}, syncError() {}, repair() {}, rejected() {}, synced() {} };
  const defaults = { root: keyOf('cilium/'), leaseTtlSeconds: 900, clock: systemClock, log: silentLogger, observer };
  const publisher = createPublisher({ client: etcd.client(), ...defaults, ...options });
  const abort = new AbortController();
  const running = publisher.run(abort.signal);
  const stop = async () => {
    abort.abort();
    await running;
  };
  return { etcd, publisher, stop };
}
