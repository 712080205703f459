/**
 * A `kvstoremesh` process between a remote of many keys and a local etcd, each behind a proxy, and the phases of its work in
 * which something can happen to it.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { KvstoremeshProcess } from '../../support/kvstoremesh/kvstoremesh-process.ts';
import { type Remote, type Store, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { type Oracle, observe } from '../../support/kvstoremesh/oracle.ts';
import { startTcpProxy, type TcpProxy } from '../../support/network/tcp-proxy.ts';
import type { QuickTimes } from '../../support/processes/quick-daemon.ts';
import { until } from '../../support/until.ts';

const ENDPOINTS = 1_200;
const PADDING = 'x'.repeat(100);

export interface Mirroring extends AsyncDisposable {
  readonly local: Store;
  readonly localProxy: TcpProxy;
  readonly berlin: Remote;
  readonly oslo: Remote;
  readonly daemon: KvstoremeshProcess;
  /** Of both remotes, from before the daemon is started. */
  readonly oracle: Oracle;
}

export interface PhaseOptions {
  readonly times?: QuickTimes;
  /** Keys may vanish although their sources have them: a cluster is removed, leases end. */
  readonly mayLose?: boolean;
}

/** Everything but the daemon runs. */
export async function startMirroring({ times = {}, mayLose = false }: PhaseOptions = {}): Promise<Mirroring> {
  const [local, berlin, oslo] = await Promise.all([startLocal(), startFullRemote('berlin', 7), startFullRemote('oslo', 8)]);
  for (let from = 0; from < ENDPOINTS; from += 100) {
    const address = (_: unknown, i: number) => `cilium/state/ip/v1/default/10.1.${(from + i) >> 8}.${(from + i) & 255}`;
    await berlin.put(Object.fromEntries(Array.from({ length: 100 }, address).map((name) => [name, PADDING])));
  }
  const oracle = await observe(local, [berlin, oslo], { mayLose });
  const localProxy = await startTcpProxy(local.process.port);
  const daemon = await KvstoremeshProcess.prepare({ endpoint: localProxy.endpoint, times: { lockTtlSeconds: 2, ...times } });
  daemon.add(berlin, oslo);
  return {
    ...{ local, localProxy, berlin, oslo, daemon, oracle },
    [Symbol.asyncDispose]: async () => {
      local.process.resume();
      await daemon[Symbol.asyncDispose]();
      await oracle[Symbol.asyncDispose]();
      await localProxy.stop();
      await Promise.all([local, berlin, oslo].map((each) => each[Symbol.asyncDispose]()));
    },
  };
}

export interface Phase extends PhaseOptions {
  readonly name: string;
  /** oslo has no file any more. */
  readonly removes?: boolean;
  /** Starts the daemon and resolves in the middle of the phase. */
  enter(world: Mirroring): Promise<void>;
  /** Ends what held the daemon in the phase. */
  leave(world: Mirroring): Promise<void>;
}

const CANARY = 'cilium/synced/berlin/cilium/cache/ip/v1';
const mirrored = async ({ local }: Mirroring) => Object.keys(await local.dump('cilium/cache/ip/v1/berlin/')).length;

export const FIRST_LIST: Phase = {
  name: 'the first list',
  enter: async ({ berlin, daemon }) => {
    berlin.proxy.throttle(20_000);
    await daemon.start();
    await until('a part of the list has arrived', () => berlin.proxy.bytes.toClient > 15_000, { withinMs: 60_000 });
    expect((await daemon.status('berlin'))?.ready).toBeUndefined();
  },
  leave: ({ berlin }) => berlin.proxy.heal(),
};

export const FIRST_WRITES: Phase = {
  name: 'the first writes',
  enter: async (world) => {
    const { daemon, local, localProxy } = world;
    await daemon.start();
    await daemon.untilLogged('this replica is the leader');
    localProxy.delay(300);
    await until('some keys are written', async () => (await mirrored(world)) > 0, { withinMs: 75_000 });
    expect(await mirrored(world)).toBeLessThan(ENDPOINTS);
    expect(await local.dump(CANARY)).toEqual({});
  },
  leave: ({ localProxy }) => localProxy.heal(),
};

/** Keys come, change and go until `signal` is aborted. */
async function change({ berlin }: Mirroring, signal: AbortSignal): Promise<void> {
  for (let round = 0; !signal.aborted; round += 1) {
    await berlin.put(Object.fromEntries(Array.from({ length: 20 }, (_, i) => [key((round * 7 + i) % 200), `round ${round}`])));
    await berlin.delete(key((round * 3) % 200), key((round * 5) % 200));
    await pause(5);
  }
}

const key = (index: number) => `cilium/state/nodes/v1/berlin/changing-${index}`;

export function steadyState(): Phase {
  const changes = new AbortController();
  let changing: Promise<void> | undefined;
  return {
    name: 'steady state under changes',
    enter: async (world) => {
      await world.daemon.start();
      await world.daemon.process.ready();
      changing = change(world, changes.signal);
      await until('changes arrive', async () => 'cilium/cache/nodes/v1/berlin/changing-0' in (await world.local.dump()));
    },
    leave: async () => {
      changes.abort();
      await changing;
    },
  };
}

export const GRACE: Phase = {
  name: 'the grace of a removed cluster',
  mayLose: true,
  removes: true,
  enter: async ({ daemon, local }) => {
    await daemon.start();
    await daemon.process.ready();
    daemon.remove('oslo');
    await daemon.untilLogged('its keys are kept until agents have had time to disconnect');
    expect(await local.dump('cilium/cluster-config/oslo')).toEqual({});
  },
  leave: () => Promise.resolve(),
};

export const DRAIN: Phase = {
  name: 'the removal of its keys',
  mayLose: true,
  removes: true,
  times: { drainGraceMs: 100 },
  enter: async ({ daemon, local, localProxy }) => {
    await daemon.start();
    await daemon.process.ready();
    localProxy.delay(300);
    daemon.remove('oslo');
    const canaries = async () => Object.keys(await local.dump('cilium/synced/oslo/')).length;
    await until('the removal has begun', async () => (await canaries()) === 0, { withinMs: 75_000 });
  },
  leave: ({ localProxy }) => localProxy.heal(),
};

export const LEASE_GRANT: Phase = {
  name: 'the grant of a lease',
  enter: async ({ daemon, local, localProxy }) => {
    local.process.pause();
    await daemon.start();
    await until('it asks its etcd', () => localProxy.bytes.toServer > 0, { withinMs: 75_000 });
  },
  leave: ({ local }) => Promise.resolve(local.process.resume()),
};
