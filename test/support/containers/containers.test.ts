/**
 * Servers in containers: what would be started, and, where an engine answers, that they do what the processes do.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asError } from '../../../src/shared/errors.ts';
import { callEtcd } from '../etcd/etcd-gateway.ts';
import { KUBE_APISERVER_IMAGE, kubeApiserverContainer, startKubeApiserverContainer } from '../kubernetes/kubernetes-container.ts';
import { freePort } from '../network/free-port.ts';
import { canMakeCertificates } from '../tls/certificates.ts';
import { until } from '../until.ts';
import { containerEngineMissing, containersChosen } from './container-engine.ts';
import { ETCD_IMAGES, etcdContainer, startEtcdContainer } from './etcd-container.ts';
import { isEngineNamed, type Podman, startPodman } from './podman.ts';

const OLDEST = { path: 'gcr.io/etcd-development/etcd:v3.4.35', version: '3.4.35', minor: '3.4' };
const NEWER = { path: 'gcr.io/etcd-development/etcd:v3.6.12', version: '3.6.12', minor: '3.6' };

/** What the servers below are started from where this machine has no engine of its own. */
const IMAGES = [
  { name: NEWER.path, tool: 'etcd-3.6', path: '/usr/local/bin/etcd' },
  { name: KUBE_APISERVER_IMAGE, tool: 'kube-apiserver', path: '/usr/local/bin/kube-apiserver' },
];

describe('what is started', () => {
  test('the servers are processes unless containers are asked for, and another word is refused', () => {
    expect([undefined, '', 'processes', 'containers'].map((value) => containersChosen(value ?? ''))).toEqual([
      false,
      false,
      false,
      true,
    ]);
    expect(() => containersChosen('docker')).toThrow('TEST_PROVIDER=docker is no provider of servers');
  });

  test('an etcd container is of the version asked for, and listens where this machine reaches it', () => {
    const plan = etcdContainer({ image: OLDEST, port: 21_000, metricsPort: 21_001, clusterToken: 'a-token' });
    expect(plan).toMatchObject({
      image: 'gcr.io/etcd-development/etcd:v3.4.35',
      ports: [
        { container: 2379, host: 21_000 },
        { container: 2381, host: 21_001 },
      ],
      files: [],
      health: { path: '/health', port: 2381, isTls: false },
    });
    expect(plan.command.slice(0, 4)).toEqual([
      '/usr/local/bin/etcd',
      '--data-dir=/etcd-data',
      '--listen-client-urls=http://0.0.0.0:2379',
      '--advertise-client-urls=http://127.0.0.1:21000',
    ]);
    expect(plan.command).toContain('--listen-metrics-urls=http://0.0.0.0:2381');
    expect(plan.command).toContain('--initial-cluster-token=a-token');
    expect(plan.command).not.toContain('--unsafe-no-fsync');
    expect(plan).not.toHaveProperty('directory');
    expect(ETCD_IMAGES).toContainEqual(OLDEST);
  });

  test('an etcd container with TLS takes its certificates along', () => {
    const tls = { certFile: '/here/server.crt', keyFile: '/here/server.key', clientCaFile: '/here/authority.crt' };
    const args = ['--quota-backend-bytes=16777216'];
    const plan = etcdContainer({ image: NEWER, port: 21_000, metricsPort: 21_001, clusterToken: 't', tls, args });
    expect(plan.files).toEqual([
      { source: '/here/server.crt', target: '/certificates/tls.crt' },
      { source: '/here/server.key', target: '/certificates/tls.key' },
      { source: '/here/authority.crt', target: '/certificates/ca.crt' },
    ]);
    expect(plan.command.slice(-6)).toEqual([
      '--unsafe-no-fsync',
      '--cert-file=/certificates/tls.crt',
      '--key-file=/certificates/tls.key',
      '--trusted-ca-file=/certificates/ca.crt',
      '--client-cert-auth',
      '--quota-backend-bytes=16777216',
    ]);
    expect(plan.command).toContain('--listen-client-urls=https://0.0.0.0:2379');
    expect(plan.command).toContain('--advertise-client-urls=https://127.0.0.1:21000');
  });

  test('a data directory that is given is that of the container', () => {
    const plan = etcdContainer({ image: NEWER, port: 1, metricsPort: 2, clusterToken: 't', dataDir: '/here/data' });
    expect(plan.directory).toEqual({ source: '/here/data', target: '/etcd-data' });
  });

  test('a kube-apiserver container finds its files, and an etcd in its network', () => {
    const certificate = { certFile: '/here/tls.crt', keyFile: '/here/tls.key' };
    const plan = kubeApiserverContainer({ port: 21_002, directory: '/there', certificate, network: 'a-network' });
    expect(plan).toMatchObject({
      image: expect.stringMatching(/^registry\.k8s\.io\/kube-apiserver:v1\.\d+\.\d+$/),
      ports: [{ container: 6443, host: 21_002 }],
      network: { name: 'a-network', alias: 'kube-apiserver' },
      health: { port: 6443, isTls: true },
    });
    expect(plan.command).toContain('--etcd-servers=http://etcd:2379');
    expect(plan.command).toContain('--secure-port=6443');
    const named = plan.command.flatMap((flag) => /=(\/kube-apiserver-test\/.*)/.exec(flag)?.[1] ?? []);
    expect(plan.files.map(({ target }) => target).sort()).toEqual(named.sort());
    const { network } = etcdContainer({ image: NEWER, port: 1, metricsPort: 2, clusterToken: 't', network: 'a-network' });
    expect(network).toEqual({ name: 'a-network', alias: 'etcd' });
  });
});

describe('what runs', { timeout: 300_000 }, () => {
  let missing: string | undefined;
  let podman: Podman | undefined;
  beforeAll(async () => {
    try {
      if (!isEngineNamed()) podman = await startPodman(IMAGES);
      missing = await containerEngineMissing();
    } catch (thrown) {
      missing = `no container engine can be started: ${asError(thrown).message}`;
    }
  });
  afterAll(() => podman?.stop());

  const post = async (endpoint: string, path: string, body: Record<string, string>): Promise<Record<string, unknown>> => {
    const encoded = Object.entries(body).map(([name, value]) => [name, Buffer.from(value).toString('base64')]);
    return (await callEtcd(endpoint, `kv/${path}`, Object.fromEntries(encoded))) as Record<string, unknown>;
  };

  test('an etcd container keeps its keys over a kill, loses them with a wipe, and stands still while paused', async (context) => {
    context.skip(missing !== undefined, missing);
    const ports = { port: await freePort(), metricsPort: await freePort() };
    await using etcd = await startEtcdContainer(ports);
    const count = async () => (await post(etcd.endpoint, 'range', { key: 'a' })).count;
    await post(etcd.endpoint, 'put', { key: 'a', value: 'v' });
    await etcd.kill();
    await expect(count()).rejects.toThrow();
    await etcd.restart();
    expect(await count()).toBe('1');
    etcd.pause();
    await until('it stands still', () =>
      count().then(
        () => false,
        () => true,
      ),
    );
    etcd.resume();
    expect(await count()).toBe('1');
    await etcd.restart({ wipe: true });
    expect(await count()).toBeUndefined();
  });

  test('an etcd container keeps its keys in a directory that is given', async (context) => {
    context.skip(missing !== undefined, missing);
    const dataDir = mkdtempSync(join(tmpdir(), 'etcd-container-'));
    const ports = { port: await freePort(), metricsPort: await freePort() };
    try {
      const first = await startEtcdContainer({ ...ports, dataDir });
      await post(first.endpoint, 'put', { key: 'a', value: 'v' });
      await first.stop();
      await using second = await startEtcdContainer({ ...ports, dataDir });
      expect((await post(second.endpoint, 'range', { key: 'a' })).count).toBe('1');
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

  test('a kube-apiserver container serves the kinds that the project reads', async (context) => {
    context.skip(missing !== undefined, missing);
    context.skip(!canMakeCertificates(), 'no openssl of version 3 in the PATH');
    await using kubernetes = await startKubeApiserverContainer();
    expect(await kubernetes.requests.get('/apis/cilium.io/v2/ciliumnodes')).toMatchObject({ items: [] });
  });
});
