/** An etcd that answers as a test scripts it; only what reads a remote. Real etcds are used wherever they can show the behaviour. */
import type {
  CallOptions,
  EtcdClient,
  EtcdKey,
  KeyValue,
  ListOptions,
  ListPage,
  Revision,
  WatchBatch,
  WatchOptions,
} from '../../src/shared/etcd/types.ts';
import { keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';

export interface Script {
  get?(key: EtcdKey): Promise<KeyValue | undefined>;
  list?(prefix: EtcdKey): Iterable<ListPage> | AsyncIterable<ListPage>;
  watch?(prefix: EtcdKey, from: Revision): Iterable<WatchBatch> | AsyncIterable<WatchBatch>;
}

export function scriptedClient(script: Script): EtcdClient {
  const readable: Partial<EtcdClient> = {
    state: { connected: true, clusterId: 'cafe', lastContactMs: 0, lastError: undefined },
    get: (key: EtcdKey, _options: CallOptions) => script.get?.(key) ?? Promise.resolve(undefined),
    async *list(prefix: EtcdKey, _options: ListOptions) {
      yield* script.list?.(prefix) ?? [page(1)];
    },
    async *watch(prefix: EtcdKey, { from, signal }: WatchOptions) {
      yield* script.watch?.(prefix, from) ?? [];
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    },
    onRecovered: () => () => undefined,
    close: () => undefined,
  };
  return readable as EtcdClient;
}

export function keyValue(key: string, value: string, at = 1): KeyValue {
  const revision = at as Revision;
  return { key: keyOf(key), value: Buffer.from(value), createRevision: revision, modRevision: revision, lease: NO_LEASE };
}

export function page(revision: number, ...keyValues: readonly KeyValue[]): ListPage {
  return { keyValues, revision: revision as Revision, total: keyValues.length };
}

export function put(key: string, value: string, revision: number): WatchBatch {
  const event = { type: 'put', ...keyValue(key, value, revision), isCreation: true } as const;
  return { kind: 'events', events: [event], revision: revision as Revision };
}

export function removed(key: string, revision: number): WatchBatch {
  const event = { type: 'delete', key: keyOf(key), modRevision: revision as Revision } as const;
  return { kind: 'events', events: [event], revision: revision as Revision };
}
