/** Daemons whose connections move to a member of the same etcd that lags behind: it is the same store, at an older revision. */
import { describe, expect, test } from 'vitest';
import { EtcdCluster, etcdClusterMissing } from '../support/etcd/etcd-cluster.ts';
import { proxyForTest } from '../support/etcd/etcd-fixture.ts';
import { ConfigDirectory } from '../support/kvstoremesh/config-directory.ts';
import { KvstoremeshRun } from '../support/kvstoremesh/kvstoremesh-run.ts';
import { Remote } from '../support/kvstoremesh/mesh-fixture.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { until } from '../support/until.ts';
import { changesSince } from './replicated-daemons.ts';

const KEYS = 100;

const many = (tag: string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: KEYS }, (_, index) => [`cilium/state/nodes/v1/berlin/${tag}-${index}`, tag]));

const missing = etcdClusterMissing();

describe.skipIf(missing !== undefined)(`kvstoremesh${missing === undefined ? '' : ` (${missing})`}`, { timeout: 180_000 }, () => {
  test('fault 44: it writes and relists nothing when its own etcd, or that of a remote, is reached through a member that lags behind', async () => {
    await using locals = await EtcdCluster.start();
    await using remotes = await EtcdCluster.start();
    await Promise.all([locals.moveLeader(2), remotes.moveLeader(2)]);
    const [localProxy, remoteProxy] = [await proxyForTest(locals.member(0).port), await proxyForTest(remotes.member(0).port)];
    await using berlin = new Remote('berlin', remotes.member(2), remoteProxy);
    await using local = new Remote('harbor', locals.member(2), localProxy);
    await berlin.configure(7);
    await berlin.fill('1');
    await berlin.announce();
    const directory = new ConfigDirectory();
    directory.add(berlin);
    const { log, lines } = recordingLogger();
    await using daemon = await KvstoremeshRun.start(`etcd.address=${localProxy.endpoint}`, directory, { log });
    await daemon.ready();
    const mirrored = async () => Object.keys(await local.dump('cilium/cache/nodes/')).length;
    const untilMirrored = (count: number) =>
      until(`${count} nodes are mirrored`, async () => (await mirrored()) === count, { status: () => lines.slice(-10) });
    // The members elect a leader after each change, and reject writes until then.
    const write = (entries: Record<string, string>) => until('it is written', () => berlin.put(entries));
    // An etcd that elects a leader may store a write that it has not answered, which is then written again.
    const untilConfirmed = () =>
      until('etcd has confirmed every write', async () => {
        const { body } = await daemon.get('metrics', '/metrics');
        const sizes = [...body.matchAll(/^cilium_kvstoremesh_kvstore_sync_queue_size\{.*\} (\d+)$/gm)].map(([, size]) => size);
        return sizes.length > 0 && sizes.every((size) => size === '0');
      });
    const changed: string[] = [];
    for (const [round, lagging] of [1, 0].entries()) {
      locals.isolate(lagging);
      remotes.isolate(lagging);
      await write(many(`while-${round}`));
      await untilMirrored(1 + KEYS * (round + 1));
      await untilConfirmed();
      const since = await local.revision();
      for (const [etcd, proxy] of [
        [locals, localProxy],
        [remotes, remoteProxy],
      ] as const) {
        proxy.retarget(etcd.member(lagging).port);
        etcd.heal();
        proxy.cut();
      }
      await daemon.until('it is connected', 'berlin', ({ connected }) => connected);
      await write({ 'cilium/state/nodes/v1/berlin/node-1': `round ${round}` });
      await until(
        'the next change is mirrored',
        async () => (await local.dump())['cilium/cache/nodes/v1/berlin/node-1'] === `round ${round}`,
      );
      changed.push(...(await changesSince(local.client, since)));
    }
    expect(changed.filter((change) => !change.endsWith('/berlin/node-1'))).toEqual([]);
    const texts = lines.map(({ msg }) => msg).join('\n');
    expect(texts).not.toMatch(/was replaced|watch position lost|leader lock lost/);
    expect(lines.map(({ reason }) => String(reason)).join('\n')).not.toMatch(/replaced|emptied/);
  });
});
