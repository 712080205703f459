/** Everything that the random faults act upon: three remotes, a local etcd, the daemon, and an oracle that looks on. */

import { KvstoremeshProcess, MEMORY_PROBE } from '../support/kvstoremesh/kvstoremesh-process.ts';
import { type Store, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { type Oracle, observe } from '../support/kvstoremesh/oracle.ts';
import { startTcpProxy, type TcpProxy } from '../support/network/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { ChangingRemote } from './changing-remote.ts';

/** Pings that show a dead connection soon, and servers that take them. */
const ETCD_FLAGS = ['--grpc-keepalive-min-time=50ms'];
const KEEPALIVE = 'etcd.keepaliveHeartbeat=500ms,etcd.keepaliveTimeout=1s';

/** Durations of the daemon pass so many times faster: an audit comes every 12 seconds. */
const SPEED = 5;
/** Of real time. Its holder gives it up after a fifth of that without an answer. */
const LOCK_TTL_SECONDS = 8;

const CONVERGENCE_MS = 90_000;

export class SoakMesh implements AsyncDisposable {
  readonly remotes: readonly ChangingRemote[];
  readonly local: Store;
  readonly localProxy: TcpProxy;
  readonly daemon: KvstoremeshProcess;
  readonly oracle: Oracle;
  isLocalUp = true;

  private constructor(parts: Pick<SoakMesh, 'remotes' | 'local' | 'localProxy' | 'daemon' | 'oracle'>) {
    this.remotes = parts.remotes;
    this.local = parts.local;
    this.localProxy = parts.localProxy;
    this.daemon = parts.daemon;
    this.oracle = parts.oracle;
  }

  /** Resolves when everything is mirrored for the first time. */
  static async start(seed: number): Promise<SoakMesh> {
    const local = await startLocal({ args: ETCD_FLAGS });
    const localProxy = await startTcpProxy(local.process.port);
    const remotes = await Promise.all(
      ['berlin', 'oslo', 'rome'].map((name, index) => ChangingRemote.start(name, 7 + index, seed + index, ETCD_FLAGS)),
    );
    const daemon = await KvstoremeshProcess.prepare({
      endpoint: localProxy.endpoint,
      times: { speed: SPEED, lockTtlSeconds: LOCK_TTL_SECONDS, drainGraceMs: 500 },
      flags: [`--kvstore-opt=${KEEPALIVE}`],
      preload: [MEMORY_PROBE],
    });
    const oracle = await observe(
      local,
      remotes.map(({ remote }) => remote),
      { mayLose: true },
    );
    const world = new SoakMesh({ remotes, local, localProxy, daemon, oracle });
    daemon.add(...remotes.map(({ remote }) => remote));
    await daemon.start();
    await daemon.process.ready();
    await world.converged();
    return world;
  }

  /** Ends every fault. */
  async heal(): Promise<void> {
    this.local.process.resume();
    await this.localProxy.heal();
    if (!this.isLocalUp) await this.local.process.restart();
    this.isLocalUp = true;
    for (const changing of this.remotes) {
      changing.remote.process.resume();
      await changing.remote.proxy.heal();
      if (!changing.isUp) await changing.remote.process.restart();
      changing.isUp = true;
      this.daemon.add(changing.remote);
    }
    if (this.daemon.process.isRunning) this.daemon.process.send('SIGCONT');
    else await this.daemon.start();
  }

  /** Resolves when all faults are repaired: in the local etcd, and in the status of the daemon. */
  async converged(): Promise<void> {
    await this.oracle.converged(CONVERGENCE_MS);
    let last: unknown;
    await until(
      'everything is well',
      async () => {
        const keys = Object.keys(await this.local.dump());
        const count = (prefix: string) => keys.filter((key) => key.startsWith(prefix)).length;
        const unwell = (await this.daemon.clusters()).filter(({ ready, reason }) => ready !== true || reason !== undefined);
        last = {
          unwell,
          canaries: count('cilium/synced/'),
          configs: count('cilium/cluster-config/'),
          locks: count('cilium/kvstoremesh-lock/'),
        };
        const expected = { unwell: [], canaries: 6 * this.remotes.length, configs: this.remotes.length, locks: 1 };
        return JSON.stringify(last) === JSON.stringify(expected);
      },
      { withinMs: CONVERGENCE_MS, status: () => last },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.local.process.resume();
    await this.daemon[Symbol.asyncDispose]();
    await this.oracle[Symbol.asyncDispose]();
    await Promise.all(this.remotes.map((each) => each[Symbol.asyncDispose]()));
    await this.localProxy.stop();
    await this.local[Symbol.asyncDispose]();
  }
}
