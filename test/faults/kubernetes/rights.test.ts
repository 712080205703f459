/** The daemon with just the rights that a deployment gives it, and with each of them missing. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { asError } from '../../../src/shared/errors.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { EXPORTED_KINDS, ExportingCluster } from '../../support/kubernetes/exporting-cluster.ts';
import { type KubeApiserver, kubeApiserverMissing, startKubeApiserver } from '../../support/kubernetes/kube-apiserver.ts';
import { KubernetesRequests } from '../../support/kubernetes/kubernetes-requests.ts';
import { startTcpProxy, type TcpProxy } from '../../support/network/tcp-proxy.ts';
import { until } from '../../support/until.ts';

interface Right {
  readonly group: string;
  readonly plural: string;
  /** A path that may be read only with it. */
  readonly path: string;
}

/** What the ClusterRole of the deployment allows to get, list and watch. */
const RIGHTS: readonly Right[] = [
  { group: 'cilium.io', plural: 'ciliumidentities', path: '/apis/cilium.io/v2/ciliumidentities' },
  { group: 'cilium.io', plural: 'ciliumendpoints', path: '/apis/cilium.io/v2/ciliumendpoints' },
  { group: 'cilium.io', plural: 'ciliumnodes', path: '/apis/cilium.io/v2/ciliumnodes' },
  { group: 'cilium.io', plural: 'ciliumendpointslices', path: '/apis/cilium.io/v2alpha1/ciliumendpointslices' },
  {
    group: 'apiextensions.k8s.io',
    plural: 'customresourcedefinitions',
    path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
  },
  { group: '', plural: 'namespaces', path: '/api/v1/namespaces' },
  { group: '', plural: 'services', path: '/api/v1/services' },
  { group: 'discovery.k8s.io', plural: 'endpointslices', path: '/apis/discovery.k8s.io/v1/endpointslices' },
  { group: 'multicluster.x-k8s.io', plural: 'serviceexports', path: '/apis/multicluster.x-k8s.io/v1beta1/serviceexports' },
];

/** Needed at the start only, and with CiliumEndpointSlices only. */
const NOT_WATCHED = ['customresourcedefinitions', 'ciliumendpointslices'];

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const ROLE = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'clustermesh-apiserver' } };
const ACCOUNTS = '/api/v1/namespaces/default/serviceaccounts';

const without = (unwanted: string) => RIGHTS.filter(({ plural }) => plural !== unwanted);
const resourceOf = ({ group, plural }: Right) => (group === '' ? plural : `${plural}.${group}`);
const missing = kubeApiserverMissing() ?? (etcdVersions().length === 0 ? 'no etcd' : undefined);

describe.skipIf(missing !== undefined)(`the rights of a deployment${missing === undefined ? '' : ` (${missing})`}`, () => {
  let api: KubeApiserver;
  let proxy: TcpProxy;
  let account: KubernetesRequests;
  let kubeconfig: string;

  beforeAll(async () => {
    api = await startKubeApiserver();
    proxy = await startTcpProxy(Number(new URL(api.url).port));
    await api.requests.create(`${RBAC}/clusterroles`, roleOf(RIGHTS));
    await api.requests.create(`${RBAC}/clusterrolebindings`, {
      apiVersion: ROLE.apiVersion,
      kind: 'ClusterRoleBinding',
      metadata: ROLE.metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: ROLE.metadata.name },
      subjects: [{ kind: 'ServiceAccount', name: 'mesh', namespace: 'default' }],
    });
    await api.requests.create(ACCOUNTS, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'mesh' } });
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3_600 } };
    const { status } = (await api.requests.create(`${ACCOUNTS}/mesh/token`, request)) as { status: { token: string } };
    const { ca, text } = kubeconfigOf(api.kubeconfig, `https://127.0.0.1:${proxy.port}`, status.token);
    kubeconfig = text;
    account = new KubernetesRequests({ url: api.url, token: status.token, ca: () => ca });
    await allow(RIGHTS);
  }, 180_000);

  afterAll(async () => {
    account?.close();
    await proxy?.stop();
    await api?.stop();
  }, 30_000);

  /** Resolves when the account has these rights, and no others. */
  async function allow(rights: readonly Right[]): Promise<void> {
    await api.requests.replace(`${RBAC}/clusterroles/${ROLE.metadata.name}`, roleOf(rights));
    for (const right of RIGHTS) {
      const code = rights.includes(right) ? 200 : 403;
      await until(`${right.path} answers ${code}`, async () => (await account.send('GET', right.path)).code === code);
    }
  }

  const options = (...more: readonly string[]) => ({
    requests: api.requests,
    flags: (directory: string) => {
      const path = join(directory, 'kubeconfig');
      writeFileSync(path, kubeconfig);
      return [`--k8s-kubeconfig-path=${path}`, '--clustermesh-enable-mcs-api', ...more];
    },
  });

  test('with just these rights everything is exported, and nothing is refused', async () => {
    await using world = await ExportingCluster.start(options());
    await world.ready();
    expect(world.lines.filter(({ code }) => code !== undefined)).toEqual([]);
    expect(proxy.accepted).toBeGreaterThan(0);
  });

  test('without permission to create CRDs those of the MCS API are not installed, which one log line reports with the missing rule', async () => {
    await using world = await ExportingCluster.start(options());
    await world.ready();
    const told = () => world.lines.filter(({ msg }) => /MCS API CRD/.test(msg));
    await until('both CRDs are told of', () => told().length === 2, { withinMs: 60_000, status: told });
    expect(told()).toEqual([
      expect.objectContaining({ msg: 'leaving an existing MCS API CRD unchanged', crd: 'serviceexports.multicluster.x-k8s.io' }),
      {
        level: 'warn',
        msg: 'not permitted to install MCS API CRDs',
        crds: ['serviceimports.multicluster.x-k8s.io'],
        reason: expect.stringContaining('cannot create CustomResourceDefinition serviceimports.multicluster.x-k8s.io'),
        remedy: expect.stringMatching(
          /^add create of customresourcedefinitions in API group "apiextensions.k8s.io" to the ClusterRole, .*operator.*apply.*--clustermesh-mcs-api-install-crds=false/,
        ),
      },
    ]);
  });

  test('a revoked permission is reported with its resource, its kind keeps its last state, and all others stay current', {
    timeout: 240_000,
  }, async () => {
    await using world = await ExportingCluster.start(options());
    await world.ready();
    for (const [round, right] of RIGHTS.filter(({ plural }) => !NOT_WATCHED.includes(plural)).entries()) {
      await allow(without(right.plural));
      proxy.cut();
      const { group, plural } = right;
      const remedy = `add get, list, watch of ${plural} in API group "${group}" to the ClusterRole`;
      await world.said('KUBE_FORBIDDEN', new RegExp(`^cannot (list|watch) ${resourceOf(right)}: ${remedy}$`));
      const failures = `kubernetes_failures_total{resource="${resourceOf(right)}",code="KUBE_FORBIDDEN"}`;
      expect(await world.counts(failures)).toBe(true);

      await world.create(20 + round);
      await world.settled(EXPORTED_KINDS.filter(({ resource }) => resource !== resourceOf(right)));
      await allow(RIGHTS);
      await world.settled();
    }
  });

  test('a start without the right to see CRDs exports services, and ends with the name of the right', async () => {
    await allow(without('customresourcedefinitions'));
    await using world = await ExportingCluster.open(options('--crd-wait-timeout=60s'));
    await world.create(1);
    await world.settled(EXPORTED_KINDS.filter(({ resource }) => resource === 'services'));
    const reason = asError(await world.ended.catch((thrown: unknown) => thrown)).message;
    expect(reason).toContain('add get, list, watch of customresourcedefinitions in API group "apiextensions.k8s.io"');
    await allow(RIGHTS);
  });

  test('a start with CiliumEndpointSlices needs the right to see these, and none to see CiliumEndpoints', async () => {
    await allow(without('ciliumendpoints'));
    await using world = await ExportingCluster.open(options('--enable-cilium-endpoint-slice'));
    await world.ready();
    expect(world.lines.filter(({ code }) => code !== undefined)).toEqual([]);
    await allow(without('ciliumendpointslices'));
    proxy.cut();
    await world.said('KUBE_FORBIDDEN', /ciliumendpointslices\.cilium\.io: add get, list, watch of ciliumendpointslices/);
    await allow(RIGHTS);
  });
});

function roleOf(rights: readonly Right[]): object {
  const verbs = ['get', 'list', 'watch'];
  return { ...ROLE, rules: rights.map(({ group, plural }) => ({ apiGroups: [group], resources: [plural], verbs })) };
}

/** The kubeconfig for another server of the same certificate and another user. */
function kubeconfigOf(text: string, server: string, token: string): { readonly ca: Buffer; readonly text: string } {
  const config = parse(text) as { clusters: { cluster: Record<string, string> }[]; users: object[] };
  const cluster: Record<string, string> = { ...config.clusters[0]?.cluster, server };
  const ca = Buffer.from(cluster['certificate-authority-data'] ?? '', 'base64');
  const changed = { ...config, clusters: [{ name: 'test', cluster }], users: [{ name: 'test', user: { token } }] };
  return { ca, text: stringify(changed) };
}
