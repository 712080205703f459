/**
 * The whole way of a key: from an object of east's Kubernetes, by way of east's etcd, into west's, all of it
 * in processes of its own. What the etcds hold is read with a client that is not the product's.
 */
import { type Etcd3, EtcdPermissionDeniedError } from 'etcd3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { type ProviderName, providerMissing } from '../support/kubernetes/kubernetes-provider.ts';
import { canMakeCertificates } from '../support/tls/certificates.ts';
import { until } from '../support/until.ts';
import { type ExportedObjects, exportedObjects, NAMESPACE, serviceManifest, sliceManifest } from './exported-objects.ts';
import { startTwoClusters, type TwoClusters } from './two-cluster-mesh.ts';

/** Each Kubernetes with another etcd, the oldest and the newest there is. */
const ENVIRONMENTS: readonly { readonly kubernetes: ProviderName; readonly etcdVersion: string | undefined }[] = [
  { kubernetes: 'embedded', etcdVersion: etcdVersions()[0]?.version },
  { kubernetes: 'real', etcdVersion: etcdVersions().at(-1)?.version },
];

const KINDS = ['nodes', 'identities', 'ip', 'services', 'endpointslices', 'serviceexports'];

function missing(kubernetes: ProviderName): string | undefined {
  if (etcdVersions().length === 0) return 'no etcd';
  if (!canMakeCertificates()) return 'no openssl of version 3 in the PATH';
  return providerMissing(kubernetes);
}

const dump = async (etcd: Etcd3): Promise<Record<string, Buffer>> => etcd.getAll().prefix('cilium/').buffers();
const read = async (etcd: Etcd3, key: string): Promise<Buffer | null> => etcd.get(key).buffer();
const readJson = async (etcd: Etcd3, key: string): Promise<unknown> => etcd.get(key).json();

describe.each(ENVIRONMENTS)('with the $kubernetes Kubernetes API and etcd $etcdVersion', ({ kubernetes, etcdVersion }) => {
  const reason = missing(kubernetes);
  let clusters: TwoClusters;

  beforeAll(async () => {
    if (reason !== undefined) return;
    clusters = await startTwoClusters({ kubernetes, etcdVersion });
    await clusters.apply(NAMESPACE);
  }, 180_000);
  afterAll(() => clusters?.stop(), 30_000);
  beforeEach((context) => context.skip(reason !== undefined, reason));

  const arrived = async ({ exports }: ExportedObjects) => {
    for (const { westKey } of exports) await until(`${westKey} arrives in west`, () => read(clusters.west, westKey));
  };

  test('an object of each kind arrives in west with the bytes that east exports', async () => {
    const cart = exportedObjects('cart', 1);
    await clusters.apply(...cart.manifests);
    await arrived(cart);
    for (const { kind, eastKey, westKey } of cart.exports) {
      await until(`the ${kind} in west has the bytes of ${eastKey}`, async () => {
        const [east, west] = [await read(clusters.east, eastKey), await read(clusters.west, westKey)];
        return east !== null && east.length > 0 && west?.equals(east);
      });
    }
  });

  test('the mirrored keys match the objects', async () => {
    const oven = exportedObjects('oven', 2);
    await clusters.apply(...oven.manifests);
    await arrived(oven);
    await until('the service has its backend', async () =>
      (await read(clusters.west, 'cilium/cache/services/v1/east/shop/oven'))?.includes('"10.7.2.1"'),
    );
    expect(await readJson(clusters.west, 'cilium/cache/services/v1/east/shop/oven')).toMatchObject({
      cluster: 'east',
      clusterID: 1,
      namespace: 'shop',
      name: 'oven',
      backends: { '10.7.2.1': { http: { Protocol: 'TCP', Port: 8080 } } },
    });
    expect(await readJson(clusters.west, 'cilium/cache/nodes/v1/east/node-of-oven')).toMatchObject({
      Name: 'node-of-oven',
      Cluster: 'east',
      ClusterID: 1,
    });
    expect(await readJson(clusters.west, 'cilium/cache/ip/v1/east/10.7.2.1')).toMatchObject({
      IP: '10.7.2.1',
      HostIP: '172.18.0.2',
      ID: 70_002,
    });
    const identity = await read(clusters.west, 'cilium/cache/identities/v1/east/id/70002');
    expect(identity?.toString()).toBe('k8s:app=oven;k8s:io.kubernetes.pod.namespace=shop;');
  });

  test('a changed object changes what west holds', async () => {
    const lamp = exportedObjects('lamp', 3);
    await clusters.apply(...lamp.manifests);
    await arrived(lamp);
    await clusters.apply(sliceManifest('lamp', '10.7.3.99'));
    const key = (cluster: string) => `cilium/${cluster}/services/v1/east/shop/lamp`;
    await until('west knows the other backend', async () => (await read(clusters.west, key('cache')))?.includes('"10.7.3.99"'));
    expect(await read(clusters.west, key('cache'))).toEqual(await read(clusters.east, key('state')));
  });

  test('deleted objects end in both etcds', async () => {
    const rug = exportedObjects('rug', 4);
    await clusters.apply(...rug.manifests);
    await arrived(rug);
    await clusters.remove(...rug.manifests);
    for (const { eastKey, westKey } of rug.exports) {
      await until(`${westKey} ends`, async () => (await read(clusters.west, westKey)) === null);
      expect(await read(clusters.east, eastKey)).toBeNull();
    }
  });

  test('a service that is not global, or not shared, never arrives', async () => {
    const unshared = { 'service.cilium.io/global': 'true', 'service.cilium.io/shared': 'false' };
    await clusters.apply(serviceManifest('safe', {}), sliceManifest('safe', '10.7.5.1'));
    await clusters.apply(serviceManifest('till', unshared), sliceManifest('till', '10.7.5.2'));
    // What was applied later and has arrived proves that the earlier ones had their chance.
    const door = exportedObjects('door', 5);
    await clusters.apply(...door.manifests);
    await arrived(door);
    for (const etcd of [clusters.east, clusters.west]) {
      const keys = Object.keys(await dump(etcd));
      expect(keys.filter((key) => /shop\/(safe|till)/.test(key))).toEqual([]);
    }
  });

  test('both etcds carry the cluster config of east and a canary for each kind', async () => {
    const [east, west] = [await dump(clusters.east), await dump(clusters.west)];
    const capabilities = {
      syncedCanaries: true,
      maxConnectedClusters: 255,
      serviceExportsEnabled: true,
      endpointSlicesExportMode: 'services-and-endpointslices',
    };
    const config = (etcd: Record<string, Buffer>) => JSON.parse(String(etcd['cilium/cluster-config/east']));
    expect(config(east)).toEqual({ id: 1, capabilities });
    expect(config(west)).toEqual({ id: 1, capabilities: { ...capabilities, cached: true } });
    const canaries = (etcd: Record<string, Buffer>) => Object.keys(etcd).filter((key) => key.startsWith('cilium/synced/'));
    expect(canaries(east)).toEqual(KINDS.map((kind) => `cilium/synced/east/cilium/state/${kind}/v1`).sort());
    expect(canaries(west)).toEqual(KINDS.map((kind) => `cilium/synced/east/cilium/cache/${kind}/v1`).sort());
  });

  test('the status reports east as connected, complete and ready, and counts the mirrored keys', async () => {
    const bell = exportedObjects('bell', 6);
    await clusters.apply(...bell.manifests);
    await arrived(bell);
    const nodes = await clusters.west.getAll().prefix('cilium/cache/nodes/v1/east/').count();
    expect(await clusters.status()).toEqual([
      expect.objectContaining({
        name: 'east',
        connected: true,
        ready: true,
        'num-nodes': nodes,
        config: expect.objectContaining({
          'cluster-id': 1,
          retrieved: true,
          'sync-canaries': true,
          'service-exports-enabled': true,
        }),
        synced: {
          nodes: true,
          identities: true,
          endpoints: true,
          services: true,
          'endpoint-slices': true,
          'service-exports': true,
        },
      }),
    ]);
  });

  test('the user that west comes as can write nothing and read no more than it mirrors', async () => {
    const remote = clusters.eastAs('remote');
    const before = await dump(clusters.east);
    const config = 'cilium/cluster-config/east';
    for (const attempt of [
      () => remote.put('cilium/state/nodes/v1/east/intruder').value('x').exec(),
      () => remote.put('cilium/cache/nodes/v1/west/intruder').value('x').exec(),
      () => remote.put(config).value('{}').exec(),
      () => remote.delete().key(config).exec(),
      () => remote.delete().prefix('cilium/').exec(),
      () => remote.getAll().prefix('cilium/').buffers(),
      () => remote.getAll().prefix('cilium/cluster-config/').buffers(),
    ]) {
      await expect(attempt(), String(attempt)).rejects.toThrow(EtcdPermissionDeniedError);
    }
    expect(Object.keys(await dump(clusters.east))).toEqual(expect.arrayContaining(Object.keys(before)));
    expect(await read(remote, config)).toEqual(before[config]);
  });

  test("nothing of west is in east's etcd", async () => {
    const keys = await clusters.east.getAll().keys();
    expect(keys).not.toEqual([]);
    expect(
      keys.filter(
        (key) => !/^cilium\/(state\/|cluster-config\/east$|synced\/east\/|\.(heartbeat|has-cluster-config)$)/.test(key),
      ),
    ).toEqual([]);
  });
});
