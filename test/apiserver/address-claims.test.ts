/** Several objects claim one address: the leftover of a Pod that is dead, and a Pod that has its address now. */

import { describe, expect, test } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { until } from '../support/until.ts';
import { ClusterModel, type Manifest } from './cluster-model.ts';
import { DaemonRig } from './clustermesh-fixture.ts';

const IP = 'cilium/state/ip/v1/default/10.9.0.1';

function namespace(name: string, isGlobal = 'true'): Manifest {
  return { kind: 'Namespace', metadata: { name, annotations: { 'clustermesh.cilium.io/global': isGlobal } } } as Manifest;
}

function endpoint(name: string, ofNamespace = 'shop', id = 1): Manifest {
  const status = { identity: { id }, networking: { addressing: [{ ipv4: '10.9.0.1' }] } };
  return { kind: 'CiliumEndpoint', metadata: { name, namespace: ofNamespace }, status } as Manifest;
}

async function running(...manifests: Manifest[]): Promise<ClusterModel> {
  const model = new ClusterModel();
  model.listed();
  model.apply(...manifests);
  await model.settled();
  return model;
}

const aged = (manifest: Manifest, second: number) => ({
  ...manifest,
  metadata: { ...manifest.metadata, creationTimestamp: `2026-01-01T00:00:${String(second).padStart(2, '0')}Z` },
});
const podSliceOf = (name: string, pod: string) =>
  ({
    kind: 'CiliumEndpointSlice',
    metadata: { name },
    namespace: 'shop',
    endpoints: [{ name: pod, networking: { addressing: [{ ipv4: '10.9.0.1' }] } }],
  }) as Manifest;

test.each([
  ['CiliumEndpoints', aged(endpoint('dead'), 1), aged(endpoint('alive'), 2)],
  ['CiliumEndpointSlices', aged(podSliceOf('slice-z', 'dead'), 1), aged(podSliceOf('slice-a', 'alive'), 2)],
  ['CiliumEndpoints of two namespaces', aged(endpoint('dead', 'zoo'), 1), aged(endpoint('alive'), 2)],
])(
  'an address has the value of the object created last, of %s in any order, and of the other one when that is deleted',
  async (_, dead, alive) => {
    for (const order of [
      [dead, alive],
      [alive, dead],
      [dead, alive, dead],
    ]) {
      const model = await running(namespace('shop'), namespace('zoo'), ...order);
      expect(model.texts()[IP]).toContain('"K8sPodName":"alive"');
      model.apply(dead);
      await model.settled();
      expect(model.texts()[IP]).toContain('"K8sPodName":"alive"');
      model.remove(alive.kind, alive.metadata.name, alive.metadata.namespace);
      await model.settled();
      expect(model.texts()[IP]).toContain('"K8sPodName":"dead"');
      expect(model.sinks['ip/v1'].words).not.toContain(`remove ${IP}`);
    }
  },
);

test('an address is not that of one whose namespace does not take part, nor of one that is gone with its namespace', async () => {
  const alive = aged(endpoint('alive', 'zoo'), 2);
  const model = await running(namespace('shop'), namespace('zoo', 'false'), aged(endpoint('dead'), 1), alive);
  expect(model.texts()[IP]).toContain('"K8sPodName":"dead"');
  model.apply(namespace('zoo', 'true'));
  await model.settled();
  expect(model.texts()[IP]).toContain('"K8sPodName":"alive"');
  model.remove('Namespace', 'zoo');
  await model.settled();
  expect(model.texts()[IP]).toContain('"K8sPodName":"dead"');
  expect(model.sinks['ip/v1'].words).not.toContain(`remove ${IP}`);
});

test('an address has the value of the last object in name order if the age is unknown', async () => {
  for (const order of [
    ['a', 'b'],
    ['b', 'a'],
  ]) {
    const model = await running(namespace('shop'), ...order.map((name) => endpoint(name)));
    expect(model.texts()[IP]).toContain('"K8sPodName":"b"');
  }
});

/** The API server has a resolution of seconds for the age of an object. */
const anotherSecond = async () => {
  const second = Math.floor(Date.now() / 1000);
  await until('another second', () => Promise.resolve(Math.floor(Date.now() / 1000) > second));
};

describe.skipIf(etcdVersions().length === 0)('a leftover that outlives its pod (needs an etcd)', () => {
  test('gives its address to the pod that has it now, and restarts of the daemon change nothing of that', async () => {
    await using rig = await DaemonRig.start();
    const first = await rig.readyDaemon();
    await rig.create(namespace('shop'), endpoint('z-dead', 'shop', 131_401));
    await until('the first pod', async () => (await rig.value(IP))?.includes('"ID":131401'));
    await anotherSecond();
    await rig.create(endpoint('alive', 'shop', 131_402));
    await until('the living pod', async () => (await rig.value(IP))?.includes('"ID":131402'));
    const before = await rig.keys('cilium/state/');
    await first.stop();
    const second = await rig.readyDaemon();
    expect(await rig.keys('cilium/state/')).toEqual(before);
    await second.stop();
    await rig.delete('CiliumEndpoint', 'alive', 'shop');
    await rig.readyDaemon();
    expect(await rig.value(IP)).toContain('"K8sPodName":"z-dead"');
  });

  test('gives its address away after a restart too, where the pod came while no daemon ran', async () => {
    await using rig = await DaemonRig.start();
    await rig.create(namespace('shop'), endpoint('z-dead', 'shop', 131_401));
    const first = await rig.readyDaemon();
    await first.stop();
    await anotherSecond();
    await rig.create(endpoint('alive', 'shop', 131_402));
    await rig.readyDaemon();
    expect(await rig.value(IP)).toContain('"ID":131402');
  });
});
