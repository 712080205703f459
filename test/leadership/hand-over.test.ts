/** How long nobody leads, with the duration of the lease that an operator gives. */
import { describe, expect, test } from 'vitest';
import { etcdClusterMissing } from '../support/etcd/etcd-cluster.ts';
import { Replicas } from './replicated-daemons.ts';

/** A write whose response was lost is repeated with the same value. */
const distinct = (changes: readonly string[]) => [...new Set(changes)];

const missing = etcdClusterMissing();

describe.skipIf(missing !== undefined).each(['clustermesh', 'kvstoremesh'] as const)(
  `%s${missing === undefined ? '' : ` (${missing})`}`,
  { timeout: 240_000 },
  (daemon) => {
    test('a replica leads without waiting for the lease when the leader is stopped, and after the duration of its flag when a node is lost', async () => {
      const replicas = await Replicas.start(daemon, ['5m', '5s', '5s']);
      const { daemons, etcd, source } = replicas;
      const since = await replicas.store(1).revision();
      const stoppedMs = performance.now();
      daemons[0]?.send('SIGTERM');
      // No lease of five minutes has expired when this gives up.
      const { leader: second, atMs } = await replicas.untilOneLeads([1, 2]);
      const afterStopMs = atMs - stoppedMs;
      await replicas.untilLeaderIs([second]);
      const added = await source.add(20);
      await replicas.untilWritten(added, second);

      // The node of the leader, with the etcd member that leads the others.
      await etcd.moveLeader(second);
      const third = 3 - second;
      const lostMs = performance.now();
      await Promise.all([etcd.member(second).kill(), daemons[second]?.kill()]);
      const afterLossMs = (await replicas.untilOneLeads([third])).atMs - lostMs;
      const later = await source.add(21);
      await replicas.untilWritten(later, third);
      expect(distinct(await replicas.changes(since, third))).toEqual([`put ${added}`, `put ${later}`]);
      const seconds = (ms: number) => (ms / 1000).toFixed(2);
      process.stdout.write(
        `${daemon}: the next replica leads ${seconds(afterStopMs)} s after SIGTERM, ${seconds(afterLossMs)} s after the loss of a node\n`,
      );
    });
  },
);
