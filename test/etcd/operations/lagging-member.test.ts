/** A connection that moves to a member of the same etcd that lags behind: its older revision is no sign of another store. */
import { describe, expect, test } from 'vitest';
import { connect, history, revisionOf } from '../../support/etcd/etcd-client.ts';
import { EtcdCluster, etcdClusterMissing } from '../../support/etcd/etcd-cluster.ts';
import { proxyForTest, putMany, record } from '../../support/etcd/etcd-fixture.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { until } from '../../support/until.ts';

const missing = etcdClusterMissing();

describe.skipIf(missing !== undefined).each(etcdVersions())(
  `with three members of etcd $version${missing === undefined ? '' : ` (${missing})`}`,
  { timeout: 120_000 },
  ({ version }) => {
    test('fault 44: a watch that moves to a member that lags behind delivers every event once, in order', async () => {
      await using etcd = await EtcdCluster.start({ version });
      await etcd.moveLeader(2);
      const proxy = await proxyForTest(etcd.member(0).port);
      const writer = connect(etcd.member(2).endpoint);
      const since = await revisionOf(writer);
      const watch = record(connect(proxy.endpoint), 'cilium/', since + 1);
      // The members elect a leader after each change, and reject writes until then.
      const write = (keys: string, count: number) => until('the keys are written', () => putMany(writer, keys, count));
      const arrived = async () => {
        const written = (await history(writer, since)).map(({ key, modRevision }) => ({ key, modRevision }));
        const events = () => watch.events.filter(({ key }) => !key.startsWith('cilium/~'));
        await until('every event has arrived', () => events().length >= written.length);
        expect(events().map(({ key, modRevision }) => ({ key, modRevision }))).toEqual(written);
      };
      await write('cilium/lag/0/', 500);
      await arrived();
      for (const [round, lagging] of [1, 0, 1].entries()) {
        etcd.isolate(lagging);
        await write(`cilium/lag/${round + 1}/`, 2_000);
        await arrived();
        proxy.retarget(etcd.member(lagging).port);
        // One move while the member has no leader, the others as it catches up.
        if (round === 0) proxy.cut();
        etcd.heal();
        if (round > 0) proxy.cut();
        await write(`cilium/lag/${round + 1}-more/`, 10);
        await arrived();
      }
      expect(watch.hasEnded()).toBe(false);
    });
  },
);
