/**
 * What the embedded API does on a test's word, and what the real one does too rarely to wait for.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import {
  type EmbeddedKubernetes,
  type EmbeddedOptions,
  startEmbeddedKubernetes,
} from '../../../demo/kubernetes/embedded-kubernetes.ts';
import { meshDefinitions } from '../../../demo/kubernetes/mesh-definitions.ts';
import { KubernetesRequests } from '../../support/kubernetes/kubernetes-requests.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { NODES } from './contract-subject.ts';
import { watchEvents } from './watched-events.ts';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const running: EmbeddedKubernetes[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
});

async function start(options: EmbeddedOptions = {}) {
  const server = await startEmbeddedKubernetes(options);
  running.push(server);
  const requests = new KubernetesRequests({ url: server.url });
  const createNode = (name: string) =>
    requests.create(NODES, { apiVersion: 'cilium.io/v2', kind: 'CiliumNode', metadata: { name } });
  return { server, requests, createNode };
}

test('a watch from a compacted revision ends with an error of code 410', async () => {
  const { server, requests, createNode } = await start();
  const revision = server.revision;
  await createNode('a');
  server.compact();
  using watch = await watchEvents(requests, NODES, `resourceVersion=${revision}`);
  expect(await watch.next()).toMatchObject({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } });
  expect(await watch.next()).toBeUndefined();
});

test('the pages of a list end with a 410 when its revision is compacted between them', async () => {
  const { server, requests, createNode } = await start();
  for (const name of ['a', 'b', 'c']) await createNode(name);
  const first = (await requests.get(`${NODES}?limit=1`)) as { metadata: { continue: string } };
  await createNode('d');
  server.compact();
  const second = await requests.send('GET', `${NODES}?limit=1&continue=${first.metadata.continue}`);
  expect(second).toMatchObject({ code: 410, body: { reason: 'Expired' } });
});

test('the history is bounded: the oldest changes are compacted by new ones', async () => {
  const { server, requests, createNode } = await start({ historyEvents: 4 });
  const revision = server.revision;
  for (let number = 0; number < 8; number += 1) await createNode(`n-${number}`);
  using old = await watchEvents(requests, NODES, `resourceVersion=${revision}`);
  expect(await old.next()).toMatchObject({ type: 'ERROR', object: { code: 410 } });
  using recent = await watchEvents(requests, NODES, `resourceVersion=${server.revision - 2}`);
  expect(await recent.take(2)).toEqual(['ADDED n-6', 'ADDED n-7']);
});

test('bookmarks report the progress of others to a quiet watch', async () => {
  const { server, requests, createNode } = await start({ bookmarkIntervalMs: 20 });
  await requests.create('/api/v1/namespaces', { metadata: { name: 'busy' } });
  using watch = await watchEvents(requests, NODES, `resourceVersion=1&allowWatchBookmarks=true`);
  expect(await watch.next()).toMatchObject({
    type: 'BOOKMARK',
    object: { metadata: { resourceVersion: String(server.revision) } },
  });
  await createNode('a');
  expect(await watch.next()).toMatchObject({ type: 'ADDED' });
});

test('cut connections end watches, and new ones are served', async () => {
  const { server, requests, createNode } = await start();
  using watch = await watchEvents(requests, NODES, `resourceVersion=${server.revision}`);
  server.disconnectAll();
  await expect(watch.next().catch(() => undefined)).resolves.toBeUndefined();
  await until('a new connection is served', () => requests.get('/version'));
  await createNode('a');
  expect(await requests.get(`${NODES}/a`)).toMatchObject({ metadata: { name: 'a' } });
});

test('a kind is served from the creation of its definition to its deletion', async () => {
  const definition = meshDefinitions.find(({ metadata }) => metadata.name === 'ciliumnodes.cilium.io');
  const { requests, createNode } = await start({ definitions: [] });
  expect((await requests.send('GET', NODES)).code).toBe(404);
  await requests.create(CRDS, definition);
  await createNode('a');
  using watch = await watchEvents(requests, NODES);
  expect(await watch.take(1)).toEqual(['ADDED a']);
  await requests.delete(`${CRDS}/ciliumnodes.cilium.io`);
  expect(await watch.take(2)).toEqual(['DELETED a']);
  expect((await requests.send('GET', NODES)).code).toBe(404);
  await requests.create(CRDS, definition);
  expect(await requests.get(NODES)).toMatchObject({ items: [] });
});

test('a watch that lags behind a large state gets all of it, at its own pace', async () => {
  const { requests, createNode } = await start();
  for (let number = 0; number < 500; number += 1) await createNode(`n-${String(number).padStart(3, '0')}`);
  using watch = await watchEvents(requests, NODES);
  const seen = await watch.take(500);
  expect(seen).toHaveLength(500);
  expect(seen.at(-1)).toBe('ADDED n-499');
});

test('bodies that are too large, too deep, or of another format are refused', async () => {
  const { requests } = await start();
  const node = (spec: unknown) => ({ apiVersion: 'cilium.io/v2', kind: 'CiliumNode', metadata: { name: 'a' }, spec });
  const deep = Array.from({ length: 200 }).reduce<unknown>((inner) => ({ inner }), {});
  expect(await requests.send('POST', NODES, node({ text: 'x'.repeat(4 * 1024 * 1024) }))).toMatchObject({ code: 413 });
  expect(await requests.send('POST', NODES, node(deep))).toMatchObject({ code: 400 });
  expect(await requests.send('POST', NODES, node({}), 'application/vnd.kubernetes.protobuf')).toMatchObject({ code: 415 });
  expect(await requests.send('POST', NODES, 'text')).toMatchObject({ code: 400 });
  expect(await requests.send('PUT', NODES, node({}))).toMatchObject({ code: 405 });
  expect(await requests.send('GET', '/nowhere')).toMatchObject({ code: 404, body: { kind: 'Status' } });
});

test('a field named __proto__ is a field like any other', async () => {
  const { requests } = await start();
  const spec = JSON.parse('{"__proto__": {"polluted": true}, "a": 1}') as unknown;
  await requests.create(NODES, { apiVersion: 'cilium.io/v2', kind: 'CiliumNode', metadata: { name: 'a' }, spec });
  await requests.patch(`${NODES}/a`, 'merge-patch', { spec: { a: 2 } });
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

test('it identifies itself', async () => {
  const { server, requests } = await start();
  expect(server.version).toBe('v1.34.0+embedded');
  expect(await requests.get('/version')).toMatchObject({ gitVersion: 'v1.34.0+embedded' });
});

test('stopping twice is stopping once', async () => {
  const { server } = await start();
  await Promise.all([server.stop(), server.stop()]);
});

test('as a program it serves, writes a kubeconfig, and ends on SIGTERM', async () => {
  const file = join(temporaryDirectory('embedded'), 'kubeconfig');
  const main = join(import.meta.dirname, '../../../demo/kubernetes/main.ts');
  const child = spawn(process.execPath, [main, '--port', '0', '--kubeconfig', file], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    expect(line.toString()).toContain('v1.34.0+embedded');
    const { clusters } = parse(readFileSync(file, 'utf8')) as { clusters: [{ cluster: { server: string } }] };
    expect((await fetch(`${clusters[0].cluster.server}/readyz`)).status).toBe(200);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  } finally {
    child.kill('SIGKILL');
  }
});

test('as a program it refuses a port that is none', async () => {
  const main = join(import.meta.dirname, '../../../demo/kubernetes/main.ts');
  const child = spawn(process.execPath, [main, '--port', 'http'], { stdio: ['ignore', 'ignore', 'pipe'] });
  expect(await text(child.stderr)).toContain('--port: "http" is no port');
  if (child.exitCode === null) await once(child, 'exit');
  expect(child.exitCode).toBe(1);
});
