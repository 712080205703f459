/** The process itself is stopped, killed, suspended, or broken, in every phase of its work; afterwards the mirror is whole. */

import { describe, expect, test } from 'vitest';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { KvstoremeshProcess } from '../../support/kvstoremesh/kvstoremesh-process.ts';
import { until, within } from '../../support/until.ts';
import {
  DRAIN,
  FIRST_LIST,
  FIRST_WRITES,
  GRACE,
  LEASE_GRANT,
  type Mirroring,
  type Phase,
  startMirroring,
  steadyState,
} from './kvstoremesh-phases.ts';

/** Runs the daemon again after what has happened, and holds it to its promises. */
async function goesOn({ daemon, local, oslo, oracle }: Mirroring, { removes = false }: Phase): Promise<void> {
  await daemon.start({ lockTtlSeconds: 2, drainGraceMs: 100, orphansMs: 100 });
  if (removes) {
    // What the removal had not reached yet is removed although the cluster has no file.
    const left = async () => Object.keys(await local.dump('cilium/')).filter((key) => key.includes('/oslo'));
    await until('nothing is left of oslo', async () => (await left()).length === 0, { withinMs: 75_000, status: left });
    daemon.add(oslo);
  }
  await daemon.process.ready();
  await oracle.converged(75_000);
  await daemon.until('all is well', 'oslo', ({ ready, reason }) => ready && reason === undefined);
}

describe.skipIf(etcdVersions().length === 0).concurrent('kvstoremesh', { timeout: 240_000 }, () => {
  test.each<Phase>([FIRST_LIST, FIRST_WRITES, steadyState(), GRACE, DRAIN, LEASE_GRANT])(
    'fault 41: stopped in $name, it ends in time with status 0, and a new start completes what is missing',
    async (phase) => {
      await using world = await startMirroring(phase);
      await phase.enter(world);
      world.daemon.process.send('SIGTERM');
      expect(await within('it stops', world.daemon.process.ended(), 45_000), world.daemon.process.log).toBe(0);
      expect(world.daemon.lines.at(-1)?.msg).toBe('stopped');
      await phase.leave(world);
      await goesOn(world, phase);
    },
  );

  test.each<Phase>([FIRST_LIST, FIRST_WRITES, steadyState(), GRACE, DRAIN])(
    'fault 41: killed in $name, it is started again and the mirror becomes whole, no canary before its data',
    async (phase) => {
      await using world = await startMirroring(phase);
      await phase.enter(world);
      await world.daemon.process.kill();
      await phase.leave(world);
      await goesOn(world, phase);
    },
  );

  test('fault 41: a second SIGTERM does not wait for what the first one waits for', async () => {
    await using world = await startMirroring();
    const { daemon, local } = world;
    await daemon.start();
    await daemon.process.ready();
    local.process.pause();
    daemon.process.send('SIGTERM');
    await daemon.untilLogged('"stopping"');
    daemon.process.send('SIGTERM');
    expect(await within('it ends', daemon.process.ended(), 45_000)).toBe(143);
    expect(daemon.lines.at(-1)?.msg).toBe('second signal; exiting immediately');
  });

  test('fault 18: suspended until all of its leases have ended, it leads again, writes everything and keeps its process', async () => {
    await using world = await startMirroring({ times: { leaseTtlSeconds: 3 }, mayLose: true });
    const { daemon, local, berlin, oracle } = world;
    await daemon.start();
    await daemon.process.ready();
    await oracle.converged();
    daemon.process.send('SIGSTOP');
    await until('nothing of it is left', async () => Object.keys(await local.dump()).length === 0, { withinMs: 45_000 });
    await berlin.fill('2');
    await berlin.delete(...Object.keys(berlin.keys('1', 'state')));
    daemon.process.send('SIGCONT');
    await oracle.converged();
    const canaries = async () => Object.keys(await local.dump('cilium/synced/')).length;
    await until('the canaries are back', async () => (await canaries()) === 12);
    expect(Object.keys(await local.dump('cilium/cluster-config/')).length).toBe(2);
    expect(Object.keys(await local.dump('cilium/kvstoremesh-lock/')).length).toBe(1);
    expect(daemon.process.isRunning).toBe(true);
  });
});

const BREAK_MIRROR = new URL('broken-mirror.ts', import.meta.url).href;

describe.skipIf(etcdVersions().length === 0).concurrent('a mistake of this program', { timeout: 240_000 }, () => {
  test('fault 42: in the work on one remote costs that one a new start with back-off, and no other its streams', async () => {
    await using world = await startMirroring();
    const { local, berlin, oslo, oracle } = world;
    await using daemon = await KvstoremeshProcess.prepare({
      endpoint: local.process.endpoint,
      times: { lockTtlSeconds: 2 },
      preload: [BREAK_MIRROR],
    });
    daemon.add(oslo);
    await daemon.start();
    await daemon.until('oslo is mirrored', 'oslo', ({ ready }) => ready);
    const { accepted } = oslo.proxy;
    daemon.add(berlin);
    await daemon.until('berlin is told', 'berlin', ({ reason }) => reason?.includes('a mistake that was planted'));
    await oslo.fill('2');
    await daemon.until('oslo goes on', 'oslo', (status) => status['num-nodes'] === 2);
    await daemon.until('berlin is mirrored', 'berlin', ({ ready }) => ready);
    await oracle.converged();
    expect(oslo.proxy.accepted).toBe(accepted);
    expect((await daemon.status('oslo'))?.['num-failures']).toBeUndefined();
    const told = daemon.lines.filter(({ err }) => err !== undefined);
    expect(told).toMatchObject([{ level: 'error', cluster: 'berlin', err: { message: 'a mistake that was planted' } }]);
    expect(told[0]?.err?.stack).toContain('broken-mirror.ts');
    expect((await daemon.status('berlin'))?.['num-failures']).toBe(3);
    expect(daemon.process.isRunning).toBe(true);
  });

  test('fault 42: outside of that ends the process with one line and a status that is not 0', async () => {
    await using world = await startMirroring();
    const { local, oslo } = world;
    const preload = [new URL('broken-timer.ts', import.meta.url).href];
    await using daemon = await KvstoremeshProcess.prepare({
      endpoint: local.process.endpoint,
      times: { lockTtlSeconds: 2 },
      preload,
    });
    daemon.add(oslo);
    await daemon.start();
    await daemon.process.ready();
    daemon.process.send('SIGUSR2');
    expect(await within('it ends', daemon.process.ended(), 45_000)).toBe(255);
    const told = daemon.lines.filter(({ level }) => level === 'fatal' || level === 'error');
    expect(told).toMatchObject([{ level: 'fatal', msg: 'a mistake that was planted', err: { stack: expect.any(String) } }]);
  });
});
