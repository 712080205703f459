/** Random actions on a mesh. Each action chooses its target, acts, and returns a description. */
import { setTimeout as pause } from 'node:timers/promises';
import { keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';
import type { TcpProxy } from '../support/network/tcp-proxy.ts';
import type { Random } from '../support/random.ts';
import type { ChangingRemote } from './changing-remote.ts';
import type { SoakMesh } from './soak-mesh.ts';

export interface Action {
  readonly weight: number;
  /** The process is another one afterwards. */
  readonly restarts?: true;
  /** What it did; undefined where it found nothing to act upon. */
  run(world: SoakMesh, random: Random): Promise<string | undefined>;
}

function anyProxy({ remotes, localProxy }: SoakMesh, random: Random): readonly [string, TcpProxy] {
  const proxies = remotes.map(({ name, remote }) => [name, remote.proxy] as const);
  return random.pick([...proxies, ['local', localProxy] as const]);
}

function running({ remotes }: SoakMesh, random: Random): ChangingRemote | undefined {
  const up = remotes.filter(({ isUp }) => isUp);
  return up.length === 0 ? undefined : random.pick(up);
}

const network: readonly Action[] = [
  {
    weight: 4,
    run: async (world, random) => {
      const [name, proxy] = anyProxy(world, random);
      proxy.cut();
      return `cut ${name}`;
    },
  },
  {
    weight: 2,
    run: async (world, random) => {
      const [name, proxy] = anyProxy(world, random);
      const bytes = random.between(100, 200_000);
      proxy.cutAfterBytes(bytes);
      return `cut ${name} after ${bytes} bytes`;
    },
  },
  {
    weight: 2,
    run: async (world, random) => {
      const [name, proxy] = anyProxy(world, random);
      const direction = random.pick(['toServer', 'toClient', 'both'] as const);
      proxy.blackHole(direction);
      return `black hole ${name} ${direction}`;
    },
  },
  {
    weight: 2,
    run: async (world, random) => {
      const [name, proxy] = anyProxy(world, random);
      const ms = random.between(1, 400);
      proxy.delay(ms);
      return `delay ${name} by ${ms} ms`;
    },
  },
  {
    weight: 2,
    run: async (world, random) => {
      const [name, proxy] = anyProxy(world, random);
      for (let flap = 0; flap < 5; flap += 1) {
        await proxy.disconnect();
        await pause(random.between(10, 200));
        await proxy.heal();
        await pause(random.between(10, 200));
      }
      return `flap ${name}`;
    },
  },
  {
    weight: 2,
    run: async (world, random) => {
      const [name, proxy] = anyProxy(world, random);
      await proxy.heal();
      return `heal ${name}`;
    },
  },
];

const sources: readonly Action[] = [
  {
    weight: 3,
    run: async (world, random) => {
      const changing = running(world, random);
      await changing?.remote.compact();
      return changing && `compact ${changing.name}`;
    },
  },
  {
    weight: 2,
    run: async (world, random) => {
      const changing = running(world, random);
      if (changing === undefined) return undefined;
      const ms = random.between(100, 4_000);
      changing.remote.process.pause();
      await pause(ms);
      changing.remote.process.resume();
      return `pause ${changing.name} for ${ms} ms`;
    },
  },
  {
    weight: 2,
    run: async (world, random) => {
      const changing = running(world, random);
      if (changing === undefined) return undefined;
      changing.isUp = false;
      await changing.remote.process.kill();
      return `kill ${changing.name}`;
    },
  },
  {
    weight: 1,
    run: async (world, random) => {
      const changing = running(world, random);
      if (changing === undefined) return undefined;
      const isAnother = random.next() < 0.7;
      changing.isUp = false;
      const token = isAnother ? { clusterToken: `soak-${random.between(0, 1e9)}` } : {};
      await changing.remote.process.restart({ wipe: true, ...token });
      changing.remote.client.forgetCluster();
      await changing.setUp();
      changing.isUp = true;
      return `wipe ${changing.name}, ${isAnother ? 'another' : 'the same'} cluster ID`;
    },
  },
  {
    weight: 1,
    run: async (world, random) => {
      const changing = running(world, random);
      if (changing === undefined) return undefined;
      await changing.remote.configure(random.pick([0, 200, 256]));
      await pause(random.between(100, 2_000));
      await changing.remote.configure(changing.id);
      return `give ${changing.name} an impossible ID for a moment`;
    },
  },
];

const destination: readonly Action[] = [
  {
    weight: 2,
    run: async ({ local, isLocalUp }, random) => {
      if (!isLocalUp) return undefined;
      const ms = random.between(100, 4_000);
      local.process.pause();
      await pause(ms);
      local.process.resume();
      return `pause the local etcd for ${ms} ms`;
    },
  },
  {
    weight: 1,
    run: async (world) => {
      if (!world.isLocalUp) return undefined;
      world.isLocalUp = false;
      await world.local.process.kill();
      return 'kill the local etcd';
    },
  },
  {
    weight: 1,
    run: async (world, random) => {
      const isAnother = random.next() < 0.7;
      const token = isAnother ? { clusterToken: `soak-${random.between(0, 1e9)}` } : {};
      await world.local.process.restart({ wipe: true, ...token });
      world.isLocalUp = true;
      world.local.client.forgetCluster();
      return `wipe the local etcd, ${isAnother ? 'another' : 'the same'} cluster ID`;
    },
  },
  {
    weight: 2,
    run: async ({ local, isLocalUp }) => {
      if (!isLocalUp) return undefined;
      await local.compact();
      return 'compact the local etcd';
    },
  },
  {
    weight: 2,
    run: async ({ local, isLocalUp }, random) => {
      if (!isLocalUp) return undefined;
      const leases = new Set<bigint>();
      for await (const page of local.client.list(keyOf('cilium/'), { signal: AbortSignal.timeout(5_000) }))
        for (const { lease } of page.keyValues) if (lease !== NO_LEASE) leases.add(lease);
      if (leases.size === 0) return undefined;
      await local.client.revokeLease(random.pick([...leases]) as never, { signal: AbortSignal.timeout(5_000) });
      return 'revoke a lease';
    },
  },
  {
    weight: 3,
    run: async ({ local, isLocalUp, oracle }, random) => {
      const keys = isLocalUp ? Object.keys(await local.dump('cilium/cache/')) : [];
      if (keys.length === 0) return undefined;
      const key = random.pick(keys);
      const kind = random.pick(['delete', 'overwrite', 'plant beside'] as const);
      if (kind === 'delete') oracle.pardon(await local.delete(key));
      else await local.put({ [kind === 'overwrite' ? key : `${key}-planted`]: 'tampered with' });
      return `${kind} ${key}`;
    },
  },
];

const process: readonly Action[] = [
  {
    weight: 2,
    run: async ({ daemon, remotes }, random) => {
      const { remote } = random.pick(remotes);
      daemon.configure(remote.name, `# ${random.between(0, 1e9)}\nendpoints: ["${remote.proxy.endpoint}"]\n`);
      return `swap the file of ${remote.name}`;
    },
  },
  {
    weight: 1,
    run: async ({ daemon, remotes }, random) => {
      const { remote } = random.pick(remotes);
      daemon.add(remote);
      daemon.remove(remote.name);
      await pause(random.between(100, 3_000));
      return `remove the file of ${remote.name}`;
    },
  },
  {
    weight: 1,
    run: async ({ daemon }, random) => {
      const ms = random.between(100, 4_000);
      daemon.process.send('SIGSTOP');
      await pause(ms);
      daemon.process.send('SIGCONT');
      return `suspend the daemon for ${ms} ms`;
    },
  },
  {
    weight: 2,
    restarts: true,
    run: async ({ daemon }, random) => {
      await pause(random.between(0, 500));
      await daemon.process.kill();
      await daemon.start();
      return 'kill the daemon';
    },
  },
  {
    weight: 1,
    restarts: true,
    run: async ({ daemon }) => {
      daemon.process.send('SIGTERM');
      const status = await daemon.process.ended();
      // Before its first line the process has no signal handlers yet.
      const isBegun = daemon.process.log !== '';
      if (status !== 0 && (isBegun || status !== null))
        throw new Error(`the daemon stopped with status ${status}: ${daemon.process.log.slice(-2_000)}`);
      await daemon.start();
      return 'stop the daemon';
    },
  },
];

const ACTIONS: readonly Action[] = [...network, ...sources, ...destination, ...process];

/** An action by chance. */
export function pickAction(random: Random, mayRestart: boolean): Action {
  const possible = ACTIONS.filter(({ restarts }) => mayRestart || restarts === undefined);
  let at = random.next() * possible.reduce((sum, { weight }) => sum + weight, 0);
  for (const action of possible) {
    at -= action.weight;
    if (at < 0) return action;
  }
  return possible[0] as Action;
}
