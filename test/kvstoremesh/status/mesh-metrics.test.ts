import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Freshness } from '../../../src/kvstoremesh/remote/freshness.ts';
import { Registry } from '../../../src/shared/http/metrics.ts';
import { ManualClock } from '../../support/clocks.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { ConfigDirectory } from '../../support/kvstoremesh/config-directory.ts';
import { KvstoremeshRun } from '../../support/kvstoremesh/kvstoremesh-run.ts';
import { FULL, Mesh, type Remote, type Store, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../../support/until.ts';

test('what is served is as old as the question that the last proof answered, and only once that is confirmed', async () => {
  const clock = new ManualClock();
  const freshness = new Freshness(clock);
  await clock.advance(5_000);
  expect(freshness.ageMs).toBe(5_000);
  const confirmation = Promise.withResolvers<void>();
  freshness.answered(4_000, () => confirmation.promise);
  freshness.answered(4_500, () => Promise.resolve());
  await clock.advance(1_000);
  expect(freshness.ageMs).toBe(6_000);
  confirmation.resolve();
  await clock.advance(1_000);
  expect(freshness.ageMs).toBe(3_000);
  freshness.answered(6_900, () => Promise.reject(new Error('given up')));
  await clock.advance(1_000);
  expect(freshness.ageMs).toBe(4_000);
  freshness.answered(8_000, () => Promise.resolve());
  await clock.advance(0);
  expect(freshness.ageMs).toBe(0);
});

describe.skipIf(etcdVersions().length === 0)('what is served of a remote', () => {
  test('grows old from its addition on, and is proven when it answers', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = new Mesh(local);
    await berlin.process.kill();
    mesh.add(berlin);
    const remote = mesh.find('berlin');
    const ageMs = () => remote?.stalenessMs ?? Number.NaN;
    await until('it grows old', () => ageMs() > 1_000);
    expect(remote?.initialSyncMs).toBeUndefined();
    await berlin.process.restart();
    await mesh.synced('berlin');
    const initialSyncMs = await until('its first load is written', () => remote?.initialSyncMs);
    await until('it is proven', () => ageMs() < 500);
    berlin.process.pause();
    await until('it grows old again', () => ageMs() > 1_000);
    berlin.process.resume();
    await until('it is proven again', () => ageMs() < 500);
    expect(remote?.initialSyncMs).toBe(initialSyncMs);
  });

  test('grows old too while the local etcd takes nothing of it', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin]);
    const ageMs = () => mesh.find('berlin')?.stalenessMs ?? Number.NaN;
    const status = () => [ageMs(), mesh.status('berlin'), mesh.publisher.stats];
    local.process.pause();
    await berlin.fill('2');
    await until('it grows old', () => ageMs() > 1_000, { status });
    local.process.resume();
    await until('it is proven again', () => ageMs() < 500, { status });
  });
});

describe.skipIf(etcdVersions().length === 0)('the series of a remote cluster', () => {
  let directory: ConfigDirectory;
  let local: Store;
  let berlin: Remote;
  let registry: Registry;
  let daemon: KvstoremeshRun | undefined;

  beforeEach(async () => {
    directory = new ConfigDirectory();
    registry = new Registry('t_');
    local = await startLocal();
    berlin = await startFullRemote('berlin', 7);
  });
  afterEach(async () => {
    await daemon?.stop();
    daemon = undefined;
    await Promise.all([local[Symbol.asyncDispose](), berlin[Symbol.asyncDispose]()]);
  });

  async function start(...flags: string[]): Promise<void> {
    daemon = await KvstoremeshRun.start(local, directory, { flags, timing: { drainGraceMs: 500 }, metrics: registry });
  }

  const configure = (remote: Remote) => directory.add(remote);
  /** The number of the series; undefined where there is none. */
  async function value(series: string): Promise<number | undefined> {
    const line = (await registry.metrics()).split('\n').find((each) => each.startsWith(`t_${series} `));
    return line === undefined ? undefined : Number(line.split(' ').at(-1));
  }
  const INITIAL = 'initial_sync_seconds{target_cluster="berlin"}';
  const isMirrored = () => until('berlin is mirrored', () => value(INITIAL));

  test('sample changes, but neither listings nor what is nothing new', async () => {
    configure(berlin);
    await start();
    const age = await until('its age is told', () => value('remote_cluster_staleness_seconds{target_cluster="berlin"}'));
    expect(age).toBeGreaterThan(0);
    await isMirrored();
    expect(await value('propagation_delay_seconds_count')).toBe(0);
    await berlin.fill('1');
    await berlin.put({ 'cilium/state/nodes/v1/berlin/node-2': 'two' });
    await until('the change is sampled', () => value('propagation_delay_seconds_count'));
    await berlin.delete('cilium/state/nodes/v1/berlin/node-2');
    await until('the removal is sampled', async () => (await value('propagation_delay_seconds_count')) === 2);
    expect(await value('propagation_delay_seconds_bucket{le="+Inf"}')).toBe(2);
  });

  test('count attempts to mirror it and readings of what it is, where the flag names these groups of controllers', async () => {
    configure(berlin);
    await start('--controller-group-metrics=clustermesh-remote-cluster,clustermesh-cluster-config');
    await isMirrored();
    const runs = (group: string, status: string) =>
      value(`controllers_group_runs_total{group_name="${group}",status="${status}"}`);
    expect(await runs('clustermesh-remote-cluster', 'success')).toBe(1);
    expect(await runs('clustermesh-remote-cluster', 'failure')).toBe(0);
    expect(await runs('clustermesh-cluster-config', 'success')).toBeGreaterThan(0);
    expect(await runs('clustermesh-cluster-config', 'failure')).toBe(0);
    expect(await registry.metrics()).not.toContain('group_name="k8s-heartbeat"');
    await berlin.delete('cilium/cluster-config/berlin');
    await until('its config is missed', () => runs('clustermesh-cluster-config', 'failure'));
    directory.remove('berlin');
    await until('it is gone', async () => !(await registry.metrics()).includes('berlin'));
    await berlin.process.kill();
    configure(berlin);
    await until('it cannot be connected', () => runs('clustermesh-remote-cluster', 'failure'));
    expect(await runs('clustermesh-remote-cluster', 'success')).toBe(1);
  });

  test('show what is read over the present connection, and what was once written', async () => {
    const { endpointSlicesExportMode: _, ...capabilities } = FULL;
    await berlin.configure(7, capabilities);
    configure(berlin);
    await start();
    await isMirrored();
    const synced = (scope: string, action: string) =>
      value(`kvstore_initial_sync_completed{scope="${scope}",source_cluster="berlin",action="${action}"}`);
    expect(await synced('nodes/v1', 'read')).toBe(1);
    // What the remote does not export is not read.
    expect(await synced('endpointslices/v1', 'read')).toBeUndefined();
    expect(await synced('endpointslices/v1', 'write')).toBe(1);
    await berlin.process.kill();
    await until('the connection is lost', async () => (await synced('nodes/v1', 'read')) === 0, { withinMs: 45_000 });
    expect(await synced('nodes/v1', 'write')).toBe(1);
  });

  test('show that a remote is rejected until its ID is valid', async () => {
    await berlin.configure(0, FULL);
    configure(berlin);
    await start();
    const rejected = () => value('remote_cluster_rejected{target_cluster="berlin"}');
    await until('it is rejected', async () => (await rejected()) === 1);
    await berlin.configure(7, FULL);
    await isMirrored();
    expect(await rejected()).toBe(0);
  });

  test('count what is refused by cluster and reason, and vanish with it while it is drained', async () => {
    await using rome = await startFullRemote('rome', 8);
    configure(berlin);
    configure(rome);
    await start('--remote-max-value-size=100', '--import-guard=drop');
    await isMirrored();
    await berlin.put({ 'cilium/state/nodes/v1/berlin/large': 'x'.repeat(101) });
    const rejected = (cluster: string, reason: string) =>
      value(`remote_cluster_rejected_keys_total{target_cluster="${cluster}",reason="${reason}"}`);
    await until('it is counted', async () => (await rejected('berlin', 'value_too_large')) === 1);
    expect(await rejected('rome', 'value_too_large')).toBe(0);
    expect(await rejected('berlin', 'key_too_large')).toBe(0);
    // The identities that the remotes were filled with are out of their ranges.
    expect(await rejected('berlin', 'import_guard')).toBe(1);
    expect(await value('remote_clusters_draining')).toBe(0);
    directory.remove('berlin');
    await until('it is drained', async () => (await value('remote_clusters_draining')) === 1);
    await until('it is gone', async () => (await value('remote_clusters_draining')) === 0);
    expect(await registry.metrics()).not.toContain('berlin');
    expect(await rejected('rome', 'value_too_large')).toBe(0);
  });
});
