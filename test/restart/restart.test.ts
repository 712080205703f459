/**
 * A restart at production size: unchanged keys cause no events, and stale keys are removed before the canary.
 */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startEmbeddedKubernetes } from '../../demo/kubernetes/embedded-kubernetes.ts';
import { type EtcdClient, type EtcdKey, keyOf, NO_LEASE, type TxnOperation } from '../../src/shared/etcd/types.ts';
import { connect, history, revisionOf } from '../support/etcd/etcd-client.ts';
import { etcdForTest } from '../support/etcd/etcd-fixture.ts';
import type { EtcdProcess } from '../support/etcd/etcd-process.ts';
import { KubernetesRequests } from '../support/kubernetes/kubernetes-requests.ts';
import { startDaemon } from '../support/processes/daemon.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const KEYS = 20_000;
const STALE = 7;
const signal = () => AbortSignal.timeout(60_000);

async function etcdWithClient(): Promise<{ etcd: EtcdProcess; client: EtcdClient }> {
  const etcd = await etcdForTest();
  return { etcd, client: connect(etcd.endpoint) };
}

async function putAll(client: EtcdClient, entries: readonly (readonly [string, string])[]): Promise<void> {
  const operations = entries.map(
    ([key, value]): TxnOperation => ({ type: 'put', key: keyOf(key), value: Buffer.from(value), lease: NO_LEASE }),
  );
  for (let i = 0; i < operations.length; i += 128) await client.txn(operations.slice(i, i + 128), { signal: signal() });
}

async function countBelow(client: EtcdClient, prefix: string): Promise<number> {
  let count = 0;
  for await (const page of client.list(keyOf(prefix), { signal: signal(), keysOnly: true })) count += page.keyValues.length;
  return count;
}

/** The oracle of both tests: of the events since, those below `data`, and the canaries. */
async function judge(client: EtcdClient, since: number, data: string, stale: readonly string[]): Promise<void> {
  const events = await history(client, since);
  const changes = events.filter(({ key }) => key.startsWith(data));
  expect(changes.filter(({ type }) => type === 'put').map(({ key }) => key)).toEqual([]);
  expect(changes.map(({ key }) => key as string).sort()).toEqual([...stale].sort());
  const canaries = events.filter(({ key, type }) => key.startsWith('cilium/synced/') && type === 'put');
  const scopeOf = (key: EtcdKey) => key.slice(data.length).split('/')[0] ?? '';
  for (const { key, modRevision } of changes) {
    const canary = canaries.find((candidate) => candidate.key.includes(`/${scopeOf(key)}/`));
    expect(canary?.modRevision, `the canary of ${key}`).toBeGreaterThan(modRevision);
  }
}

test('rule 54: kvstoremesh, killed and restarted, causes no event for 20,000 mirrored keys, and removes the keys that its source lost', async () => {
  const source = await etcdWithClient();
  const local = await etcdWithClient();
  const ips = Array.from(
    { length: KEYS },
    (_, i) => [`cilium/state/ip/v1/default/10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, `{"IP":"${i}"}`] as const,
  );
  await putAll(source.client, ips);
  await putAll(source.client, [
    ['cilium/cluster-config/north', '{"id":7,"capabilities":{"syncedCanaries":true,"maxConnectedClusters":255}}'],
    ...['nodes', 'services', 'identities', 'ip'].map(
      (resource) => [`cilium/synced/north/cilium/state/${resource}/v1`, '2026-01-01T00:00:00Z'] as const,
    ),
    ['cilium/.heartbeat', '2026-01-01T00:00:00Z'],
  ]);
  const directory = temporaryDirectory('restart');
  await writeFile(join(directory, 'north'), `endpoints:\n- ${source.etcd.endpoint}\n`);
  const flags = [
    ...['--cluster-name=west', '--cluster-id=2', `--clustermesh-config=${directory}`, '--api-serve-addr=127.0.0.1:0'],
    `--kvstore-opt=etcd.address=${local.etcd.endpoint}`,
  ];
  await using first = await startDaemon('kvstoremesh', flags);
  await first.ready();
  expect(await countBelow(local.client, 'cilium/cache/')).toBe(KEYS);
  await first.kill();

  const lost = ips.slice(0, STALE).map(([key]) => key);
  await source.client.txn(
    lost.map((key) => ({ type: 'delete', key: keyOf(key) })),
    { signal: signal() },
  );
  const since = await revisionOf(local.client);
  await using second = await startDaemon('kvstoremesh', flags);
  await second.ready();
  const canary = keyOf('cilium/synced/north/cilium/cache/ip/v1');
  await until('it mirrors', async () => ((await local.client.get(canary, { signal: signal() }))?.modRevision ?? 0) > since, {
    withinMs: 60_000,
    status: () => second.log.slice(-2000),
  });

  const stale = lost.map((key) => key.replace('cilium/state/ip/v1/default/', 'cilium/cache/ip/v1/north/'));
  await judge(local.client, since, 'cilium/cache/', stale);
}, 240_000);

test('clustermesh, killed and restarted, causes no event for 20,000 exported keys, and removes the keys of deleted objects', async () => {
  const local = await etcdWithClient();
  const kubernetes = await startEmbeddedKubernetes();
  onTestFinished(() => kubernetes.stop());
  const directory = temporaryDirectory('restart');
  const kubeconfig = join(directory, 'kubeconfig');
  await writeFile(kubeconfig, kubernetes.kubeconfig);
  const requests = new KubernetesRequests({ url: kubernetes.url });
  await createEndpoints(requests, KEYS);
  const flags = [
    ...['--cluster-name=east', '--cluster-id=1', `--k8s-kubeconfig-path=${kubeconfig}`],
    `--kvstore-opt=etcd.address=${local.etcd.endpoint}`,
  ];
  await createEndpoint(requests, 'zulu', SHARED_ADDRESS, 1);
  await using first = await startDaemon('clustermesh', flags);
  await first.ready();
  expect(await countBelow(local.client, 'cilium/state/ip/')).toBe(KEYS + 1);
  // It will be listed before the one that has the address, and waits in line.
  await createEndpoint(requests, 'alpha', SHARED_ADDRESS, 2);
  await createEndpoint(requests, 'later', '10.200.0.2', 3);
  await until('the endpoints after it are there', async () => (await countBelow(local.client, 'cilium/state/ip/')) === KEYS + 2);
  await first.kill();

  for (let i = 0; i < STALE; i += 1) await requests.delete(`${ENDPOINTS}/pod-${i}`);
  const since = await revisionOf(local.client);
  await using second = await startDaemon('clustermesh', flags);
  await second.ready();

  await judge(
    local.client,
    since,
    'cilium/state/',
    Array.from({ length: STALE }, (_, i) => `cilium/state/ip/v1/default/${address(i)}`),
  );
  await until('the heartbeat is there', () => local.client.get(keyOf('cilium/.heartbeat'), { signal: signal() }));
  await requests.delete(`${ENDPOINTS}/zulu`);
  await until('the next in line has the address', async () => (await identityOf(local.client, SHARED_ADDRESS)) === 2);
}, 240_000);

const SHARED_ADDRESS = '10.200.0.1';

const ENDPOINTS = '/apis/cilium.io/v2/namespaces/default/ciliumendpoints';

const address = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;

async function createEndpoints(requests: KubernetesRequests, count: number): Promise<void> {
  let next = 0;
  const creator = async () => {
    while (next < count) {
      const i = next;
      next += 1;
      await createEndpoint(requests, `pod-${i}`, address(i), 70_000 + (i % 500));
    }
  };
  await Promise.all(Array.from({ length: 16 }, creator));
}

async function createEndpoint(requests: KubernetesRequests, name: string, ipv4: string, identity: number): Promise<void> {
  await requests.create(ENDPOINTS, {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumEndpoint',
    metadata: { name, namespace: 'default' },
    status: { identity: { id: identity }, networking: { node: '172.16.0.1', addressing: [{ ipv4 }] } },
  });
}

async function identityOf(client: EtcdClient, ip: string): Promise<number> {
  const found = await client.get(keyOf(`cilium/state/ip/v1/default/${ip}`), { signal: signal() });
  return (JSON.parse(Buffer.from(found?.value ?? '{}').toString()) as { ID: number }).ID;
}
