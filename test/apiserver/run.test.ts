import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { meshDefinitions } from '../../demo/kubernetes/mesh-definitions.ts';
import { CrdTimeoutError } from '../../src/shared/kubernetes/errors.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import type { ClustermeshRun } from '../support/kubernetes/clustermesh-run.ts';
import { until, within } from '../support/until.ts';
import type { Manifest } from './cluster-model.ts';
import { DaemonRig } from './clustermesh-fixture.ts';

const SYNCED = ['endpointslices', 'identities', 'ip', 'nodes', 'serviceexports', 'services'].map(
  (kind) => `cilium/synced/east/cilium/state/${kind}/v1`,
);

const namespace = { kind: 'Namespace', metadata: { name: 'shop' } };
const service = {
  kind: 'Service',
  metadata: { name: 'web', namespace: 'shop', annotations: { 'service.cilium.io/global': 'true' } },
  spec: { clusterIP: '10.96.7.7', selector: { app: 'web' }, ports: [{ name: 'p', port: 80 }] },
} as Manifest;
const slice = {
  kind: 'EndpointSlice',
  metadata: { name: 'web-a', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  endpoints: [{ addresses: ['10.9.0.1'] }],
  ports: [{ name: 'p', port: 8080, protocol: 'TCP' }],
} as Manifest;
const node = {
  kind: 'CiliumNode',
  metadata: { name: 'n' },
  spec: { addresses: [{ type: 'InternalIP', ip: '192.0.2.1' }] },
} as Manifest;
const identity = {
  kind: 'CiliumIdentity',
  metadata: { name: '459777' },
  'security-labels': { 'k8s:app': 'web', 'k8s:io.kubernetes.pod.namespace': 'shop' },
} as Manifest;
const status = { identity: { id: 459777 }, networking: { node: '192.0.2.1', addressing: [{ ipv4: '10.9.0.1' }] } };
const endpoint = { kind: 'CiliumEndpoint', metadata: { name: 'web-0', namespace: 'shop' }, status } as Manifest;
const serviceExport = { kind: 'ServiceExport', metadata: { name: 'web', namespace: 'shop' } };

const NODE = 'cilium/state/nodes/v1/east/n';
const IDENTITY = 'cilium/state/identities/v1/id/459777';
const IP = 'cilium/state/ip/v1/default/10.9.0.1';
const SERVICE = 'cilium/state/services/v1/east/shop/web';
const SLICE = 'cilium/state/endpointslices/v1/east/shop/web-a';
const EXPORT = 'cilium/state/serviceexports/v1/east/shop/web';

const ready = (daemon: ClustermeshRun) => until('the daemon to be ready', async () => (await daemon.readiness()) === 'Ready');
const definitionsOf = (...plurals: string[]) =>
  meshDefinitions.filter(({ metadata }) => plurals.some((plural) => metadata.name.startsWith(plural)));

describe.skipIf(etcdVersions().length === 0)('the daemon (needs an etcd)', () => {
  test('writes a whole cluster to etcd, logs it, and leaves all keys when it stops', async () => {
    await using rig = await DaemonRig.start();
    await rig.create(namespace, service, slice, node, identity, endpoint, serviceExport);
    const daemon = await rig.readyDaemon('--clustermesh-enable-mcs-api');
    const state = [EXPORT, IDENTITY, IP, NODE, SERVICE, SLICE];
    const expected = [
      'cilium/.has-cluster-config',
      'cilium/.heartbeat',
      'cilium/cluster-config/east',
      ...state,
      ...SYNCED,
    ].sort();
    await until('all keys', async () => (await rig.keyNames()).sort().join() === expected.join());
    expect((await rig.keys()).filter(({ lease }) => lease === 0n)).toEqual([]);
    expect(await rig.value('cilium/cluster-config/east')).toContain('"serviceExportsEnabled":true');
    expect(await rig.value(SYNCED[0] ?? '')).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(await rig.value(IDENTITY)).toBe('k8s:app=web;k8s:io.kubernetes.pod.namespace=shop;');
    const synced = (await daemon.metrics.metrics())
      .match(/(?<=test_kvstore_initial_sync_completed).*/g)
      ?.filter((line) => line.startsWith('{'));
    const written = ['endpointslices', 'identities', 'ip', 'nodes', 'serviceexports', 'services'].map(
      (kind) => `{scope="${kind}/v1",source_cluster="east",action="write"} 1`,
    );
    expect(synced?.sort()).toEqual(['{scope="cilium/clust",source_cluster="east",action="read"} 1', ...written]);
    await daemon.stop();
    expect((await rig.keyNames()).sort()).toEqual(expected);
    expect(await daemon.readiness()).toBe('');
  });

  test('follows objects as they change and go', async () => {
    await using rig = await DaemonRig.start();
    await rig.readyDaemon();
    await rig.create(namespace, service, slice);
    await until('the backend', async () => (await rig.value(SERVICE))?.includes('"10.9.0.1"'));
    await rig.replace({ ...slice, endpoints: [{ addresses: ['10.9.0.2'] }] } as Manifest);
    await until('the other backend', async () => (await rig.value(SERVICE))?.includes('"10.9.0.2"'));
    await rig.delete('Service', 'web', 'shop');
    await until('nothing to be left', async () => (await rig.keyNames('cilium/state/')).length === 0);
  });

  test('a restart writes only changes, and removes stale keys', async () => {
    await using rig = await DaemonRig.start();
    await rig.create(namespace, service, slice, node, identity, endpoint);
    const first = await rig.readyDaemon();
    await first.stop();
    const before = await rig.keys('cilium/state/');
    await rig.delete('CiliumNode', 'n');
    await rig.replace({ ...slice, endpoints: [{ addresses: ['10.9.0.2'] }] } as Manifest);
    await rig.readyDaemon();
    const after = await rig.keys('cilium/state/');
    const untouched = (keyValue: { key: string }) => [IDENTITY, IP].includes(keyValue.key);
    expect(after.filter(untouched)).toEqual(before.filter(untouched));
    expect(after.map(({ key }) => key).sort()).toEqual([IDENTITY, IP, SERVICE, SLICE].sort());
    expect(await rig.value(SERVICE)).toContain('"10.9.0.2"');
  });

  test('services are exported while the CRDs of Cilium are missing, and the daemon is ready when these are there', async () => {
    await using rig = await DaemonRig.start({ definitions: [] });
    await rig.create(namespace, service);
    const daemon = await rig.daemon();
    await until('the canary of services', () => rig.value('cilium/synced/east/cilium/state/services/v1'));
    expect(await daemon.readiness()).toBe('NotReady');
    expect(await rig.keyNames('cilium/synced/')).not.toContain('cilium/synced/east/cilium/state/nodes/v1');
    const definitions = definitionsOf('ciliumnodes', 'ciliumidentities', 'ciliumendpoints.');
    await rig.create(...definitions);
    await ready(daemon);
    expect((await rig.keyNames('cilium/synced/')).sort()).toEqual(SYNCED);
  });

  test('fails when the CRDs of Cilium are not created in time, and reports the missing ones', async () => {
    await using rig = await DaemonRig.start({ definitions: definitionsOf('ciliumnodes') });
    const daemon = await rig.daemon('--crd-wait-timeout=1s');
    const failure = within('the daemon to give up', daemon.ended).catch((thrown: unknown) => thrown);
    expect(await failure).toMatchObject({
      message: expect.stringMatching(/ciliumidentities\.cilium\.io, ciliumendpoints\.cilium\.io/),
      cause: expect.any(CrdTimeoutError),
    });
  });

  test('reads addresses from CiliumEndpointSlices if configured', async () => {
    await using rig = await DaemonRig.start({
      definitions: definitionsOf('ciliumnodes', 'ciliumidentities', 'ciliumendpointslices'),
    });
    const endpoints = [{ name: 'pea', id: 5, networking: { addressing: [{ ipv6: 'FD95::1' }] } }];
    await rig.create(namespace, {
      kind: 'CiliumEndpointSlice',
      metadata: { name: 'ces' },
      namespace: 'shop',
      endpoints,
    } as Manifest);
    await rig.readyDaemon('--enable-cilium-endpoint-slice');
    expect(await rig.keyNames('cilium/state/ip/')).toEqual(['cilium/state/ip/v1/default/fd95::1']);
  });

  test('with endpoint slices only, services are not exported, and what an earlier run left of them goes', async () => {
    await using rig = await DaemonRig.start();
    await rig.create(namespace, service, slice);
    const first = await rig.readyDaemon();
    await first.stop();
    expect(await rig.keyNames()).toContain(SERVICE);
    await rig.readyDaemon('--clustermesh-service-v2=only-endpointslice');
    const names = await rig.keyNames();
    expect(names).toContain(SLICE);
    expect(names.filter((name) => name.includes('services/v1'))).toEqual([]);
    expect(await rig.value('cilium/cluster-config/east')).toContain('"endpointslices-only"');
  });

  test('without the CRD of service exports there are none, completely, and installed later they come', async () => {
    const cilium = definitionsOf('ciliumnodes', 'ciliumidentities', 'ciliumendpoints.');
    await using rig = await DaemonRig.start({ definitions: cilium });
    await rig.create(namespace, service);
    await rig.readyDaemon('--clustermesh-enable-mcs-api', '--clustermesh-mcs-api-install-crds=false');
    const [definition] = definitionsOf('serviceexports');
    await rig.create(definition as Manifest);
    await rig.create(serviceExport);
    await until('the export', () => rig.value(EXPORT), { withinMs: 60_000 });
  }, 90_000);

  test('leaves keys of others alone, below its prefixes too', async () => {
    await using rig = await DaemonRig.start();
    const foreign = ['cilium/state/nodes/v1/east/foreign', 'cilium/state/nodes/v1/west/n', 'cilium/cluster-config/west', 'other'];
    for (const key of foreign) await rig.put(key, 'x');
    await rig.create(node);
    await rig.readyDaemon();
    expect(await rig.keyNames()).toEqual(expect.arrayContaining([NODE, ...foreign.filter((key) => key !== 'other')]));
    expect(await rig.value('other')).toBe('x');
  });

  test('waits for the configuration file of etcd', async () => {
    await using rig = await DaemonRig.start();
    rmSync(rig.etcdConfig);
    const daemon = await rig.daemon();
    await until('the health server', async () => (await daemon.readiness()) === 'NotReady');
    rig.writeEtcdConfig();
    await ready(daemon);
  });

  test('an object of the wrong shape is counted and harms no other', async () => {
    await using rig = await DaemonRig.start();
    await rig.create({ kind: 'CiliumNode', metadata: { name: 'bad' }, spec: { addresses: 'many' } } as Manifest, node);
    const daemon = await rig.readyDaemon();
    expect(await rig.keyNames('cilium/state/')).toEqual([NODE]);
    const series = await daemon.metrics.getSingleMetricAsString('test_kubernetes_malformed_objects_total');
    expect(series).toContain('{resource="ciliumnodes.cilium.io"} 1');
  });

  test.each([
    ['--cluster-id=256', /cluster-id/],
    ['--cluster-name=East_1', /cluster-name/],
    ['--max-connected-clusters=300', /max-connected-clusters/],
  ])('refuses to start with %s, and writes nothing', async (flag, message) => {
    await using rig = await DaemonRig.start();
    const daemon = await rig.daemon(flag);
    await expect(daemon.ended).rejects.toThrow(message);
    expect(await rig.keyNames('')).toEqual([]);
  });
});
