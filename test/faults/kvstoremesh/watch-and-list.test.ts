import { execFileSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { describe, expect, test } from 'vitest';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { RESTORING_ETCDCTL } from '../../support/etcd/etcdctl.ts';
import { Mesh, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { observe } from '../../support/kvstoremesh/oracle.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { ADDRESSES, deleteBelow, disconnect, faultTest, putAddresses, said, serverMetric } from './fault-test.ts';
import { watchForLeaks } from './leaks.ts';

const LISTED_AGAIN = 'watch position lost; relisting';
const WRONG_KEYS = 'audit found keys written or removed externally; restoring them';
/** Why no backup can be restored here; undefined where it can. */
function snapshotTool(): string | undefined {
  if (!etcdVersions().some(({ minor }) => minor === '3.4')) return '(no etcd 3.4)';
  return RESTORING_ETCDCTL === undefined ? '(no etcdctl 3.4 or 3.5)' : undefined;
}

function etcdctl(...args: string[]): string {
  return execFileSync(RESTORING_ETCDCTL ?? '', args, {
    env: { PATH: process.env.PATH, ETCDCTL_API: '3' },
    encoding: 'utf8',
    stdio: 'pipe',
  });
}

const NODES = 'cilium/cache/nodes/v1/berlin/';

faultTest(
  'fault 1: a connection that is cut in the middle of a backlog is resumed where it was, and no key is lost',
  {},
  async (rig) => {
    const { berlin, lines } = rig;
    await disconnect(rig);
    await putAddresses(berlin, 4_000, 'a'.repeat(100));
    await berlin.delete(`${ADDRESSES}10.0.0.7`);
    await berlin.proxy.heal();
    berlin.proxy.cutAfterBytes(210_000);
    const accepted = berlin.proxy.accepted;
    await until('it is connected again', () => berlin.proxy.accepted > accepted + 1);
    expect(said(lines, LISTED_AGAIN)).toBe(0);
  },
);

faultTest(
  'fault 2: what was compacted while a remote was away costs one listing of each kind, and no key that still exists',
  {},
  async (rig) => {
    const { berlin, mesh, oracle, lines } = rig;
    await putAddresses(berlin, 300, 'old');
    await oracle.converged();
    await disconnect(rig);
    await putAddresses(berlin, 200, 'new', 100);
    await berlin.delete(`${ADDRESSES}10.0.0.1`, `${ADDRESSES}10.0.0.2`);
    await berlin.compact();
    await berlin.proxy.heal();
    await oracle.converged();
    await mesh.until('it is read again', 'berlin', ({ ready }) => ready);
    expect(said(lines, LISTED_AGAIN)).toBeGreaterThanOrEqual(6);
    // With the heartbeat, the canaries and the cluster config.
    expect(said(lines, LISTED_AGAIN)).toBeLessThanOrEqual(9);
  },
);

faultTest(
  'fault 3: a listing whose revision is compacted between its pages, twice, restarts and removes nothing',
  { pageSize: 20 },
  async (rig) => {
    const { berlin, mesh, oracle } = rig;
    const failures = () => serverMetric(berlin, 'grpc_server_handled_total{grpc_code="OutOfRange",grpc_method="Range"');
    await putAddresses(berlin, 2_000, 'a'.repeat(200));
    await oracle.converged();
    await disconnect(rig);
    await berlin.put({ [`${ADDRESSES}10.0.0.1`]: 'changed' });
    await berlin.compact();
    const before = await failures();
    await berlin.proxy.heal();
    berlin.proxy.throttle(200_000);
    let reason: string | undefined;
    await until(
      'two listings have failed',
      async () => {
        await berlin.compact();
        reason ??= mesh.status('berlin')?.reason?.match(/endpoints: revision .*/)?.[0];
        // Two more than the nine watches from before the outage, which end with a range at their own revision.
        return (await failures()) >= before + 11 && reason !== undefined;
      },
      { withinMs: 45_000, status: () => ({ reason, status: mesh.status('berlin') }) },
    );
    expect(reason).toContain('was compacted');
  },
);

test.skipIf(etcdVersions().length === 0)(
  'fault 4: a catch-up of 40 MB is taken in one answer, and in slices',
  { timeout: 90_000 },
  async () => {
    const leaks = watchForLeaks();
    {
      await using local = await startLocal();
      await using berlin = await startFullRemote('berlin', 7);
      await using mesh = await Mesh.mirroring(local, [berlin]);
      await disconnect({ berlin });
      const value = Buffer.alloc(500_000, 'v');
      await putAddresses(berlin, 80, value);
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      await berlin.proxy.heal();
      await until(
        'everything is mirrored',
        () => mesh.status('berlin')?.['num-endpoints'] === 81 && mesh.publisher.stats.pending === 0,
        { withinMs: 75_000, status: () => mesh.publisher.stats },
      );
      delay.disable();
      process.stdout.write(
        `fault 4: the event loop was blocked for ${(delay.max / 1e6).toFixed(0)} ms at most, proxy included\n`,
      );
      // Only now: what it reads in the same process would be measured too.
      await using oracle = await observe(local, [berlin]);
      await oracle.converged();
    }
    await leaks.none();
  },
);

faultTest(
  'fault 8: a remote that is restored from an older copy of its data is compared again, although it has the same cluster ID',
  { silenceMs: 30_000 },
  async (rig) => {
    const { berlin, oracle, lines } = rig;
    await putAddresses(berlin, 50, 'kept');
    await oracle.converged();
    await berlin.process.kill();
    const copy = temporaryDirectory('copy');
    cpSync(berlin.process.dataDir, copy, { recursive: true });
    await berlin.process.restart();
    await putAddresses(berlin, 100, 'lost', 40);
    await berlin.delete(`${ADDRESSES}10.0.0.3`);
    await oracle.converged();
    await berlin.process.kill();
    rmSync(berlin.process.dataDir, { recursive: true });
    cpSync(copy, berlin.process.dataDir, { recursive: true });
    await berlin.process.restart();
    await oracle.converged();
    expect(lines.some(({ reason }) => reason?.includes('the store is behind revision'))).toBe(true);
  },
);

const canRestore = snapshotTool();

describe.skipIf(canRestore !== undefined)(`a remote with a backup ${canRestore ?? ''}`, () => {
  faultTest(
    'fault 8: a remote that is restored from a backup is another etcd, and only differences are written',
    { remote: { version: '3.4' }, silenceMs: 30_000 },
    async (rig) => {
      const { local, berlin, mesh, oracle, lines } = rig;
      await putAddresses(berlin, 50, 'kept');
      await oracle.converged();
      const backup = join(temporaryDirectory('backup'), 'backup.db');
      etcdctl('snapshot', 'save', backup, `--endpoints=${berlin.process.endpoint}`);
      const kept = await local.revision();
      await putAddresses(berlin, 100, 'lost', 40);
      await oracle.converged();
      await berlin.process.kill();
      rmSync(berlin.process.dataDir, { recursive: true });
      const peer = 'http://127.0.0.1:0';
      const member = ['--name=default', `--initial-cluster=default=${peer}`, `--initial-advertise-peer-urls=${peer}`];
      etcdctl(
        'snapshot',
        'restore',
        backup,
        `--data-dir=${berlin.process.dataDir}`,
        '--initial-cluster-token=restored',
        ...member,
      );
      await berlin.process.restart();
      berlin.client.forgetCluster();
      await oracle.converged();
      await mesh.until('it is read again', 'berlin', ({ ready }) => ready);
      expect(lines.some(({ reason }) => reason?.includes('the store behind the endpoint was replaced'))).toBe(true);
      expect(await local.revision('cilium/cache/ip/v1/berlin/10.0.0.0')).toBeLessThanOrEqual(kept);
    },
  );
});

faultTest(
  'fault 9: ten thousand deletions of one revision are carried out in full, a bounded number at once',
  { timeoutMs: 90_000 },
  async (rig) => {
    const { berlin, mesh, oracle } = rig;
    await putAddresses(berlin, 10_000, 'x');
    await oracle.converged(75_000);
    let mostPending = 0;
    const watching = setInterval(() => {
      mostPending = Math.max(mostPending, mesh.publisher.stats.pending);
    }, 5);
    try {
      await deleteBelow(berlin, ADDRESSES);
      await oracle.converged(75_000);
    } finally {
      clearInterval(watching);
    }
    expect(mostPending).toBeLessThanOrEqual(10_001);
    const series = await mesh.registry.metrics();
    const batches = (bound: string) =>
      Number(series.match(new RegExp(`publisher_batch_operations_bucket{le="${bound}"} (\\d+)`))?.[1]);
    expect(batches('128')).toBe(batches('\\+Inf'));
  },
);

faultTest(
  'fault 10: a mirrored key that is removed, overwritten or added externally is restored, reported and counted',
  { auditIntervalMs: 100 },
  async (rig) => {
    const { local, mesh, oracle, lines } = rig;
    oracle.pardon(await local.delete(`${NODES}node-1`));
    await local.put({ [`${NODES}stranger`]: 'x', 'cilium/cache/services/v1/berlin/shop/1': 'tampered' });
    await oracle.converged();
    expect(said(lines, 'keys removed externally from the local etcd; restoring them')).toBe(1);
    expect(said(lines, WRONG_KEYS)).toBeGreaterThanOrEqual(1);
    const series = await mesh.registry.metrics();
    for (const reason of ['deleted', 'overwritten', 'foreign']) {
      expect(series).toMatch(new RegExp(`publisher_repairs_total{reason="${reason}"} 1`));
    }
  },
);
