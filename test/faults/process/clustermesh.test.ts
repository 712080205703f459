/** `clustermesh` is stopped, killed and suspended in every phase of its work; afterwards the export is whole. */

import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { until, within } from '../../support/until.ts';
import { ExportingProcess, keyOfEndpoint } from './exporting-process.ts';

interface Phase {
  readonly name: string;
  /** Starts the daemon and resolves in the middle of the phase. */
  enter(world: ExportingProcess): Promise<void>;
  /** Ends what held the daemon in the phase. */
  leave(world: ExportingProcess): Promise<void>;
}

const FIRST_LIST: Phase = {
  name: 'the first list',
  enter: async (world) => {
    world.kubernetesProxy.throttle(30_000);
    await world.run();
    await until('a part has arrived', () => world.kubernetesProxy.bytes.toClient > 60_000, { withinMs: 60_000 });
    expect(await world.local.dump('cilium/synced/east/cilium/state/ip/')).toEqual({});
  },
  leave: ({ kubernetesProxy }) => kubernetesProxy.heal(),
};

const FIRST_WRITES: Phase = {
  name: 'the first writes',
  enter: async (world) => {
    world.localProxy.delay(300);
    await world.run();
    await until('some are exported', async () => (await world.exported()) > 0, { withinMs: 75_000 });
    expect(await world.local.dump('cilium/synced/east/cilium/state/ip/')).toEqual({});
  },
  leave: ({ localProxy }) => localProxy.heal(),
};

function steadyState(): Phase {
  const changes = new AbortController();
  let changing: Promise<void> | undefined;
  const change = async (world: ExportingProcess) => {
    for (let round = 0; !changes.signal.aborted; round += 1) {
      const index = 5_000 + (round % 50);
      await world.delete(index);
      if (round % 3 > 0) await world.create(index, 80_000 + round);
      await pause(2);
    }
  };
  return {
    name: 'steady state under changes',
    enter: async (world) => {
      await world.run();
      await world.daemon.ready();
      changing = change(world);
      await until('changes arrive', async () => keyOfEndpoint(5_001) in (await world.local.dump('cilium/state/ip/')));
    },
    leave: async () => {
      changes.abort();
      await changing;
    },
  };
}

const LEASE_GRANT: Phase = {
  name: 'the grant of a lease',
  enter: async (world) => {
    world.local.process.pause();
    await world.run();
    await until('it asks its etcd', () => world.localProxy.bytes.toServer > 0, { withinMs: 75_000 });
  },
  leave: ({ local }) => Promise.resolve(local.process.resume()),
};

async function goesOn(world: ExportingProcess): Promise<void> {
  await world.run();
  await world.daemon.ready();
  await world.settled();
}

describe.skipIf(etcdVersions().length === 0).concurrent('clustermesh', { timeout: 240_000 }, () => {
  test.each<Phase>([FIRST_LIST, FIRST_WRITES, steadyState(), LEASE_GRANT])(
    'fault 41: stopped in $name, it ends in time with status 0, and a new start completes what is missing',
    async (phase) => {
      await using world = await ExportingProcess.start();
      await phase.enter(world);
      world.daemon.send('SIGTERM');
      expect(await within('it stops', world.daemon.ended(), 45_000), world.daemon.log).toBe(0);
      await phase.leave(world);
      await goesOn(world);
    },
  );

  test.each<Phase>([FIRST_LIST, FIRST_WRITES, steadyState()])(
    'fault 41: killed in $name, it is started again and the export becomes whole, no canary before its data',
    async (phase) => {
      await using world = await ExportingProcess.start();
      await phase.enter(world);
      await world.daemon.kill();
      await phase.leave(world);
      await goesOn(world);
    },
  );

  test('fault 41: two signals at once end it, by force where it has not stopped before the second is looked at', async () => {
    await using world = await ExportingProcess.start();
    await world.run();
    await world.daemon.ready();
    // Both find it suspended. The kernel decides which is first, and how soon the other one follows.
    for (const signal of ['SIGSTOP', 'SIGINT', 'SIGTERM', 'SIGCONT'] as const) world.daemon.send(signal);
    const status = await within('it ends', world.daemon.ended(), 45_000);
    const wasForced = world.daemon.log.includes('"second signal; exiting immediately"');
    expect(wasForced ? [130, 143] : [0], world.daemon.log).toContain(status);
  });

  test('fault 18: suspended until all of its leases have ended, it writes everything again and keeps its process', async () => {
    await using world = await ExportingProcess.start({ leaseTtlSeconds: 3 });
    await world.run();
    await world.daemon.ready();
    world.daemon.send('SIGSTOP');
    await until('nothing of it is left', async () => Object.keys(await world.local.dump()).length === 0, { withinMs: 30_000 });
    await world.create(5_000);
    await world.delete(5_001);
    world.daemon.send('SIGCONT');
    await world.settled();
    const canaries = async () => Object.keys(await world.local.dump('cilium/synced/east/')).length;
    await until('the canaries are back', async () => (await canaries()) === 6);
    const single = Object.keys(await world.local.dump()).filter((key) =>
      /^cilium\/(cluster-config\/east|\.heartbeat)$/.test(key),
    );
    expect(single.length).toBe(2);
    expect(world.daemon.isRunning).toBe(true);
  });
});
