import { describe, expect, test } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { until } from '../support/until.ts';
import { ClusterModel, type Manifest, type ModelOptions } from './cluster-model.ts';
import { DaemonRig } from './clustermesh-fixture.ts';

const GLOBAL = { 'service.cilium.io/global': 'true' };

type Labels = Readonly<Record<string, string>>;

function namespace(name: string, labels: Labels = {}, isGlobal = 'true'): Manifest {
  return { kind: 'Namespace', metadata: { name, labels, annotations: { 'clustermesh.cilium.io/global': isGlobal } } } as Manifest;
}

function service(namespace: string, name = 'web', labels: Labels = {}): Manifest {
  const metadata = { name, namespace, labels, annotations: GLOBAL };
  return { kind: 'Service', metadata, spec: { type: 'ClusterIP', clusterIP: '10.96.7.7', ports: [{ port: 80 }] } } as Manifest;
}

/** A slice, a service export, an identity and an endpoint of `namespace`; the number makes their own names. */
function belongings(namespace: string, number: number): Manifest[] {
  const metadata = { name: 'web', namespace };
  const security = { 'k8s:io.kubernetes.pod.namespace': namespace };
  const networking = { addressing: [{ ipv4: `10.9.0.${number}` }] };
  const labels = { 'kubernetes.io/service-name': 'web' };
  return [
    { kind: 'EndpointSlice', metadata: { ...metadata, labels }, addressType: 'IPv4', endpoints: [], ports: [] },
    { kind: 'ServiceExport', metadata },
    { kind: 'CiliumIdentity', metadata: { name: `${number}` }, 'security-labels': security },
    { kind: 'CiliumEndpoint', metadata, status: { networking } },
  ] as Manifest[];
}

const keysOf = (namespace: string, number: number) => [
  `cilium/state/endpointslices/v1/east/${namespace}/web`,
  `cilium/state/identities/v1/id/${number}`,
  `cilium/state/ip/v1/default/10.9.0.${number}`,
  `cilium/state/serviceexports/v1/east/${namespace}/web`,
  `cilium/state/services/v1/east/${namespace}/web`,
];

const NODE = 'cilium/state/nodes/v1/east/n';
const objects = [
  service('shop'),
  ...belongings('shop', 1),
  service('kiosk'),
  ...belongings('kiosk', 2),
  { kind: 'CiliumNode', metadata: { name: 'n' } },
];

async function exported(model: ClusterModel): Promise<string[]> {
  await model.settled();
  return Object.keys(model.texts()).sort();
}

function running(options: ModelOptions, ...manifests: Manifest[]): ClusterModel {
  const model = new ClusterModel(options);
  model.listed();
  model.apply(...manifests, ...objects);
  return model;
}

const wordsOf = (model: ClusterModel) => Object.values(model.sinks).flatMap(({ words }) => words);

describe('namespaces', () => {
  test('of a namespace that is not named nothing is exported, and nodes always are', async () => {
    const model = running({ exportNamespaces: ['shop', 'unheard-of'] }, namespace('shop'), namespace('kiosk'));
    expect(await exported(model)).toEqual([...keysOf('shop', 1), NODE].sort());
  });

  test('of a namespace that is not selected nothing is exported', async () => {
    const model = running({ exportNamespaceSelector: 'mesh in (yes,on)' }, namespace('shop', { mesh: 'on' }), namespace('kiosk'));
    expect(await exported(model)).toEqual([...keysOf('shop', 1), NODE].sort());
  });

  test('name, selector and the annotation of the namespace have to agree', async () => {
    const options = { exportNamespaces: ['shop'], exportNamespaceSelector: 'mesh' };
    const yes = { mesh: '' };
    expect(await exported(running(options, namespace('shop', yes), namespace('kiosk', yes)))).toContain(keysOf('shop', 1)[0]);
    expect(await exported(running(options, namespace('shop'), namespace('kiosk', yes)))).toEqual([NODE]);
    expect(await exported(running(options, namespace('shop', yes, 'false')))).toEqual([NODE]);
  });

  test('a label that comes and goes takes the keys of its namespace along, and touches no others', async () => {
    const model = running({ exportNamespaceSelector: '!private' }, namespace('shop'), namespace('kiosk'));
    const all = await exported(model);
    const before = wordsOf(model).length;
    model.apply(namespace('kiosk', { private: 'true' }));
    expect(await exported(model)).toEqual([...keysOf('shop', 1), NODE].sort());
    model.apply(namespace('kiosk', { other: 'x' }));
    expect(await exported(model)).toEqual(all);
    const verbs = ['remove', 'upsert'];
    const words = keysOf('kiosk', 2).flatMap((key) => verbs.map((verb) => `${verb} ${key}`));
    expect(wordsOf(model).length - before).toBe(words.length);
    expect(wordsOf(model)).toEqual(expect.arrayContaining(words));
  });

  test('the touch of a label that decides nothing converts nothing', async () => {
    const model = running({ exportNamespaceSelector: '!private' }, namespace('shop'), namespace('kiosk'));
    await model.settled();
    const before = wordsOf(model).length;
    model.apply(namespace('shop', { other: 'x' }));
    await model.settled();
    expect(wordsOf(model)).toHaveLength(before);
  });
});

describe.skipIf(etcdVersions().length === 0)('services (needs an etcd)', () => {
  const [SLICE, IDENTITY, IP, EXPORT, SERVICE] = keysOf('shop', 1) as [string, string, string, string, string];
  const own = [service('shop', 'web', { mesh: 'yes' }), ...belongings('shop', 1)];
  const other = { ...service('shop', 'other', { mesh: 'yes' }) };
  const OTHER = 'cilium/state/services/v1/east/shop/other';

  test('one that is not selected is exported in no form, until it is, while nothing else is touched', async () => {
    await using rig = await DaemonRig.start();
    await rig.create(namespace('shop'), ...own, other);
    await rig.readyDaemon('--export-selector=mesh=yes', '--clustermesh-enable-mcs-api');
    const before = await rig.keys('cilium/state/');
    expect(before.map(({ key }) => key).sort()).toEqual([SLICE, IDENTITY, IP, EXPORT, SERVICE, OTHER].sort());
    const others = before.filter(({ key }) => [IDENTITY, IP, OTHER].includes(key));

    await rig.replace(service('shop', 'web', { mesh: 'no' }));
    await until('the service, its slice and its export to go', async () => (await rig.keyNames('cilium/state/')).length === 3);
    expect(await rig.keys('cilium/state/')).toEqual(others);

    await rig.replace(service('shop', 'web', { mesh: 'yes', more: 'labels' }));
    await until('all three to be back', async () => (await rig.keyNames('cilium/state/')).length === 6);
    const again = await rig.keys('cilium/state/');
    expect(again.filter(({ key }) => [IDENTITY, IP, OTHER].includes(key))).toEqual(others);
  });

  test('what an earlier run without filters exported goes when the first listing is complete, canaries stay', async () => {
    await using rig = await DaemonRig.start();
    await rig.create(namespace('shop', { mesh: 'no' }), namespace('kiosk'), ...own, service('kiosk'), ...belongings('kiosk', 2));
    const first = await rig.readyDaemon('--clustermesh-enable-mcs-api');
    expect(await rig.keyNames('cilium/state/')).toHaveLength(10);
    const canaries = await rig.keyNames('cilium/synced/');
    await first.stop();
    const filters = ['--export-namespaces=shop,kiosk', '--export-namespace-selector=mesh notin (no)'];
    await rig.readyDaemon('--clustermesh-enable-mcs-api', ...filters);
    await until('the keys of shop to go', async () => (await rig.keyNames('cilium/state/')).length === 5);
    expect((await rig.keyNames('cilium/state/')).sort()).toEqual(keysOf('kiosk', 2).sort());
    expect(await rig.keyNames('cilium/synced/')).toEqual(canaries);
  });
});
