/** The reflector against a real kube-apiserver. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openConnection } from '../../src/shared/kubernetes/connection/connection.ts';
import { projectService } from '../../src/shared/kubernetes/objects/projections.ts';
import { CILIUM_ENDPOINTS, CILIUM_NODES, type Resource, servicesOf } from '../../src/shared/kubernetes/objects/resources.ts';
import { waitForCrds } from '../../src/shared/kubernetes/reflector/crds.ts';
import { checkVersion } from '../../src/shared/kubernetes/version.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { HastyClock } from '../support/clocks.ts';
import { connectionOptions } from '../support/kubernetes/connection-options.ts';
import { type KubeApiserver, kubeApiserverMissing, startKubeApiserver } from '../support/kubernetes/kube-apiserver.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { ReflectorRun } from './reflector-fixture.ts';

const missing = kubeApiserverMissing();
const SERVICES = '/api/v1/namespaces/default/services';
const GADGETS: Resource = { kind: 'Gadget', group: 'test.example.org', version: 'v1', plural: 'gadgets' };
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const GADGETS_PATH = '/apis/test.example.org/v1/namespaces/default/gadgets';

function service(name: string, labels: Record<string, string> = {}): object {
  const spec = { ports: [{ port: 80, name: 'http' }], selector: { app: name } };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, labels }, spec };
}

const gadgetDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'gadgets.test.example.org' },
  spec: {
    group: 'test.example.org',
    scope: 'Namespaced',
    names: { kind: 'Gadget', plural: 'gadgets' },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
  },
};

describe.skipIf(missing !== undefined)(`a real API server${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  let api: KubeApiserver;
  const kubeconfigPath = join(temporaryDirectory('real-apiserver'), 'kubeconfig');

  beforeAll(async () => {
    api = await startKubeApiserver();
    await writeFile(kubeconfigPath, api.kubeconfig);
  });

  afterAll(() => api?.stop());

  const start = (resource: Resource, factor: number) =>
    ReflectorRun.start([], {
      resource,
      clock: new HastyClock(factor),
      connection: { kubeconfigPath },
      project: resource.kind === 'Service' ? projectService : (raw) => raw,
    });

  test('services are streamed, watched, and leave with their selector', async () => {
    await api.requests.create(SERVICES, service('one'));
    await api.requests.create(SERVICES, service('foreign', { 'service.kubernetes.io/service-proxy-name': 'other' }));
    await using run = await start(servicesOf(''), 1);
    await run.holds(['default/kubernetes', 'default/one']);
    await until('the list is complete', () => run.events.some((event) => event.type === 'list' && event.mode === 'stream'));

    await api.requests.create(SERVICES, service('two'));
    await run.holds(['default/kubernetes', 'default/one', 'default/two']);
    const proxied = { metadata: { labels: { 'service.kubernetes.io/service-proxy-name': 'other' } } };
    await api.requests.patch(`${SERVICES}/one`, 'merge-patch', proxied);
    await api.requests.delete(`${SERVICES}/two`);
    await run.holds(['default/kubernetes']);

    await using other = await start(servicesOf('other'), 1);
    await other.holds(['default/foreign', 'default/one']);
    expect(other.objects.get('default/foreign')).toMatchObject({
      metadata: { name: 'foreign', namespace: 'default' },
      spec: {
        type: 'ClusterIP',
        clusterIP: expect.stringMatching(/^10\./),
        ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
      },
    });
    expect([...run.failures, ...other.failures]).toEqual([]);
  });

  test('fault 40: CRDs are found by their metadata, and deleted ones work again when they return', async () => {
    const clock = systemClock;
    const connection = await openConnection(connectionOptions({ kubeconfigPath }));
    const { signal } = new AbortController();
    expect(await checkVersion({ connection, log: silentLogger, clock, signal })).toMatch(/^v\d/);
    await waitForCrds({
      connection,
      resources: [CILIUM_NODES, CILIUM_ENDPOINTS],
      timeoutMs: 10_000,
      log: silentLogger,
      clock,
      signal,
    });
    await connection.close();

    const define = async () => {
      await api.requests.create(DEFINITIONS, gadgetDefinition);
      await until('gadgets are served', async () => (await api.requests.send('GET', GADGETS_PATH)).code === 200);
    };
    const gadget = (name: string) => ({ apiVersion: 'test.example.org/v1', kind: 'Gadget', metadata: { name } });
    await using run = await start(GADGETS, 5);
    await until('gadgets are reported missing', () => run.state === 'missing');
    await define();
    await api.requests.create(GADGETS_PATH, gadget('first'));
    await run.holds(['default/first']);

    await api.requests.delete(`${DEFINITIONS}/gadgets.test.example.org`);
    await until('gadgets are reported missing again', () => run.state === 'missing', {
      withinMs: 45_000,
      status: () => run.status(),
    });
    await until('the definition is gone', async () => (await api.requests.send('GET', GADGETS_PATH)).code === 404);
    await define();
    await api.requests.create(GADGETS_PATH, gadget('second'));
    await run.holds(['default/second']);
  }, 60_000);

  test('a kind that moves from one API version to another is followed, and nothing of it is removed', async () => {
    const plural = 'sprockets';
    const path = `${DEFINITIONS}/${plural}.test.example.org`;
    const collectionOf = (version: string) => `/apis/test.example.org/${version}/namespaces/default/${plural}`;
    const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    const definition = (...served: string[]) => ({
      ...gadgetDefinition,
      metadata: { name: `${plural}.test.example.org` },
      spec: {
        ...gadgetDefinition.spec,
        names: { kind: 'Sprocket', plural },
        versions: ['v1alpha1', 'v1beta1'].map((name) => ({
          name,
          served: served.includes(name),
          storage: name === 'v1alpha1',
          schema,
        })),
      },
    });
    const move = async (...versions: string[]) => {
      const spec = { spec: definition(...versions).spec };
      await api.requests.patch(path, 'merge-patch', spec);
      for (const version of ['v1alpha1', 'v1beta1']) {
        const code = versions.includes(version) ? 200 : 404;
        const isDone = async () => (await api.requests.send('GET', collectionOf(version))).code === code;
        await until(`${version} answers ${code}`, isDone, { withinMs: 30_000 });
      }
    };
    const create = (version: string, name: string) =>
      api.requests.create(collectionOf(version), {
        apiVersion: `test.example.org/${version}`,
        kind: 'Sprocket',
        metadata: { name },
      });

    await api.requests.create(DEFINITIONS, definition('v1alpha1'));
    await move('v1alpha1');
    await create('v1alpha1', 'first');
    const sprockets = { kind: 'Sprocket', group: 'test.example.org', version: 'v1beta1', olderVersions: ['v1alpha1'], plural };
    await using run = await start(sprockets, 5);
    await run.holds(['default/first']);
    await move('v1alpha1', 'v1beta1');
    await create('v1alpha1', 'second');
    await run.holds(['default/first', 'default/second']);
    await move('v1beta1');
    await create('v1beta1', 'third');
    await run.holds(['default/first', 'default/second', 'default/third']);
    await move('v1alpha1');
    await create('v1alpha1', 'fourth');
    await run.holds(['default/first', 'default/fourth', 'default/second', 'default/third']);

    expect(run.told.filter((word) => word.startsWith('-'))).toEqual([]);
    await api.requests.delete(`${collectionOf('v1alpha1')}/first`);
    await run.holds(['default/fourth', 'default/second', 'default/third']);
  }, 90_000);

  test('a client without permission receives the missing rule', async () => {
    const anonymous = `${kubeconfigPath}-anonymous`;
    await writeFile(anonymous, api.kubeconfig.replace(/token: .*/, 'as-extra: {}'));
    await using run = await ReflectorRun.start([], { resource: CILIUM_NODES, connection: { kubeconfigPath: anonymous } });
    await until('the failure is told', () => run.failures.includes('KUBE_FORBIDDEN'), { status: () => run.status() });
    const failure = run.events.find((event) => event.type === 'failure');
    expect(failure).toMatchObject({ error: { message: expect.stringContaining('add get, list, watch of ciliumnodes') } });
  });
});
