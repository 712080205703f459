import { expect, test } from 'vitest';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { ConfigDirectory } from '../../support/kvstoremesh/config-directory.ts';
import { KvstoremeshRun } from '../../support/kvstoremesh/kvstoremesh-run.ts';
import { type Remote, type Store, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { observe } from '../../support/kvstoremesh/oracle.ts';
import { type LogLine, recordingLogger } from '../../support/recording-logger.ts';
import { until } from '../../support/until.ts';
import { ADDRESSES, putAddresses } from './fault-test.ts';
import { watchForLeaks } from './leaks.ts';

test.skipIf(etcdVersions().length === 0)(
  'fault 27: of two daemons with the lock one writes at a time, and nothing goes wrong or is written twice when they change places',
  async () => {
    const leaks = watchForLeaks();
    {
      await using local = await startLocal();
      await using berlin = await startFullRemote('berlin', 7);
      await using oracle = await observe(local, [berlin]);
      await using first = new Replica(local, berlin);
      await until('the first one leads', async () => Object.keys(await local.dump('cilium/synced/berlin/')).length === 6);
      await using second = new Replica(local, berlin);
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
class Replica implements AsyncDisposable {
  readonly #directory = new ConfigDirectory();
  readonly #lines: readonly LogLine[];
  readonly #run: Promise<KvstoremeshRun>;

  constructor(local: Store, remote: Remote) {
    const { log, lines } = recordingLogger();
    this.#lines = lines;
    this.#directory.add(remote);
    this.#run = KvstoremeshRun.start(local, this.#directory, { log });
  }

  get isMirroring(): boolean {
    return this.#lines.some(({ msg }) => msg === 'mirroring the remote cluster');
  }

  async stop(): Promise<void> {
    await (await this.#run).stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
