/**
 * A publisher on a real etcd, with what a test needs to look at it from outside; or one etcd for a test file, emptied before each
 * test, and publishers on it that end with the test.
 */
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { type EtcdClient, type EtcdKey, type KeyValue, keyOf } from '../../src/shared/etcd/types.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { createPublisher } from '../../src/shared/publisher/publisher.ts';
import type {
  Publisher,
  PublisherObserver,
  RejectReason,
  RepairReason,
  Section,
  SectionOptions,
} from '../../src/shared/publisher/types.ts';
import { type Clock, systemClock } from '../../src/shared/time/clock.ts';
import { bytes, listAll, openClient, soon } from '../support/etcd/etcd-client.ts';
import { type EtcdProcess, startEtcd } from '../support/etcd/etcd-process.ts';
import { until } from '../support/until.ts';

const ROOT = keyOf('cilium/');
export const PREFIX = keyOf('cilium/cache/nodes/v1/west/');
export const CANARY = keyOf('cilium/synced/west/cilium/cache/nodes/v1');

export interface Recorded extends PublisherObserver {
  readonly repairs: Map<RepairReason, number>;
  readonly rejections: RejectReason[];
  transactions: number;
  operations: number;
}

function recorder(): Recorded {
  const repairs = new Map<RepairReason, number>();
  const rejections: RejectReason[] = [];
  const recorded: Recorded = {
    repairs,
    rejections,
    transactions: 0,
    operations: 0,
    transaction: (operations) => {
      recorded.transactions += 1;
      recorded.operations += operations;
    },
    syncError: () => undefined,
    repair: (reason, keys) => repairs.set(reason, (repairs.get(reason) ?? 0) + keys),
    rejected: (reason) => rejections.push(reason),
    synced: () => undefined,
  };
  return recorded;
}

export interface RigOptions {
  readonly endpoint: string;
  readonly leaseTtlSeconds?: number;
  readonly keysPerLease?: number;
  readonly maxTxnOperations?: number;
  readonly auditIntervalMs?: number;
  /** Of the publisher; its client has the system's. */
  readonly clock?: Clock;
}

/** A running publisher with its own client. `stop` ends both and leaves everything in etcd, as a killed process would. */
export interface Rig {
  readonly client: EtcdClient;
  readonly publisher: Publisher;
  readonly recorded: Recorded;
  readonly signal: AbortSignal;
  section(options?: Partial<SectionOptions>): Section;
  stop(): Promise<void>;
}

export function startRig(options: RigOptions): Rig {
  const client = openClient(options.endpoint);
  const abort = new AbortController();
  const recorded = recorder();
  const { endpoint: _, leaseTtlSeconds = 900, ...rest } = options;
  const publisher = createPublisher({
    client,
    root: ROOT,
    leaseTtlSeconds,
    clock: systemClock,
    log: silentLogger,
    observer: recorded,
    ...rest,
  });
  const running = publisher.run(abort.signal);
  return {
    client,
    publisher,
    recorded,
    signal: abort.signal,
    section: (overrides = {}) =>
      publisher.section({
        scope: 'nodes/v1',
        cluster: 'west',
        prefix: PREFIX,
        rank: 0,
        owns: 'prefix',
        canary: CANARY,
        ...overrides,
      }),
    stop: async () => {
      abort.abort(new Error('stopped by the test'));
      await running;
      client.close();
    },
  };
}

export const below = (name: string): EtcdKey => keyOf(PREFIX + name);
/** Everything below `prefix`, by key. */
export async function contents(client: EtcdClient, prefix: EtcdKey = PREFIX): Promise<Map<string, KeyValue>> {
  return new Map((await listAll(client, prefix)).map((keyValue) => [keyValue.key, keyValue]));
}

/** Key names below PREFIX and their values as text. */
export async function texts(client: EtcdClient): Promise<Record<string, string>> {
  const found = await contents(client);
  return Object.fromEntries([...found].map(([key, { value }]) => [key.slice(PREFIX.length), value.toString('utf8')]));
}

export async function settledAs(client: EtcdClient, expected: Record<string, string>): Promise<void> {
  const wanted = JSON.stringify(Object.entries(expected).sort());
  await until(`etcd holds ${wanted}`, async () => JSON.stringify(Object.entries(await texts(client)).sort()) === wanted, {
    withinMs: 45_000,
  });
}

type Options = Omit<RigOptions, 'endpoint'>;

export interface PublisherFixture {
  readonly etcd: EtcdProcess;
  /** A client of its own, which the caller closes. */
  outside(): EtcdClient;
  start(options?: Options): Rig;
  /** A publisher whose source has listed `values`, and that is synced. */
  loaded(values: Record<string, string>, options?: Options): Promise<{ rig: Rig; section: Section }>;
}

export const signal = (): AbortSignal => soon().signal;

/** The source has listed everything; resolves when etcd holds it. */
export function sync(section: Section): Promise<void> {
  section.listed();
  return section.whenSynced(signal());
}

export function publisherFixture(): PublisherFixture {
  let etcd: EtcdProcess;
  const rigs: Rig[] = [];
  beforeAll(async () => {
    etcd = await startEtcd();
  });
  beforeEach(async () => {
    const client = openClient(etcd.endpoint);
    await client.txn([{ type: 'delete', key: keyOf('\0'), end: keyOf('\0') as EtcdKey }], { signal: signal() });
    client.close();
    return async () => {
      await Promise.all(rigs.splice(0).map((rig) => rig.stop()));
    };
  });
  afterAll(async () => {
    await etcd.stop();
  });
  const start = (options: Options = {}) => {
    const rig = startRig({ endpoint: etcd.endpoint, ...options });
    rigs.push(rig);
    return rig;
  };
  return {
    get etcd() {
      return etcd;
    },
    outside: () => openClient(etcd.endpoint),
    start,
    loaded: async (values, options = {}) => {
      const rig = start(options);
      const section = rig.section();
      for (const [name, value] of Object.entries(values)) section.upsert(below(name), bytes(value));
      await sync(section);
      return { rig, section };
    },
  };
}
