/**
 * One etcd for a test file, emptied before each test, and publishers on it that end with the test.
 */
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { type EtcdClient, type EtcdKey, keyOf } from '../../src/shared/etcd/types.ts';
import type { Section } from '../../src/shared/publisher/types.ts';
import { type EtcdProcess, startEtcd } from '../support/etcd/etcd-process.ts';
import { below, bytes, connect, type Rig, type RigOptions, startRig } from '../support/publisher-run.ts';

type Options = Omit<RigOptions, 'endpoint'>;

export interface PublisherFixture {
  readonly etcd: EtcdProcess;
  /** A client of its own, to be closed by whoever asked for it. */
  outside(): EtcdClient;
  start(options?: Options): Rig;
  /** A publisher whose source has listed `values`, and that is synced. */
  loaded(values: Record<string, string>, options?: Options): Promise<{ rig: Rig; section: Section }>;
}

export const signal = () => AbortSignal.timeout(60_000);

export function publisherFixture(): PublisherFixture {
  let etcd: EtcdProcess;
  const rigs: Rig[] = [];
  beforeAll(async () => {
    etcd = await startEtcd();
  });
  beforeEach(async () => {
    const client = connect(etcd.endpoint);
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
    outside: () => connect(etcd.endpoint),
    start,
    loaded: async (values, options = {}) => {
      const rig = start(options);
      const section = rig.section();
      for (const [name, value] of Object.entries(values)) section.upsert(below(name), bytes(value));
      section.listed();
      await section.whenSynced(signal());
      return { rig, section };
    },
  };
}
