/** The containers of one Pod as Cilium's chart has them, with the restrictions that the original does not bear. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { engineOrReason, type ImageEngine } from '../support/containers/image-engine.ts';
import { onNetworkOf, requestOnNetworkOf } from '../support/containers/pod-network.ts';
import { type Authority, CertificateDirectory, canMakeCertificates } from '../support/tls/certificates.ts';
import { until, within } from '../support/until.ts';

const ROOT = join(import.meta.dirname, '../..');
const USER = 65_532;
const KUBERNETES = 'http://127.0.0.1:6443';
const RESTRICTED = [
  '--read-only',
  '--read-only-tmpfs=false',
  '--cap-drop=ALL',
  '--security-opt=no-new-privileges',
  `--user=${USER}:${USER}`,
];
const PROMPT_MS = 10_000;

/** What a service and its node look like to `clustermesh`. */
const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'rebel-base', namespace: 'default', annotations: { 'service.cilium.io/global': 'true' } },
  spec: { selector: { name: 'rebel-base' }, ports: [{ port: 80 }] },
};

const directory = mkdtempSync(join(tmpdir(), 'pod-'));
const certificates = new CertificateDirectory();
const processes: ChildProcess[] = [];
let engine: ImageEngine | undefined;
let reason: string | undefined;

beforeAll(async () => {
  ({ engine, reason } = await engineOrReason());
  if (!canMakeCertificates()) reason = 'needs openssl 3';
}, 600_000);

afterAll(async () => {
  for (const child of processes) child.kill('SIGKILL');
  await engine?.[Symbol.asyncDispose]();
  certificates.remove();
  rmSync(directory, { recursive: true });
});

/** A directory of this machine as a volume that belongs to the user of the containers. */
function volume(name: string, at: string, mode: 'ro' | 'rw'): string {
  const path = join(directory, name);
  mkdirSync(path, { recursive: true });
  chownSync(path, USER, USER);
  return `--volume=${path}:${at}:${mode}`;
}

/** The keys of a Secret as the chart mounts it: readable for the user of the Pod only. */
function secret(name: string, authority: Authority, at: string, user: string): string {
  const option = volume(name, at, 'ro');
  const { certFile, keyFile } = authority.issue({ name: user, alternatives: ['DNS:localhost', 'IP:127.0.0.1'] });
  const files = { 'tls.crt': certFile, 'tls.key': keyFile, 'ca.crt': authority.caFile };
  for (const [file, source] of Object.entries(files)) {
    const target = join(directory, name, file);
    copyFileSync(source, target);
    chownSync(target, USER, USER);
    chmodSync(target, 0o400);
  }
  return option;
}

test('etcdinit, etcd and both daemons run with a read-only root, as a user without rights, and end in order', {
  timeout: 240_000,
}, async (context) => {
  context.skip(reason !== undefined, reason);
  if (engine === undefined) throw new TypeError('no engine, and no reason');
  const started = engine;
  const authority = certificates.authority('mesh');
  const data = volume('data', '/var/run/etcd', 'rw');
  const server = secret('server', authority, '/var/lib/etcd-secrets', 'clustermesh-apiserver.cilium.io');
  const admin = secret('admin', authority, '/var/lib/cilium/etcd-secrets', 'admin-east');

  const init = await started.start(
    [...RESTRICTED, '--network=none', data, '--env=CILIUM_CLUSTER_NAME=east'],
    [
      'etcdinit',
      '--etcd-cluster-name=clustermesh-apiserver',
      '--etcd-initial-cluster-token=pod-uid',
      '--etcd-data-dir=/var/run/etcd',
    ],
  );
  expect(await init.ended(), await init.logs()).toBe(0);

  const etcd = await started.start(
    [...RESTRICTED, '--network=none', data, server, '--entrypoint=/usr/bin/etcd'],
    [
      '--data-dir=/var/run/etcd',
      '--name=clustermesh-apiserver',
      '--client-cert-auth',
      '--trusted-ca-file=/var/lib/etcd-secrets/ca.crt',
      '--cert-file=/var/lib/etcd-secrets/tls.crt',
      '--key-file=/var/lib/etcd-secrets/tls.key',
      '--listen-client-urls=https://0.0.0.0:2379',
      '--advertise-client-urls=https://localhost:2379',
      '--initial-cluster-token=pod-uid',
      '--auto-compaction-retention=1',
      '--enable-grpc-gateway=false',
      '--listen-metrics-urls=http://0.0.0.0:9963',
      '--metrics=basic',
    ],
  );
  const pid = await etcd.pid();
  processes.push(
    spawn(...onNetworkOf(pid, process.execPath, join(ROOT, 'demo/kubernetes/main.ts'), '--port=6443'), { stdio: 'ignore' }),
  );
  await until('Kubernetes answers', async () =>
    (await requestOnNetworkOf(pid, 'GET', `${KUBERNETES}/version`)).startsWith('200 '),
  );
  await until(
    'etcd answers',
    async () => (await requestOnNetworkOf(pid, 'GET', 'http://127.0.0.1:9963/readyz')).startsWith('200 '),
    {
      status: () => etcd.logs(),
    },
  );

  const daemon = (command: string, ...flags: readonly string[]) =>
    started.start(
      [...RESTRICTED, `--network=container:${etcd.name}`, admin],
      [command, '--cluster-name=east', '--cluster-id=1', '--kvstore-opt=etcd.config=/var/lib/cilium/etcd-config.yaml', ...flags],
    );
  const clustermesh = await daemon('clustermesh', '--health-port=9880', `--k8s-api-server-urls=${KUBERNETES}`);
  const kvstoremesh = await daemon('kvstoremesh', '--health-port=9881', '--clustermesh-config=/var/lib/cilium/clustermesh');
  for (const [port, container] of [
    [9880, clustermesh],
    [9881, kvstoremesh],
  ] as const) {
    const isReady = async () => (await requestOnNetworkOf(pid, 'GET', `http://127.0.0.1:${port}/readyz`)).startsWith('200 ');
    await until(`port ${port} is ready`, isReady, { withinMs: 90_000 }).catch(async (error: Error) => {
      throw new Error(`${error.message}\n${await container.logs()}`);
    });
  }

  expect(await requestOnNetworkOf(pid, 'POST', `${KUBERNETES}/api/v1/namespaces/default/services`, SERVICE)).toMatch(/^201 /);
  const etcdctl = async (...args: readonly string[]) => {
    const secrets = '/var/lib/cilium/etcd-secrets';
    const tls = [`--cacert=${secrets}/ca.crt`, `--cert=${secrets}/tls.crt`, `--key=${secrets}/tls.key`];
    const options = [...RESTRICTED, `--network=container:${etcd.name}`, admin, '--entrypoint=/usr/bin/etcdctl'];
    return (await started.runImage(options, ['--endpoints=https://127.0.0.1:2379', ...tls, ...args])).stdout;
  };
  const service = 'cilium/state/services/v1/east/default/rebel-base';
  await until('the service is in etcd', async () => (await etcdctl('get', service)).includes('"cluster":"east"'));
  expect((await etcdctl('user', 'list')).split('\n')).toEqual(
    expect.arrayContaining(['admin-east', 'local-east', 'remote', 'root']),
  );

  for (const container of [clustermesh, kvstoremesh]) {
    await container.kill('SIGTERM');
    expect(await within('the daemon ends', container.ended(), PROMPT_MS), await container.logs()).toBe(0);
  }
  await etcd.kill('SIGTERM');
  expect(await within('etcd ends', etcd.ended(), PROMPT_MS)).toBe(0);
});
