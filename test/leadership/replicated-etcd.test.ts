/** Three replicas of each daemon over an etcd of three members: what a fault of the leader's member does to the keys. */
import { describe, expect, test } from 'vitest';
import { type EtcdCluster, etcdClusterMissing } from '../support/etcd/etcd-cluster.ts';
import { until, within } from '../support/until.ts';
import { Replicas } from './replicated-daemons.ts';

interface Fault {
  readonly happens: (etcd: EtcdCluster) => Promise<void> | void;
  readonly ends: (etcd: EtcdCluster) => Promise<void> | void;
}

/** All of the member of the first replica. */
const FAULTS: Readonly<Record<string, Fault>> = {
  'is killed': { happens: (etcd) => etcd.member(0).kill(), ends: (etcd) => etcd.member(0).restart() },
  'is stopped': { happens: (etcd) => etcd.terminate(0), ends: (etcd) => etcd.member(0).restart() },
  hangs: { happens: (etcd) => etcd.member(0).pause(), ends: (etcd) => etcd.member(0).resume() },
  'is cut off from the other members': { happens: (etcd) => etcd.isolate(0), ends: (etcd) => etcd.heal() },
};

/** A write whose response was lost is repeated with the same value. */
const distinct = (changes: readonly string[]) => [...new Set(changes)];

const missing = etcdClusterMissing();

describe.skipIf(missing !== undefined).each(['clustermesh', 'kvstoremesh'] as const)(
  `of three replicas of %s, each with a member of one etcd${missing === undefined ? '' : ` (${missing})`}`,
  { timeout: 240_000 },
  (daemon) => {
    test.for(Object.entries(FAULTS))('fault 43: another one leads when the member of the leader %s', async ([, fault]) => {
      const replicas = await Replicas.start(daemon);
      const { etcd, source } = replicas;
      await etcd.moveLeader(0);
      const since = await replicas.store(1).revision();
      const before = await replicas.store(1).dump(source.prefix);
      expect(Object.keys(before).length).toBeGreaterThanOrEqual(10);

      await fault.happens(etcd);
      const added = await source.add(20);
      await replicas.untilLeaderIs([1, 2]);
      await replicas.untilWritten(added);
      expect(distinct(await replicas.changes(since))).toEqual([`put ${added}`]);
      await until('the loss is logged', () => replicas.daemons[0]?.log.includes('leader lock lost; standing by'));

      await fault.ends(etcd);
      await replicas.untilQueued(3);
      const healed = await replicas.store(1).revision();
      const later = await source.add(21);
      await replicas.untilWritten(later, 0);
      // Not always the same one: a member that led when it hung may revoke leases before it learns that it no longer leads.
      await replicas.untilLeaderIs([0, 1, 2]);
      expect(distinct(await replicas.changes(healed))).toEqual([`put ${later}`]);
      expect(Object.keys(await replicas.store(0).dump(source.prefix)).sort()).toEqual(
        [...Object.keys(before), added, later].sort(),
      );
      expect(replicas.daemons.every(({ isRunning }) => isRunning)).toBe(true);
      for (const { log } of replicas.daemons) expect(log).not.toMatch(/was replaced|emptied or restored/);
    });

    test('another one leads at once when the leader is stopped, and within the duration of the lease when it is killed', async () => {
      const replicas = await Replicas.start(daemon);
      const { source, daemons } = replicas;
      const since = await replicas.store(1).revision();
      daemons[0]?.send('SIGTERM');
      expect(await within('it stops', daemons[0]?.ended() ?? Promise.resolve(1), 5_000)).toBe(0);
      const second = await replicas.untilLeaderIs([1, 2]);
      const added = await source.add(20);
      await replicas.untilWritten(added);
      await daemons[second]?.kill();
      await replicas.untilLeaderIs([3 - second]);
      const later = await source.add(21);
      await replicas.untilWritten(later);
      expect(await replicas.changes(since)).toEqual([`put ${added}`, `put ${later}`]);
    });
  },
);
