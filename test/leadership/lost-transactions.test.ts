/** A transaction that the leader of etcd has lost, over three members. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { type EtcdClient, keyOf, NO_LEASE, type TxnOperation } from '../../src/shared/etcd/types.ts';
import { LeaderChangedError } from '../../src/shared/leadership/errors.ts';
import { FencedClient } from '../../src/shared/leadership/fenced-client.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { bytes, connect, overriding, soon } from '../support/etcd/etcd-client.ts';
import { EtcdCluster, etcdClusterMissing } from '../support/etcd/etcd-cluster.ts';
import { proxyForTest, put } from '../support/etcd/etcd-fixture.ts';
import type { TcpProxy } from '../support/network/tcp-proxy.ts';
import { until } from '../support/until.ts';

const missing = etcdClusterMissing();
const LOCK = keyOf('cilium/kvstoremesh-lock/1');
const KEY = keyOf('cilium/x');

const write = (value: string): TxnOperation[] => [{ type: 'put', key: KEY, value: bytes(value), lease: NO_LEASE }];

interface Parts {
  readonly etcd: EtcdCluster;
  /** Of the member at place 1; the one at 0 leads. */
  readonly client: EtcdClient;
  readonly fenced: FencedClient;
  /** Between that member and its client. */
  readonly proxy: TcpProxy;
  /** How often the term was asked for. */
  readonly asked: () => number;
}

async function started(): Promise<Parts> {
  const etcd = await EtcdCluster.start();
  onTestFinished(() => etcd[Symbol.asyncDispose]());
  await etcd.moveLeader(0);
  const proxy = await proxyForTest(etcd.member(1).port);
  const client = connect(proxy.endpoint);
  const createRevision = await put(client, LOCK);
  let [asked, reads] = [0, 0];
  const counting = overriding(client, {
    leaderTerm: async (key, options) => {
      asked += 1;
      const term = await client.leaderTerm(key, options);
      reads += 1;
      return term;
    },
  });
  const fenced = new FencedClient({
    client: counting,
    lock: { key: LOCK, lease: NO_LEASE, createRevision },
    onLost: () => undefined,
    clock: systemClock,
    log: silentLogger,
    signal: soon().signal,
  });
  await fenced.txn(write('first'), soon());
  await until('the term is known', () => reads > 0);
  return { etcd, client, fenced, proxy, asked: () => asked };
}

describe.skipIf(missing !== undefined)(
  `a transaction${missing === undefined ? '' : ` (${missing})`}`,
  { timeout: 120_000 },
  () => {
    test('fails when another leader was elected before it was answered, and is not applied after the next one', async () => {
      const { etcd, client, fenced } = await started();
      etcd.member(0).pause();
      onTestFinished(() => etcd.member(0).resume());
      await expect(fenced.txn(write('old'), soon())).rejects.toThrow(LeaderChangedError);
      await until('it is written', () => fenced.txn(write('new'), soon()).catch(() => undefined));
      etcd.member(0).resume();
      await etcd.moveLeader(0);
      await fenced.txn(write('newer'), soon());
      expect((await client.get(KEY, soon()))?.value.toString()).toBe('newer');
    });

    test('is waited for while the answers of the same leader are slow', async () => {
      const { client, fenced, proxy, asked } = await started();
      proxy.blackHole('toClient');
      const written = fenced.txn(write('slow'), soon());
      const before = asked();
      await until('the term is asked for', () => asked() > before);
      await proxy.heal();
      await written;
      expect((await client.get(KEY, soon()))?.value.toString()).toBe('slow');
    });
  },
);
