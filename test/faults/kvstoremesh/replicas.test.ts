import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { kvstoremeshFlagTable } from '../../../src/kvstoremesh/flags.ts';
import { runKvstoremesh } from '../../../src/kvstoremesh/run.ts';
import { parseFlags } from '../../../src/shared/flags/parse.ts';
import { createRegistry } from '../../../src/shared/http/metrics.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { VERSION } from '../../../src/shared/version.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { type Remote, type Store, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh.ts';
import { observe } from '../../support/kvstoremesh/oracle.ts';
import { freePort } from '../../support/network/free-port.ts';
import { recordingLogger } from '../../support/recording-logger.ts';
import { until } from '../../support/until.ts';
import { ADDRESSES, putAddresses } from './fault-test.ts';
import { watchForLeaks } from './leaks.ts';

test.skipIf(etcdVersions().length === 0)(
  'fault 27: of two daemons with the lock one writes at a time, and nothing goes wrong or is written twice when they change places',
  { timeout: 120_000 },
  async () => {
    const leaks = watchForLeaks();
    {
      await using local = await startLocal();
      await using berlin = await startFullRemote('berlin', 7);
      await using oracle = await observe(local, [berlin]);
      await using first = await Daemon.start(local, berlin);
      await until('the first one leads', async () => Object.keys(await local.dump('cilium/synced/berlin/')).length === 6);
      await using second = await Daemon.start(local, berlin);
      await until('the second one stands by', async () => Object.keys(await local.dump('cilium/kvstoremesh-lock/')).length === 2);
      await putAddresses(berlin, 300, 'of the first');
      await oracle.converged();
      expect([first.isMirroring, second.isMirroring]).toEqual([true, false]);
      const [kept, changed] = [`cilium/cache/ip/v1/berlin/10.0.0.250`, `${ADDRESSES}10.0.0.1`];
      const before = await local.revision(kept);
      await first.stop();
      await berlin.put({ [changed]: 'of the second' });
      await until('the second one leads', () => second.isMirroring, { withinMs: 45_000 });
      await oracle.converged();
      expect(await local.revision(kept)).toBe(before);
    }
    await leaks.none();
  },
);

/** A whole daemon in this process. */
class Daemon implements AsyncDisposable {
  readonly #directory: string;
  readonly #lines: readonly { readonly msg: string }[];
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  private constructor(directory: string, flags: readonly string[]) {
    const parsed = parseFlags(kvstoremeshFlagTable, [...flags]);
    if (parsed === 'help') throw new Error('no flags');
    const { log, lines } = recordingLogger();
    this.#directory = directory;
    this.#lines = lines;
    const metrics = createRegistry('cilium_kvstoremesh_', VERSION);
    this.#ended = runKvstoremesh(parsed.values, { log, clock: systemClock, metrics, signal: this.#stop.signal });
    this.#ended.catch(() => undefined);
  }

  static async start(local: Store, remote: Remote): Promise<Daemon> {
    const directory = mkdtempSync(join(tmpdir(), 'kvstoremesh-'));
    writeFileSync(join(directory, remote.name), `endpoints: ["${remote.proxy.endpoint}"]\n`);
    return new Daemon(directory, [
      '--cluster-name=harbor',
      '--cluster-id=200',
      `--clustermesh-config=${directory}`,
      `--kvstore-opt=etcd.address=${local.process.endpoint}`,
      `--health-port=${await freePort()}`,
      `--api-serve-addr=127.0.0.1:${await freePort()}`,
      `--prometheus-serve-addr=127.0.0.1:${await freePort()}`,
    ]);
  }

  get isMirroring(): boolean {
    return this.#lines.some(({ msg }) => msg === 'the remote cluster is mirrored');
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped by the test'));
    await this.#ended.catch(() => undefined);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
