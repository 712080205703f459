/** The rights of the chart, one of them missing at a time. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { meshDefinitions } from '../../demo/kubernetes/mesh-definitions.ts';
import { etcdVersions, startEtcd } from '../support/etcd/etcd-process.ts';
import { KubeProxy } from '../support/kubernetes/faulty-kubernetes-proxy.ts';
import { kubeApiserverMissing } from '../support/kubernetes/kube-apiserver.ts';
import { type Daemon, startDaemon } from '../support/processes/daemon.ts';
import { until } from '../support/until.ts';
import { Cluster } from './cluster/cluster.ts';
import { accountKubeconfig, plainKubeconfig, refuseStreamingLists, rightsOf, rulesWithout } from './cluster/rights.ts';
import { Helm, helmMissing, type KubeObject, NAMESPACE, objectsOf, type PolicyRule, type Values } from './rendered/helm.ts';

const missing = helmMissing() ?? kubeApiserverMissing() ?? (etcdVersions().length === 0 ? 'no etcd' : undefined);

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const RBAC = 'rbac.authorization.k8s.io';

describe.skipIf(missing !== undefined)(`the rights of the chart${missing === undefined ? '' : ` (${missing})`}`, () => {
  let cluster: Cluster;
  let rules: readonly PolicyRule[];
  const directory = mkdtempSync(join(tmpdir(), 'rights-test-'));
  let accounts = 0;

  beforeAll(async () => {
    cluster = await Cluster.start();
    rules = await rulesOf({ mcsapi: { enabled: true } });
  }, 180_000);

  afterAll(async () => {
    rmSync(directory, { recursive: true, force: true });
    await cluster?.[Symbol.asyncDispose]();
  }, 30_000);

  /** Those of the ClusterRole. */
  async function rulesOf(values: Values): Promise<readonly PolicyRule[]> {
    using helm = new Helm();
    return objectsOf(await helm.template(values)).find(({ kind }) => kind === 'ClusterRole')?.rules ?? [];
  }

  /** The kubeconfig of a new account with just these rights. */
  async function accountWith(allowed: readonly PolicyRule[]): Promise<string> {
    accounts += 1;
    const name = `account-${accounts}`;
    const metadata = { name };
    const subjects = [{ kind: 'ServiceAccount', name, namespace: NAMESPACE }];
    const roleRef = { apiGroup: RBAC, kind: 'ClusterRole', name };
    const objects: (KubeObject & { readonly roleRef?: object })[] = [
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: NAMESPACE } },
      { apiVersion: `${RBAC}/v1`, kind: 'ClusterRole', metadata, rules: allowed },
      { apiVersion: `${RBAC}/v1`, kind: 'ClusterRoleBinding', metadata, roleRef, subjects },
    ];
    for (const object of objects) await cluster.create(object);
    return accountKubeconfig(cluster, name);
  }

  /** Runs the daemon with these rights until `isSeen` of its log, or the end of the process. */
  async function logWith(
    allowed: readonly PolicyRule[],
    what: string,
    isSeen: (log: string, daemon: Daemon) => unknown,
    ...more: readonly string[]
  ) {
    await using etcd = await startEtcd();
    await using proxy = await KubeProxy.start(await accountWith(allowed));
    proxy.fault = refuseStreamingLists;
    const kubeconfig = join(directory, new URL(proxy.url).port);
    writeFileSync(kubeconfig, plainKubeconfig(proxy.url));
    await using daemon = await startDaemon('clustermesh', [
      '--cluster-name=east',
      '--cluster-id=1',
      `--kvstore-opt=etcd.address=${etcd.endpoint}`,
      `--k8s-kubeconfig-path=${kubeconfig}`,
      '--clustermesh-enable-mcs-api',
      '--crd-wait-timeout=10s',
      '--k8s-client-qps=0',
      ...more,
    ]);
    await until(what, () => isSeen(daemon.log, daemon), { status: () => daemon.log.slice(-2_000) });
  }

  /** The CRDs of the MCS API as a cluster has them before the first start: one is missing, one is older. */
  async function withoutCrds(older: string): Promise<void> {
    const { requests } = cluster;
    for (const plural of ['serviceexports', 'serviceimports']) {
      const name = `${plural}.multicluster.x-k8s.io`;
      const path = `${DEFINITIONS}/${name}`;
      const kind = plural === 'serviceexports' ? 'ServiceExport' : 'ServiceImport';
      await requests.delete(path);
      await until(`${name} is gone`, async () => (await requests.get(path)) === undefined);
      if (plural !== older) continue;
      const labels = { 'multicluster.x-k8s.io/release-version': 'v0.1.0', 'multicluster.x-k8s.io/crd-schema-revision': '1' };
      const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
      await requests.create(DEFINITIONS, {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name, labels },
        spec: {
          group: 'multicluster.x-k8s.io',
          scope: 'Namespaced',
          names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
          versions: [{ name: 'v1alpha1', served: true, storage: true, schema }],
        },
      });
    }
  }

  /** Runs `what` while the CRD of a kind of Cilium is not there yet. */
  async function withoutIdentities(what: () => Promise<unknown>): Promise<void> {
    const definition = meshDefinitions.find(({ spec }) => spec.names.kind === 'CiliumIdentity');
    const path = `${DEFINITIONS}/${definition?.metadata.name}`;
    await cluster.requests.delete(path);
    await until('the CRD is gone', async () => (await cluster.requests.get(path)) === undefined);
    await what();
    await cluster.requests.create(DEFINITIONS, definition);
    await until(
      'the kind is served',
      async () => (await cluster.requests.send('GET', '/apis/cilium.io/v2/ciliumidentities')).code === 200,
    );
  }

  const isContent = async (log: string, { healthPort }: Daemon) => {
    if (/"level":"(warn|error|fatal)"/.test(log)) throw new Error('it complains');
    return (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).ok;
  };

  const isMissed = (right: string) => {
    const [, verb, resource, name = ''] = /^(\S+) [^/]*\/([^/]+)(?:\/(.+))?$/.exec(right) ?? [];
    const words = new RegExp(`cannot ${verb} (${resource}|CustomResourceDefinition ${name})`);
    return (log: string) => words.test(log);
  };

  test('with all of them the daemon is ready, and the CRDs are created and upgraded', { timeout: 120_000 }, async () => {
    await withoutCrds('serviceexports');
    await logWith(rules, 'the daemon is ready without a complaint', isContent);
    for (const plural of ['serviceexports', 'serviceimports'])
      await until(`the CRD of ${plural} is of this release`, async () => {
        const found = (await cluster.requests.get(`${DEFINITIONS}/${plural}.multicluster.x-k8s.io`)) as KubeObject | undefined;
        return found?.metadata.labels?.['multicluster.x-k8s.io/release-version'] === 'v0.5.0';
      });
  });

  test('CiliumEndpointSlices need a right of their own, and none for CiliumEndpoints', { timeout: 120_000 }, async () => {
    const slices = await rulesOf({ mcsapi: { enabled: true }, apiserver: { enableCiliumEndpointSlice: true } });
    const [more, fewer] = [rightsOf(slices), rightsOf(rules)];
    expect(more.filter((right) => !fewer.includes(right)).join()).toMatch(/^list \S+\/ciliumendpointslices,watch \S+slices$/);
    expect(fewer.filter((right) => !more.includes(right)).join()).toMatch(/^list \S+\/ciliumendpoints,watch \S+endpoints$/);
    await logWith(slices, 'the daemon is ready without a complaint', isContent, '--enable-cilium-endpoint-slice');
  });

  test('without one of them the log says which', { timeout: 180_000 }, async () => {
    const unsaid: string[] = [];
    const tryWithout = (right: string) =>
      logWith(rulesWithout(rules, right), right, isMissed(right)).catch((error: Error) => void unsaid.push(error.message));
    const rights = rightsOf(rules);
    const installing = rights.filter((right) => /^(get|create|update) /.test(right));
    // One after another: a daemon that may do it would do it for the others.
    for (const right of installing) {
      await withoutCrds(right.includes('serviceimports') ? 'serviceimports' : 'serviceexports');
      await tryWithout(right);
    }
    // Where all of them are there, one look is enough.
    const watching = 'watch apiextensions.k8s.io/customresourcedefinitions';
    await withoutIdentities(() => tryWithout(watching));
    const reading = rights.filter((right) => !installing.includes(right) && right !== watching);
    const next = async () => {
      for (let right = reading.pop(); right !== undefined; right = reading.pop()) await tryWithout(right);
    };
    await Promise.all([next(), next()]);
    expect(unsaid).toEqual([]);
  });
});
