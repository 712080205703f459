import { describe, expect, test } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { freePort } from '../support/network/free-port.ts';
import { startTcpProxy } from '../support/network/tcp-proxy.ts';
import { until } from '../support/until.ts';
import type { Manifest } from './cluster-model.ts';
import { DaemonRig } from './clustermesh-fixture.ts';

const namespace = { kind: 'Namespace', metadata: { name: 'shop' } };

function service(name: string, labels: Readonly<Record<string, string>> = {}): Manifest {
  const metadata = { name, namespace: 'shop', labels, annotations: { 'service.cilium.io/global': 'true' } };
  return { kind: 'Service', metadata, spec: { clusterIP: '10.96.7.7', ports: [{ port: 80 }] } } as Manifest;
}

const slice = {
  kind: 'EndpointSlice',
  metadata: { name: 'web-a', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  endpoints: [{ addresses: ['10.9.0.1'] }],
  ports: [],
} as Manifest;

const SERVICES = 'cilium/state/services/v1/';
const keyOf = (name: string) => `${SERVICES}east/shop/${name}`;
describe.skipIf(etcdVersions().length === 0)('modes of the daemon (need an etcd)', () => {
  test('the two modes that export services and slices export the same', async () => {
    await using rig = await DaemonRig.start();
    await rig.create(namespace, service('web'), slice);
    const first = await rig.readyDaemon('--clustermesh-service-v2=prefer-legacy');
    const before = await rig.keys('cilium/state/');
    expect(before).toHaveLength(2);
    const config = await rig.value('cilium/cluster-config/east');
    expect(config).toContain('"services-and-endpointslices"');
    await first.stop();
    await rig.readyDaemon('--clustermesh-service-v2=prefer-endpointslice');
    expect(await rig.keys('cilium/state/')).toEqual(before);
    expect(await rig.value('cilium/cluster-config/east')).toBe(config);
  });

  test('services of another proxy are exported by the daemon with its name, together with the selector', async () => {
    await using rig = await DaemonRig.start();
    const proxy = { 'service.kubernetes.io/service-proxy-name': 'mine' };
    await rig.create(namespace, service('web'), service('own', { ...proxy, mesh: '1' }), service('out', proxy));
    await rig.readyDaemon('--k8s-service-proxy-name=mine', '--export-selector=mesh in (1,2)');
    expect(await rig.keyNames(SERVICES)).toEqual([keyOf('own')]);
  });

  test('a mesh of 511 clusters has IDs up to 511, and is announced as such', async () => {
    await using rig = await DaemonRig.start();
    await rig.readyDaemon('--max-connected-clusters=511', '--cluster-id=511');
    expect(await rig.value('cilium/cluster-config/east')).toContain('"maxConnectedClusters":511');
  });

  test('the API server may be named by the flag of older releases', async () => {
    await using rig = await DaemonRig.start();
    await rig.readyDaemon(`--k8s-api-server=${rig.kubernetes.url}`);
  });

  test('of several API servers the first that answers is used, and another one when it goes', async () => {
    await using rig = await DaemonRig.start();
    const port = Number(new URL(rig.kubernetes.url).port);
    await using first = await startTcpProxy(port);
    await using second = await startTcpProxy(port);
    const ports = [await freePort(), first.port, second.port];
    const urls = ports.map((each) => `http://127.0.0.1:${each}`).join(',');
    await rig.create(namespace, service('web'));
    await rig.readyDaemon(`--k8s-api-server-urls=${urls}`);
    await until('the service', () => rig.value(keyOf('web')));
    expect([first.accepted > 0, second.accepted]).toEqual([true, 0]);
    await first.stop();
    await rig.create(service('later'));
    await until('the service that came later', () => rig.value(keyOf('later')), { withinMs: 30_000 });
    expect(await rig.keyNames(SERVICES)).toEqual([keyOf('later'), keyOf('web')]);
  });
});
