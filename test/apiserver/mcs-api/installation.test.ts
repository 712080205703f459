/** The CRDs of the MCS API on a real API server: created, upgraded, left unchanged, and not retried. */

import { writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type CustomResourceDefinition,
  MCS_API_CRDS,
  RELEASE_LABEL,
  REVISION_LABEL,
} from '../../../src/apiserver/mcs-api/crds.ts';
import { installMcsApi } from '../../../src/apiserver/mcs-api/installation.ts';
import { type ConnectionOptions, openConnection } from '../../../src/shared/kubernetes/connection/connection.ts';
import { MAX_MCS_API_CRD_ATTEMPTS } from '../../../src/shared/limits.ts';
import { HastyClock } from '../../support/clocks.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { connectionOptions } from '../../support/kubernetes/connection-options.ts';
import { ExportingCluster } from '../../support/kubernetes/exporting-cluster.ts';
import { KubeProxy, type ProxiedRequest } from '../../support/kubernetes/faulty-kubernetes-proxy.ts';
import { type KubeApiserver, kubeApiserverMissing, startKubeApiserver } from '../../support/kubernetes/kube-apiserver.ts';
import { type LogLine, recordingLogger } from '../../support/recording-logger.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until, within } from '../../support/until.ts';

const missing = kubeApiserverMissing() ?? (etcdVersions().length === 0 ? 'no etcd' : undefined);
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const VERSIONS = ['v1alpha1', 'v1beta1'];
const EXPORT = 'cilium/state/serviceexports/v1/east/default/shop';
const [EXPORTS_CRD, IMPORTS_CRD] = MCS_API_CRDS as readonly [CustomResourceDefinition, CustomResourceDefinition];

interface Stored extends CustomResourceDefinition {
  readonly status: { readonly storedVersions: readonly string[] };
}

const collection = (plural: string, version: string) => `/apis/multicluster.x-k8s.io/${version}/namespaces/default/${plural}`;
const object = (kind: string, version: string, name: string, more: object = {}) => ({
  apiVersion: `multicluster.x-k8s.io/${version}`,
  kind,
  metadata: { name },
  ...more,
});
const isCrd = ({ path }: ProxiedRequest) => path.startsWith(`${DEFINITIONS}/service`) || path === DEFINITIONS;
const isAboutCrds = (request: ProxiedRequest) => isCrd(request) && (request.method !== 'GET' || request.path !== DEFINITIONS);

/** As the release before v1beta1 had it. */
function older(crd: CustomResourceDefinition): CustomResourceDefinition {
  const versions = crd.spec.versions.filter(({ name }) => name === 'v1alpha1').map((version) => ({ ...version, storage: true }));
  return labelled({ ...crd, spec: { ...crd.spec, versions } }, { [RELEASE_LABEL]: 'v0.3.0', [REVISION_LABEL]: '1' });
}

function labelled(crd: CustomResourceDefinition, labels: Readonly<Record<string, string>>): CustomResourceDefinition {
  return { ...crd, metadata: { ...crd.metadata, labels } };
}

describe.skipIf(missing !== undefined)(`the CRDs of the MCS API${missing === undefined ? '' : ` (${missing})`}`, () => {
  let api: KubeApiserver;
  const kubeconfigPath = join(temporaryDirectory('mcs-api'), 'kubeconfig');

  beforeAll(async () => {
    api = await startKubeApiserver();
    writeFileSync(kubeconfigPath, api.kubeconfig);
    const spec = { ports: [{ name: 'http', port: 80 }] };
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'shop' }, spec };
    await api.requests.create('/api/v1/namespaces/default/services', service);
  }, 180_000);

  afterAll(() => api?.stop(), 30_000);

  beforeEach(async () => {
    for (const { metadata } of MCS_API_CRDS) await api.requests.delete(`${DEFINITIONS}/${metadata.name}`);
    for (const { metadata } of MCS_API_CRDS) {
      await until(`${metadata.name} is gone`, async () => (await read(metadata.name)) === undefined, { withinMs: 60_000 });
    }
  });

  const read = async (name: string) => (await api.requests.get(`${DEFINITIONS}/${name}`)) as Stored | undefined;
  const readAll = () => Promise.all(MCS_API_CRDS.map(({ metadata }) => read(metadata.name)));

  async function define(...crds: readonly CustomResourceDefinition[]): Promise<void> {
    for (const crd of crds) await api.requests.create(DEFINITIONS, crd);
    for (const { metadata, spec } of crds) {
      const plural = metadata.name.split('.')[0] ?? '';
      for (const { name } of spec.versions) await served(plural, name);
    }
  }

  const served = (plural: string, version: string) =>
    until(
      `${plural} are served in ${version}`,
      async () => (await api.requests.send('GET', collection(plural, version))).code === 200,
      {
        withinMs: 60_000,
      },
    );

  /** One run of the installation, with short delays; resolves with its log lines. */
  async function install(connection: Partial<ConnectionOptions> = { kubeconfigPath }): Promise<readonly LogLine[]> {
    const { log, lines } = recordingLogger();
    const clock = new HastyClock(100);
    const opened = await openConnection(connectionOptions({ clock, ...connection }));
    try {
      await within(
        'the installation is over',
        installMcsApi({ connection: opened, clock, log }, new AbortController().signal),
        60_000,
      );
    } finally {
      await opened.close();
    }
    return lines;
  }

  const world = (...flags: readonly string[]) =>
    ExportingCluster.open({
      requests: api.requests,
      flags: () => ['--clustermesh-enable-mcs-api', ...flags],
    });
  const byKubeconfig = () => `--k8s-kubeconfig-path=${kubeconfigPath}`;

  test('are created where there are none, take good objects of both versions and no others, and exports reach etcd', async () => {
    await using daemon = await world(byKubeconfig());
    for (const plural of ['serviceexports', 'serviceimports']) for (const version of VERSIONS) await served(plural, version);
    await daemon.ready();

    const spec = { exportedLabels: { team: 'net' } };
    await api.requests.create(collection('serviceexports', 'v1alpha1'), object('ServiceExport', 'v1alpha1', 'shop', { spec }));
    await api.requests.create(collection('serviceexports', 'v1beta1'), object('ServiceExport', 'v1beta1', 'later'));
    await until('the export', () => daemon.historyOf(EXPORT).length === 1, { withinMs: 60_000 });
    expect(daemon.historyOf(EXPORT)[0]).toContain('"team":"net"');

    const good = { type: 'ClusterSetIP', ports: [{ name: 'http', protocol: 'TCP', port: 80 }], ips: ['10.0.0.1', 'fd00::1'] };
    const affinity = { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } } };
    const bad: readonly (readonly [kind: string, fields: object])[] = [
      ['ServiceExport', { spec: { exportedLabels: { team: 1 } } }],
      ['ServiceImport', { spec: { ...good, type: 'Other' } }],
      ['ServiceImport', { spec: { type: 'Headless' } }],
      ['ServiceImport', { spec: { ...good, ips: ['10.0.0.1', '10.0.0.2', '10.0.0.3'] } }],
    ];
    for (const version of VERSIONS) {
      const imports = collection('serviceimports', version);
      const fields = { spec: { ...good, ...affinity, ipFamilies: ['IPv4'], trafficDistribution: 'PreferClose' } };
      const created = await api.requests.create(imports, object('ServiceImport', version, `good-${version}`, fields));
      expect(created).toMatchObject(fields);
      for (const [kind, wrong] of bad) {
        const path = collection(`${kind.toLowerCase()}s`, version);
        expect(await api.requests.send('POST', path, object(kind, version, 'wrong', wrong))).toMatchObject({ code: 422 });
      }
      const condition = {
        type: 'Ready',
        status: 'True',
        reason: 'Fine',
        message: '',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      };
      const status = { status: { clusters: [{ cluster: 'east' }], conditions: [condition] } };
      expect(await api.requests.patch(`${imports}/good-${version}/status`, 'merge-patch', status)).toMatchObject(status);
    }
    const told = daemon.lines.filter(({ msg }) => msg.includes('MCS API'));
    expect(told.map(({ level, msg }) => [level, msg])).toEqual(Array(2).fill(['info', 'MCS API CRD created']));
  });

  test('are upgraded if they are older: objects and all stored versions are kept, and no key is written again', async () => {
    await define(...MCS_API_CRDS.map(older));
    await api.requests.create(collection('serviceexports', 'v1alpha1'), object('ServiceExport', 'v1alpha1', 'shop'));
    await using daemon = await world(byKubeconfig());
    for (const plural of ['serviceexports', 'serviceimports']) await served(plural, 'v1beta1');
    await daemon.ready();
    await until('the export', () => daemon.historyOf(EXPORT).length > 0, { withinMs: 60_000 });

    for (const [index, crd] of (await readAll()).entries()) {
      expect(crd?.metadata.labels).toEqual(MCS_API_CRDS[index]?.metadata.labels);
      expect(crd?.spec.versions.map(({ name, served, storage }) => [name, served, storage])).toEqual([
        ['v1alpha1', true, false],
        ['v1beta1', true, true],
      ]);
      expect(crd?.status.storedVersions).toEqual(VERSIONS);
    }
    for (const version of VERSIONS) {
      expect(await api.requests.get(`${collection('serviceexports', version)}/shop`)).toMatchObject({
        metadata: { name: 'shop' },
      });
    }
    await api.requests.create(collection('serviceexports', 'v1beta1'), object('ServiceExport', 'v1beta1', 'kubernetes'));
    const other = EXPORT.replace('shop', 'kubernetes');
    await until('another export', () => daemon.historyOf(other).length === 1, { withinMs: 60_000 });
    expect(daemon.historyOf(EXPORT)).toHaveLength(1);
    expect(daemon.lines.filter(({ msg }) => msg === 'MCS API CRD upgraded')).toHaveLength(2);
  });

  test('may serve v1alpha1 alone and later v1beta1 alone: exports stay, and none is written again', async () => {
    await define(older(EXPORTS_CRD));
    await api.requests.create(collection('serviceexports', 'v1alpha1'), object('ServiceExport', 'v1alpha1', 'shop'));
    await using daemon = await world(byKubeconfig(), '--clustermesh-mcs-api-install-crds=false');
    await until('the export', () => daemon.historyOf(EXPORT).length > 0, { withinMs: 60_000 });
    const versions = EXPORTS_CRD.spec.versions.map((version) => ({ ...version, served: version.name === 'v1beta1' }));
    await api.requests.patch(`${DEFINITIONS}/${EXPORTS_CRD.metadata.name}`, 'merge-patch', { spec: { versions } });
    await served('serviceexports', 'v1beta1');
    await api.requests.create(collection('serviceexports', 'v1beta1'), object('ServiceExport', 'v1beta1', 'kubernetes'));
    const other = EXPORT.replace('shop', 'kubernetes');
    await until('another export', () => daemon.historyOf(other).length === 1, {
      withinMs: 60_000,
      status: () => daemon.lines.slice(-5),
    });
    expect(daemon.historyOf(EXPORT)).toHaveLength(1);
  });

  const kept: ReadonlyArray<readonly [string, readonly CustomResourceDefinition[], number]> = [
    ['as new', MCS_API_CRDS, 0],
    ['newer', MCS_API_CRDS.map((crd) => labelled(crd, { [RELEASE_LABEL]: 'v9.0.0', [REVISION_LABEL]: '0' })), 0],
    ['without labels', MCS_API_CRDS.map((crd) => labelled(older(crd), {})), 2],
    [
      'with another manager',
      MCS_API_CRDS.map((crd) => labelled(older(crd), { ...older(crd).metadata.labels, 'app.kubernetes.io/managed-by': 'Helm' })),
      2,
    ],
  ];

  test.for(kept)('are not changed if they are %s', async ([, crds, told]) => {
    await define(...crds);
    const before = await readAll();
    const lines = await install();
    expect(lines.map(({ level, msg }) => [level, msg])).toEqual(
      Array(told).fill(['info', 'leaving an existing MCS API CRD unchanged']),
    );
    expect(await readAll()).toEqual(before);
    expect(before.every((crd) => crd !== undefined)).toBe(true);
  });

  test('may be installed by many at once, whether they are missing or older', async () => {
    const several = () => Promise.all(Array.from({ length: 5 }, () => install()));
    await define(older(EXPORTS_CRD));
    const lines = (await several()).flat();
    const count = (text: string, name: string) =>
      lines.filter((line) => line.msg === text && (line as { crd?: string }).crd === name).length;
    expect(count('MCS API CRD created', IMPORTS_CRD.metadata.name)).toBe(1);
    expect(count('MCS API CRD upgraded', EXPORTS_CRD.metadata.name)).toBe(1);
    expect(count('cannot install an MCS API CRD; retrying', IMPORTS_CRD.metadata.name)).toBe(0);
    expect(lines.filter(({ level }) => level !== 'info')).toEqual([]);
    const settled = await readAll();
    await several();
    expect((await readAll()).map((crd) => crd?.spec)).toEqual(settled.map((crd) => crd?.spec));
  });

  const failing = (code: number) => (request: ProxiedRequest, response: ServerResponse) => {
    if (!isAboutCrds(request)) return false;
    response.writeHead(code, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ kind: 'Status', status: 'Failure', code, reason: 'InternalError', message: 'not now' }));
    return true;
  };

  test('are installed late where the API server fails for a while, which holds nothing else up', async () => {
    await using proxy = await KubeProxy.start(api.kubeconfig);
    const fail = failing(500);
    // Later ones wait until the test has seen that nothing is installed: the number of attempts is limited.
    const held: (() => void)[] = [];
    let failures = 0;
    proxy.fault = (request, response) => {
      if (!isAboutCrds(request)) return false;
      failures += 1;
      if (failures <= 4) return fail(request, response);
      held.push(() => fail(request, response));
      return true;
    };
    await using daemon = await world(`--k8s-api-server-urls=${proxy.url}`);
    await daemon.ready();
    await until('several attempts', () => held.length > 0, { withinMs: 60_000 });
    expect(await readAll()).toEqual([undefined, undefined]);
    proxy.fault = undefined;
    for (const answer of held) answer();
    for (const version of VERSIONS) await served('serviceexports', version);
    await api.requests.create(collection('serviceexports', 'v1beta1'), object('ServiceExport', 'v1beta1', 'shop'));
    await until('the export', () => daemon.historyOf(EXPORT).length === 1, { withinMs: 60_000 });
  });

  test.for([
    [500, MAX_MCS_API_CRD_ATTEMPTS],
    [422, 1],
  ] as const)('are given up where the API server answers %s to every of %s attempts', async ([code, attempts]) => {
    await using proxy = await KubeProxy.start(api.kubeconfig);
    proxy.fault = failing(code);
    const lines = await install({ serverUrls: [proxy.url] });
    expect(proxy.requests).toHaveLength(2 * attempts);
    const warnings = lines.filter(({ level }) => level === 'warn');
    expect(warnings).toEqual(
      MCS_API_CRDS.map(({ metadata }) => ({
        level: 'warn',
        msg: 'cannot install an MCS API CRD; not retrying',
        crd: metadata.name,
        code: 'KUBE_STATUS',
        reason: expect.stringContaining('not now'),
        remedy: expect.stringContaining('--clustermesh-mcs-api-install-crds=false'),
      })),
    );
  });

  test('are not installed without permission, which is logged once for all of them', async () => {
    await define(older(EXPORTS_CRD));
    await using proxy = await KubeProxy.start(api.kubeconfig);
    const refuse = failing(403);
    proxy.fault = (request, response) => request.method !== 'GET' && refuse(request, response);
    expect(await install({ serverUrls: [proxy.url] })).toEqual([
      {
        level: 'warn',
        msg: 'not permitted to install MCS API CRDs',
        crds: [EXPORTS_CRD.metadata.name, IMPORTS_CRD.metadata.name],
        reason: `cannot update CustomResourceDefinition ${EXPORTS_CRD.metadata.name}: not now`,
        remedy: expect.stringContaining('add update, create of customresourcedefinitions in API group "apiextensions.k8s.io"'),
      },
    ]);
    expect(proxy.requests).toHaveLength(4);
  });

  test('an installation that is stopped ends at once', async () => {
    await using proxy = await KubeProxy.start(api.kubeconfig);
    const stop = new AbortController();
    proxy.fault = () => {
      stop.abort(new Error('the end'));
      return true;
    };
    const clock = new HastyClock(1);
    const connection = await openConnection(connectionOptions({ serverUrls: [proxy.url], clock }));
    const run = installMcsApi({ connection, clock, log: recordingLogger().log }, stop.signal);
    await expect(within('it ends', run, 5_000)).rejects.toThrow('the end');
    await connection.close();
  });

  test.for(['--clustermesh-mcs-api-install-crds=false', '--clustermesh-enable-mcs-api=false'])(
    'are not even asked for with %s',
    async (flag) => {
      await using proxy = await KubeProxy.start(api.kubeconfig);
      await using daemon = await world(`--k8s-api-server-urls=${proxy.url}`, flag);
      await daemon.ready();
      expect(proxy.requests.length).toBeGreaterThan(0);
      expect(proxy.requests.filter(isAboutCrds)).toEqual([]);
      expect(await readAll()).toEqual([undefined, undefined]);
    },
  );
});
