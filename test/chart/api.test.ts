/** The chart against a real kube-apiserver: what it takes, and the life of a release. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kubeApiserverMissing } from '../support/kubernetes/kube-apiserver.ts';
import { Cluster } from './cluster/cluster.ts';
import {
  CHART,
  Helm,
  helmMissing,
  type KubeObject,
  NAMESPACE,
  objectsOf,
  REQUIRED,
  referenceOf,
  type Values,
} from './rendered/helm.ts';
import { MATRIX, merged } from './rendered/matrix.ts';
import { podOf } from './rendered/pods.ts';

const missing = helmMissing() ?? kubeApiserverMissing();

const CERTIFICATES = ['server', 'admin', 'remote', 'local'].map((name) => `clustermesh-apiserver-${name}-cert`);

describe.skipIf(missing !== undefined)(`the chart in a cluster${missing === undefined ? '' : ` (${missing})`}`, () => {
  let cluster: Cluster;
  let helm: Helm;

  beforeAll(async () => {
    cluster = await Cluster.start();
    helm = new Helm(cluster.kubeconfigFile);
  }, 180_000);

  afterAll(async () => {
    helm?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  }, 30_000);

  /** Runs Helm on the release of the chart; rejects with its words where it fails. */
  async function release(verb: 'install' | 'upgrade', values: Values, ...args: readonly string[]): Promise<void> {
    const file = helm.valuesFile(merged(REQUIRED, values));
    await ran(verb, 'mesh', CHART, `--namespace=${NAMESPACE}`, `--values=${file}`, ...args);
  }

  async function ran(...args: readonly string[]): Promise<void> {
    const { status, stderr } = await helm.run(...args);
    if (status !== 0) throw new Error(stderr);
  }

  const uninstall = () => ran('uninstall', 'mesh', `--namespace=${NAMESPACE}`);

  async function dataOf(name: string): Promise<Readonly<Record<string, string>>> {
    const { data = {} } = (await cluster.get('Secret', name)) ?? {};
    return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
  }

  const certificates = async () =>
    Object.fromEntries(await Promise.all(CERTIFICATES.map(async (name) => [name, (await dataOf(name))['tls.crt']] as const)));

  test('every object of every row is one that the server takes, to the last field, and Pods are restricted', {
    timeout: 180_000,
  }, async () => {
    const refusals: string[] = [];
    for (const row of MATRIX) {
      for (const object of objectsOf(await helm.template(row.values))) {
        const template = podOf(object);
        const metadata = { ...template?.metadata, name: 'pod', namespace: NAMESPACE };
        const pod = template && { apiVersion: 'v1', kind: 'Pod', metadata, spec: template.spec };
        for (const each of [object, ...(pod === undefined ? [] : [pod])]) {
          const refusal = await cluster.refusal(each);
          if (refusal !== undefined) refusals.push(`${row.name}: ${referenceOf(object)}: ${refusal}`);
        }
      }
    }
    expect(refusals).toEqual([]);
  });

  test('installed, upgraded, rolled back and uninstalled, it leaves nothing', { timeout: 120_000 }, async () => {
    const before = await cluster.inventory();
    const more: Values = {
      mcsapi: { enabled: true },
      podDisruptionBudget: { enabled: true },
      metrics: { serviceMonitor: { enabled: true }, prometheusRule: { enabled: true } },
      // With another strategy of the Deployment.
      etcd: { defragmentation: { schedule: '@weekly' }, persistence: { enabled: true, existingClaim: 'given' } },
      mesh: { clusters: { west: { ips: ['192.0.2.1'] } } },
    };
    await release('install', {});
    const installed = await cluster.inventory();
    await release('upgrade', more);
    expect((await cluster.inventory()).filter((name) => !installed.includes(name) && !name.startsWith('Secret//'))).toEqual(
      expect.arrayContaining(
        ['PodDisruptionBudget', 'PrometheusRule', 'ServiceMonitor'].map((kind) => `${kind}/${NAMESPACE}/clustermesh-apiserver`),
      ),
    );
    expect(await dataOf('cilium-kvstoremesh')).toHaveProperty('west');

    await release('upgrade', { etcd: { replication: { enabled: true }, persistence: { enabled: true } } });
    const replicated = await cluster.inventory();
    expect(replicated).toEqual(
      expect.arrayContaining([
        `StatefulSet/${NAMESPACE}/clustermesh-apiserver`,
        `Service/${NAMESPACE}/clustermesh-apiserver-peers`,
        `Secret/${NAMESPACE}/clustermesh-apiserver-peer-cert`,
      ]),
    );
    expect(replicated).not.toContain(`Deployment/${NAMESPACE}/clustermesh-apiserver`);

    await ran('rollback', 'mesh', '1', `--namespace=${NAMESPACE}`);
    const own = (names: readonly string[]) => names.filter((name) => !name.includes('sh.helm.release'));
    expect(own(await cluster.inventory())).toEqual(own(installed));
    expect(await dataOf('cilium-kvstoremesh')).toEqual({});

    await uninstall();
    expect(await cluster.inventory()).toEqual(before);
  });

  test('the values of a replicated etcd that may change do so in place', async () => {
    const etcd = (members: number, more: Values = {}) => ({
      replication: { enabled: true, members },
      persistence: { enabled: true },
      ...more,
    });
    await release('install', { etcd: etcd(3) });
    const before = (await cluster.get('StatefulSet', 'clustermesh-apiserver'))?.metadata.uid;
    const annotations = { 'example.org/owner': 'mesh' };
    await release('upgrade', {
      annotations,
      podLabels: { team: 'mesh' },
      meshSize: 'medium',
      combined: { enabled: true },
      etcd: etcd(5),
    });
    const after = await cluster.get('StatefulSet', 'clustermesh-apiserver');
    expect(after).toMatchObject({ metadata: { uid: before, annotations }, spec: { replicas: 5 } });
    await uninstall();
  });

  test('a cluster that is no longer named leaves both Secrets, and the users of etcd', async () => {
    await release('install', { mesh: { clusters: { west: { ips: ['192.0.2.1'] }, north: { address: 'north.example.org' } } } });
    await release('upgrade', { mesh: { clusters: { north: { address: 'north.example.org' } } } });
    const { data } = (await cluster.get('ConfigMap', 'clustermesh-remote-users')) as KubeObject;
    expect(data).toEqual({ 'users.yaml': 'users:\n- name: remote-north\n  role: remote\n' });
    for (const name of ['cilium-kvstoremesh', 'cilium-clustermesh']) expect(Object.keys(await dataOf(name))).toEqual(['north']);
    await uninstall();
  });

  test('certificates that Helm makes stay over upgrades, and are renewed one by one when their time has come', async () => {
    await release('install', {});
    const first = await certificates();
    const authority = await dataOf('cilium-ca');
    await release('upgrade', { debug: true });
    expect(await certificates()).toEqual(first);

    const due = 'clustermesh-apiserver-server-cert';
    const annotations = { 'clustermesh-apiserver/renew-after': String(Math.floor(Date.now() / 1_000) - 1) };
    await cluster.requests.patch(`/api/v1/namespaces/${NAMESPACE}/secrets/${due}`, 'merge-patch', { metadata: { annotations } });
    await release('upgrade', { debug: true });
    const second = await certificates();
    expect(Object.keys(second).filter((name) => second[name] !== first[name])).toEqual([due]);

    await release('upgrade', { tls: { authMode: 'cluster' } });
    const third = await certificates();
    expect(Object.keys(third).filter((name) => third[name] !== second[name])).toEqual(['clustermesh-apiserver-remote-cert']);
    expect(await dataOf('cilium-ca')).toEqual(authority);
    await uninstall();
  });

  test("an authority that is Cilium's own issues the certificates, and stays when the chart is gone", async () => {
    await release('install', {});
    const { 'ca.crt': cert = '', 'ca.key': key = '' } = await dataOf('cilium-ca');
    await uninstall();
    const data = { 'ca.crt': Buffer.from(cert).toString('base64'), 'ca.key': Buffer.from(key).toString('base64') };
    await cluster.create({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'cilium-ca', namespace: NAMESPACE }, data });

    await release('install', {});
    for (const name of CERTIFICATES) expect((await dataOf(name))['ca.crt']).toBe(cert);
    await release('upgrade', { debug: true });
    await uninstall();
    expect(await dataOf('cilium-ca')).toEqual({ 'ca.crt': cert, 'ca.key': key });
    await cluster.delete('Secret', 'cilium-ca');
  });

  test('another name, number or size of the mesh than that of the agents is refused', async () => {
    const data = { 'cluster-name': 'west', 'cluster-id': '7', 'max-connected-clusters': '511' };
    const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'cilium-config', namespace: NAMESPACE }, data };
    await cluster.create(config);
    const said = (values: Values) => release('install', values).then(undefined, (error: Error) => error.message);
    expect(await said({ cluster: { id: 7 }, maxConnectedClusters: 511 })).toContain(
      'cluster.name: east, and the ConfigMap cilium-config of this cluster says cluster-name: west; both have to be the same',
    );
    expect(await said({ cluster: { name: 'west' }, maxConnectedClusters: 511 })).toContain('cluster.id: 1, and the ConfigMap');
    expect(await said({ cluster: { name: 'west', id: 7 } })).toContain('maxConnectedClusters: 255, and the ConfigMap');
    await release('install', { cluster: { name: 'west', id: 7 }, maxConnectedClusters: 511 });
    await uninstall();
    await cluster.delete('ConfigMap', 'cilium-config');
  });
});
