/**
 * Two clusters joined by nothing but the chart: its Pods run as processes, with its certificates, users, rights and probes. One of them
 * has a container for each daemon, the other a container for both.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { ETCDCTL, etcdctlMissing } from '../support/etcd/etcdctl.ts';
import { KubeProxy } from '../support/kubernetes/faulty-kubernetes-proxy.ts';
import { kubeApiserverMissing } from '../support/kubernetes/kube-apiserver.ts';
import { freePort } from '../support/network/free-port.ts';
import { until } from '../support/until.ts';
import { Cluster } from './cluster/cluster.ts';
import { accountKubeconfig, plainKubeconfig, refuseStreamingLists, requestedRights, rightsOf } from './cluster/rights.ts';
import { RunningPod } from './cluster/running-pod.ts';
import { CHART, Helm, helmMissing, type KubeObject, NAMESPACE, objectsOf, REQUIRED, type Values } from './rendered/helm.ts';
import { merged } from './rendered/matrix.ts';
import { podOf } from './rendered/pods.ts';

const missing =
  helmMissing() ?? kubeApiserverMissing() ?? etcdctlMissing() ?? (etcdVersions().length === 0 ? 'no etcd' : undefined);

const GLOBAL = { 'service.cilium.io/global': 'true' };

describe.skipIf(missing !== undefined)(`two clusters of the chart${missing === undefined ? '' : ` (${missing})`}`, () => {
  let cluster: Cluster;
  let helm: Helm;
  let proxy: KubeProxy;
  let east: RunningPod;
  let west: RunningPod;
  let objects: readonly KubeObject[];

  beforeAll(async () => {
    cluster = await Cluster.start();
    helm = new Helm(cluster.kubeconfigFile);
    await createExported();
    const [eastPort, westPort] = [await freePort(), await freePort()];
    const eastValues = await valuesOf({ name: 'east', id: 1 }, { west: { ips: ['127.0.0.1'], port: westPort } });
    const westValues = await valuesOf({ name: 'west', id: 2 }, { east: { ips: ['127.0.0.1'], port: eastPort } });
    // The CRDs are left to the rights of the other one.
    const withoutCrds = merged(westValues, { mcsapi: { installCRDs: false }, combined: { enabled: true } });

    await ran('install', 'mesh', CHART, `--namespace=${NAMESPACE}`, `--values=${helm.valuesFile(eastValues)}`);
    objects = objectsOf(await ran('get', 'manifest', 'mesh', `--namespace=${NAMESPACE}`));
    proxy = await KubeProxy.start(await accountKubeconfig(cluster, 'clustermesh-apiserver'));
    proxy.fault = refuseStreamingLists;

    await copyAuthority('west');
    const rendered = await ran(
      'template',
      'mesh',
      CHART,
      '--namespace=west',
      '--dry-run=server',
      `--values=${helm.valuesFile(withoutCrds)}`,
    );
    [east, west] = await Promise.all([
      RunningPod.start({ objects, etcdPort: eastPort, kubeconfig: plainKubeconfig(proxy.url) }),
      RunningPod.start({ objects: objectsOf(rendered), etcdPort: westPort, kubeconfig: cluster.kubeconfig }),
    ]);
  }, 180_000);

  afterAll(async () => {
    await east?.[Symbol.asyncDispose]();
    await west?.[Symbol.asyncDispose]();
    await proxy?.[Symbol.asyncDispose]();
    helm?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  }, 30_000);

  async function ran(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await helm.run(...args);
    if (status !== 0) throw new Error(stderr);
    return stdout;
  }

  /** What both clusters export: a Service, an endpoint and a ServiceExport of an older API, whose CRD is to be upgraded. */
  async function createExported(): Promise<void> {
    const { requests } = cluster;
    const metadata = { name: 'shop', annotations: GLOBAL };
    const service = { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [{ name: 'http', port: 80 }] } };
    await requests.create('/api/v1/namespaces/default/services', service);
    const node = { apiVersion: 'cilium.io/v2', kind: 'CiliumNode', metadata: { name: 'node-1' }, spec: {} };
    await requests.create('/apis/cilium.io/v2/ciliumnodes', node);
    await makeOlder('serviceexports');
  }

  /** Gives the CRD of the MCS API labels of an early release: it is to be upgraded. */
  async function makeOlder(plural: string): Promise<void> {
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.multicluster.x-k8s.io`;
    const labels = { 'multicluster.x-k8s.io/release-version': 'v0.1.0', 'multicluster.x-k8s.io/crd-schema-revision': '1' };
    await cluster.requests.patch(path, 'merge-patch', { metadata: { labels } });
  }

  async function valuesOf(own: object, clusters: object): Promise<Values> {
    const ports = await Promise.all(Array.from({ length: 5 }, freePort));
    return merged(REQUIRED, {
      cluster: own,
      tls: { authMode: 'cluster' },
      mcsapi: { enabled: true },
      mesh: { clusters },
      apiserver: { healthPort: ports[0] },
      kvstoremesh: { healthPort: ports[1], extraArgs: ['--api-serve-addr='] },
      metrics: { apiserver: { port: ports[2] }, kvstoremesh: { port: ports[3] }, etcd: { port: ports[4] } },
      // Its peer port is the same in every Pod, and this machine has one only.
      etcd: { extraArgs: ['--listen-peer-urls=http://127.0.0.1:0'], defragmentation: { schedule: '@weekly' } },
    });
  }

  /** As docs/install.md has it: the second cluster gets the authority of the first before its installation. */
  async function copyAuthority(namespace: string): Promise<void> {
    await cluster.requests.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    const found = (await cluster.get('Secret', 'cilium-ca')) as KubeObject;
    const metadata = { name: 'cilium-ca', namespace };
    await cluster.create({ apiVersion: 'v1', kind: 'Secret', metadata, data: found.data ?? {} });
  }

  /** What etcdctl prints, with the certificate of that Secret. */
  async function etcdctl(pod: RunningPod, secret: string, ...args: readonly string[]): Promise<string> {
    const all = [...pod.clientArguments(`clustermesh-apiserver-${secret}-cert`), ...args];
    const { stdout, stderr } = await promisify(execFile)(ETCDCTL, all, { env: { PATH: process.env.PATH } }).catch(
      (error: { stdout: string; stderr: string }) => error,
    );
    return stdout + stderr;
  }

  const keysOf = (pod: RunningPod, prefix: string) => etcdctl(pod, 'admin', 'get', '--prefix', '--keys-only', prefix);

  test('every container passes its probes', async () => {
    await Promise.all([east.ready(), west.ready()]);
  });

  test('a global Service of each is in the etcd of the other, where agents can read it and not write', async () => {
    for (const [pod, other] of [
      [east, 'west'],
      [west, 'east'],
    ] as const) {
      const key = `cilium/cache/services/v1/${other}/default/shop`;
      await until(`${key} is there`, async () => (await keysOf(pod, 'cilium/cache/services/')).includes(key), {
        status: () => pod.log('kvstoremesh').slice(-2_000),
      });
      expect(await etcdctl(pod, 'local', 'get', '--prefix', '--keys-only', 'cilium/cache/')).toContain(key);
      expect(await etcdctl(pod, 'local', 'put', key, 'x')).toContain('permission denied');
      expect(await etcdctl(pod, 'remote', 'get', '--prefix', 'cilium/')).toMatch(/permission denied|authentication/);
    }
    expect(await etcdctl(east, 'admin', 'user', 'list')).toBe('admin-east\nlocal-east\nremote\nremote-west\nroot\n');
  });

  test('the job that defragments does so, with the arguments that it has', async () => {
    const job = objects.find(({ kind }) => kind === 'CronJob') as KubeObject;
    const args = podOf(job)?.spec.containers[0]?.args ?? [];
    expect(args[0]).toBe(`--endpoints=https://clustermesh-apiserver.${NAMESPACE}.svc:2379`);
    const own = args.filter((argument) => !/^--(endpoints|cacert|cert|key)=/.test(argument));
    expect(await etcdctl(east, 'admin', ...own)).toContain('Finished defragmenting etcd member');
  });

  test('the ClusterRole allows everything that is asked for, and nothing that is not', async () => {
    const rightsOfKind = (kind: string) => rightsOf(objects.find((object) => object.kind === kind)?.rules ?? []);
    // An Event has a name, and none of the rules.
    const inNamespace = (right: string) => rightsOfKind('Role').includes(right.replace(/(events\.k8s\.io\/events)\/.*/, '$1'));
    const asked = () => requestedRights(proxy.requests).filter((right) => !inNamespace(right));
    const allowed = rightsOfKind('ClusterRole');
    const unused = () => allowed.filter((right) => !asked().includes(right));
    // The other CRD was created by this daemon, so that it has nothing to upgrade before there is an older one.
    const last = 'update apiextensions.k8s.io/customresourcedefinitions/serviceimports.multicluster.x-k8s.io';
    await until('every right but one is used', () => unused().join() === last, { status: unused });
    await makeOlder('serviceimports');
    await east.restart('apiserver');
    await until('every right is used', () => unused().length === 0, { status: unused });
    expect(asked()).toEqual(allowed);
    const lines = east
      .log('apiserver')
      .split('\n')
      .filter((line) => /FORBIDDEN|may not|"level":"(error|fatal)"/.test(line));
    expect(lines).toEqual([]);
  });
});
