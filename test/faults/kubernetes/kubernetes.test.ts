/** The Kubernetes API fails in many ways; the export resumes, and no key of an existing object disappears. */
import { writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { meshDefinitions } from '../../../demo/kubernetes/mesh-definitions.ts';
import { KUBE_BOOKMARK_SILENCE_MS } from '../../../src/shared/kubernetes/limits.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { EXPORTED_KINDS, ExportingCluster } from '../../support/kubernetes/exporting-cluster.ts';
import { KubeProxy, type ProxiedRequest } from '../../support/kubernetes/faulty-kubernetes-proxy.ts';
import { type KubeApiserver, kubeApiserverMissing, startKubeApiserver } from '../../support/kubernetes/kube-apiserver.ts';
import { kubeconfigText } from '../../support/kubernetes/kubeconfig.ts';
import { until } from '../../support/until.ts';

const missing = kubeApiserverMissing() ?? (etcdVersions().length === 0 ? 'no etcd' : undefined);
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

function answer(response: ServerResponse, code: number, reason: string, message = ''): true {
  response.writeHead(code, { 'content-type': 'application/json', ...(code === 429 ? { 'retry-after': '2' } : {}) });
  response.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message }));
  return true;
}

const expired = `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } })}\n`;
const isResumption = ({ query }: ProxiedRequest) => query.has('watch') && !query.has('sendInitialEvents');
const isObjects = ({ path }: ProxiedRequest) => path !== '/version';

describe.skipIf(missing !== undefined)(`a real Kubernetes API${missing === undefined ? '' : ` (${missing})`}`, () => {
  let api: KubeApiserver;

  beforeAll(async () => {
    api = await startKubeApiserver();
  }, 180_000);

  afterAll(() => api?.stop(), 30_000);

  const worldOver = (...proxies: readonly KubeProxy[]) =>
    ExportingCluster.start({
      requests: api.requests,
      flags: () => proxies.map(({ url }) => `--k8s-api-server-urls=${url}`),
    });
  const watching = (proxy: KubeProxy) => until('all kinds are watched', () => proxy.watches >= 6, { withinMs: 60_000 });

  test('fault 40: watches that are ended in order again and again cost no event', async () => {
    await using proxy = await KubeProxy.start(api.kubeconfig);
    await using world = await worldOver(proxy);
    for (let round = 0; round < 4; round += 1) {
      await watching(proxy);
      proxy.endWatches();
      await world.change(round);
    }
    await world.settled();
  });

  test('fault 40: expired history, reported within a watch, leads to a list that removes deleted objects', async () => {
    await using proxy = await KubeProxy.start(api.kubeconfig);
    await using world = await worldOver(proxy);
    await watching(proxy);
    proxy.fault = (_, response) => answer(response, 503, 'ServiceUnavailable');
    proxy.endWatches();
    await world.change();
    proxy.fault = (request, response) => {
      if (!isResumption(request)) return false;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(expired);
      return true;
    };
    await until('a list has begun', () => world.counts('kubernetes_relists_total{resource="services",reason="expired"}'), {
      withinMs: 60_000,
    });
    proxy.fault = undefined;
    await world.settled();
  });

  test('fault 40: a snapshot that is lost between two pages leads to a whole list, and half a list removes nothing', async () => {
    await using proxy = await KubeProxy.start(api.kubeconfig);
    await using world = await worldOver(proxy);
    await watching(proxy);
    const isStreamed = ({ query }: ProxiedRequest) => query.has('sendInitialEvents');
    const isFurtherPage = ({ query }: ProxiedRequest) => query.has('continue');
    const from = proxy.requests.length;
    proxy.pageSize = 4;
    // No stream, and a version that the server does not have: so pages of this moment, of which only the first comes.
    proxy.fault = (request, response) => {
      if (isStreamed(request)) return answer(response, 400, 'BadRequest');
      if (isResumption(request)) return answer(response, 504, 'Timeout', 'Too large resource version');
      return isFurtherPage(request) && answer(response, 410, 'Expired');
    };
    proxy.endWatches();
    await world.change();
    await until('a page is asked for in vain', () => proxy.requests.slice(from).some(isFurtherPage), { withinMs: 60_000 });
    proxy.fault = (request, response) => isStreamed(request) && answer(response, 400, 'BadRequest');
    await world.settled();
  });

  test('fault 40: a busy server is not retried early, and events continue without a list', async () => {
    await using proxy = await KubeProxy.start(api.kubeconfig);
    await using world = await worldOver(proxy);
    await watching(proxy);
    const from = proxy.requests.length;
    proxy.fault = (request, response) => isObjects(request) && answer(response, 429, 'TooManyRequests');
    proxy.endWatches();
    await world.change();
    await world.said('KUBE_THROTTLED');
    proxy.fault = undefined;
    await world.settled();
    await watching(proxy);
    expect(proxy.requests.slice(from).filter((request) => isObjects(request) && !isResumption(request))).toEqual([]);
  });

  test('fault 40: a storm of errors changes nothing, and ends with the changes in between', async () => {
    await using proxy = await KubeProxy.start(api.kubeconfig);
    await using world = await worldOver(proxy);
    await watching(proxy);
    const before = world.exported();
    proxy.fault = (_, response) => answer(response, 500, 'InternalError');
    proxy.endWatches();
    await world.change();
    await until('services fail', () => world.counts('kubernetes_reflector_state{resource="services",state="failing"}'), {
      withinMs: 60_000,
    });
    expect(world.exported()).toEqual(before);
    proxy.fault = undefined;
    await world.settled();
    await until('all is said to be well', () => world.lines.some(({ msg }) => msg === 'Kubernetes API available again'));
  });

  test('fault 40: silent watches are closed, and nothing is missed', async () => {
    await using proxy = await KubeProxy.start(api.kubeconfig);
    await using world = await worldOver(proxy);
    await watching(proxy);
    proxy.hangWatches();
    await world.change();
    world.clock.warp(KUBE_BOOKMARK_SILENCE_MS);
    await world.said('KUBE_SILENCE');
    await world.settled();
  });

  test('fault 40: half an event is no event, and comes whole with the next watch', async () => {
    await using proxy = await KubeProxy.start(api.kubeconfig);
    await using world = await worldOver(proxy);
    await watching(proxy);
    proxy.endWatches('{"type":"DELETED","object":{"metadata":{"name":"node-3","resourceVer');
    await world.change();
    await world.said('KUBE_DECODE');
    await world.settled();
  });

  test('fault 40: a token that expires is followed by the one of its file, and nothing changes until then', async () => {
    let accepted = 'first';
    await using proxy = await KubeProxy.start(api.kubeconfig);
    proxy.fault = ({ headers }, response) =>
      headers.authorization !== `Bearer ${accepted}` && answer(response, 401, 'Unauthorized');
    let tokenFile = '';
    const flags = (directory: string) => {
      tokenFile = join(directory, 'token');
      writeFileSync(tokenFile, accepted);
      writeFileSync(join(directory, 'kubeconfig'), kubeconfigText({ server: proxy.url }, { tokenFile: tokenFile }));
      return [`--k8s-kubeconfig-path=${join(directory, 'kubeconfig')}`];
    };
    await using world = await ExportingCluster.start({ requests: api.requests, flags });
    await watching(proxy);
    accepted = 'second';
    proxy.endWatches();
    await world.change();
    await world.said('KUBE_UNAUTHORIZED');
    world.expectNothingVanished();
    writeFileSync(tokenFile, accepted);
    await world.settled();
    expect(JSON.stringify(world.lines)).not.toContain('Bearer');
  });

  test('fault 40: the export moves on to another server when one goes away', async () => {
    await using first = await KubeProxy.start(api.kubeconfig);
    await using second = await KubeProxy.start(api.kubeconfig);
    await using world = await worldOver(first, second);
    await watching(first);
    await first.stop();
    await world.change();
    await world.settled();
    await watching(second);
  });

  test('fault 40: a CRD that is deleted takes its keys along and no others, and back again it works', {
    timeout: 180_000,
  }, async () => {
    await using proxy = await KubeProxy.start(api.kubeconfig);
    await using world = await worldOver(proxy);
    const [endpoints, ...others] = EXPORTED_KINDS;
    const definition = meshDefinitions.find(({ metadata }) => metadata.name === endpoints?.resource);
    if (endpoints === undefined || definition === undefined) throw new Error('there is no such CRD');
    world.allowRemoval(endpoints);
    await api.requests.delete(`${DEFINITIONS}/${definition.metadata.name}`);
    await until('it is gone', async () => (await api.requests.send('GET', endpoints.collection)).code === 404, {
      withinMs: 60_000,
    });
    await world.settled(others);
    proxy.endWatches();
    await world.said('KUBE_MISSING', /ciliumendpoints/);
    await api.requests.create(DEFINITIONS, definition);
    await until('it is back', async () => (await api.requests.send('GET', endpoints.collection)).code === 200, {
      withinMs: 60_000,
    });
    for (let index = 1; index <= 10; index += 1) await world.create(index, [endpoints]);
    await world.change();
    await world.settled();
  });
});
