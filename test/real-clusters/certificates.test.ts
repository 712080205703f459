/**
 * docs/commands/certificates.md on two real clusters, which docs/commands/connect.md has joined: every certificate and the CA are replaced while
 * Services change.
 */
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterMissing } from '../support/cluster/node-programs.ts';
import { type Outcome, runChild } from '../support/processes/child.ts';
import { until } from '../support/until.ts';
import type { Changes, ServiceReader } from './changes.ts';
import { NAMESPACE } from './cilium.ts';
import { JoinedClusters, NAMES, type Name, NODE_PORT, READY } from './joined-clusters.ts';

const PROGRAM = join(import.meta.dirname, '../../bin/clustermesh-apiserver');
/** Of client certificates, not of CAs. */
const EXPIRY = /^cilium_\w+_certificate_expiry_timestamp_seconds\{[^}]*(?:tls|client)\.crt"\} \S+$/gm;
const NODE = '/usr/lib/clustermesh-apiserver/node';
/** Files that a container trusts: the container, the Secret, the file. */
const MOUNTED = [
  ['etcd', 'clustermesh-apiserver-server-cert', '/var/lib/etcd-secrets/ca.crt'],
  ['kvstoremesh', 'clustermesh-apiserver-admin-cert', '/var/lib/cilium/etcd-secrets/ca.crt'],
  ['kvstoremesh', 'clustermesh-apiserver-remote-cert', '/var/lib/cilium/clustermesh/common-etcd-client-ca.crt'],
] as const;

const missing = clusterMissing();

describe.skipIf(missing !== undefined)(`certificates of two clusters${missing === undefined ? '' : ` (${missing})`}`, () => {
  let joined: JoinedClusters;
  let changes: Changes;
  let reader: ServiceReader;

  beforeAll(async () => {
    const values = { tls: { method: 'cronJob' }, mesh: { renderSecrets: false } };
    joined = await JoinedClusters.start(async (clusters) => {
      await clusters.installChart({ east: values, west: values });
      await until('the certificates are issued', () => connect(clusters), READY);
    });
    ({ changes, reader } = await joined.underChanges());
  }, 1_500_000);

  afterAll(() => joined?.[Symbol.asyncDispose](), 60_000);

  /** Resolves with true once the clusters are joined. */
  async function connect(clusters: JoinedClusters): Promise<boolean> {
    const { status, stdout, stderr } = await mesh(clusters, 'connect');
    if (status !== 0) throw new Error(stdout + stderr);
    return true;
  }

  /** Runs a command on both clusters, from a workstation. */
  async function mesh({ directory }: JoinedClusters, command: string): Promise<Outcome> {
    const args = [command, '--context=east', '--destination-context=west'];
    return await runChild(PROGRAM, args, { env: { KUBECONFIG: join(directory, 'kubeconfig') } });
  }

  /** Runs `certs` for that cluster, as from a workstation. */
  async function certs(name: Name, ...args: readonly string[]): Promise<string> {
    const { stdout, stderr, status } = await runChild(PROGRAM, [
      'certs',
      ...args,
      `--namespace=${NAMESPACE}`,
      `--cluster-name=${name}`,
      `--extra-ip-addresses=${joined.by[name].nodeAddress}`,
      `--k8s-kubeconfig-path=${joined.directory}/${name}.kubeconfig`,
    ]);
    expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: expect.anything() });
    return stdout;
  }

  async function secretOf(name: Name, secret: string, file: string): Promise<string> {
    const found = await joined.by[name].requests.get(`/api/v1/namespaces/${NAMESPACE}/secrets/${secret}`);
    const { data } = found as { readonly data: Readonly<Record<string, string>> };
    return Buffer.from(data[file] ?? '', 'base64').toString();
  }

  async function serverSerial(name: Name): Promise<string> {
    return new X509Certificate(await secretOf(name, 'clustermesh-apiserver-server-cert', 'tls.crt')).serialNumber;
  }

  /** Of the certificate that etcd shows. */
  function servedSerial(name: Name): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connectTls({ host: joined.by[name].nodeAddress, port: NODE_PORT, rejectUnauthorized: false }, () => {
        resolve(socket.getPeerX509Certificate()?.serialNumber ?? '');
        socket.destroy();
      });
      socket.on('error', reject);
    });
  }

  async function expirySeries(name: Name): Promise<readonly string[]> {
    const texts = await Promise.all([9962, 9964].map((port) => joined.fetch(name, port, '/metrics')));
    return texts.flatMap((text) => text.match(EXPIRY) ?? []).sort();
  }

  test('connect has joined the clusters, and changes nothing when it is repeated', async () => {
    const { status, stdout } = await mesh(joined, 'connect');
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining('unchanged') });
    expect(stdout).not.toMatch(/: changed/);
  });

  test('new certificates are used without a restart, and no change is lost', { timeout: 300_000 }, async () => {
    const before = await Promise.all(
      NAMES.map(async (name) => ({ name, series: await expirySeries(name), served: await servedSerial(name) })),
    );
    for (const name of NAMES) await certs(name, 'generate', '--cert-validity-duration=17520h', '--renew-before=8761h');
    for (const { name, series, served } of before) {
      expect(series.length).toBeGreaterThanOrEqual(3);
      await until(
        `etcd of ${name} shows its new certificate`,
        async () => (await servedSerial(name)) === (await serverSerial(name)),
        READY,
      );
      expect(await servedSerial(name)).not.toBe(served);
      await until(
        `the expiry series of ${name} have moved`,
        async () => (await expirySeries(name)).every((line) => !series.includes(line)),
        READY,
      );
    }
    await reader.hasAll(changes);
    expect({ relists: reader.relists, deletions: reader.deletions }).toEqual({ relists: 0, deletions: [] });
  });

  test('the CA is replaced in three steps, and no change is lost', { timeout: 900_000 }, async () => {
    const endpoints = NAMES.map((name) => `https://${joined.by[name].nodeAddress}:${NODE_PORT}`).join(',');
    const old = await secretOf('east', 'cilium-ca', 'ca.crt');
    await step('prepare');
    await restart();
    await step('switch', `--etcd-endpoint=${endpoints}`);
    for (const name of NAMES) {
      await until(
        `etcd of ${name} shows its new certificate`,
        async () => (await servedSerial(name)) === (await serverSerial(name)),
        READY,
      );
    }
    await reader.hasAll(changes);
    await step('finish', `--etcd-endpoint=${endpoints}`);
    await restart();
    expect(await secretOf('east', 'cilium-ca', 'ca.crt')).not.toBe(old);
    expect(await secretOf('west', 'cilium-ca', 'ca.crt')).toBe(await secretOf('east', 'cilium-ca', 'ca.crt'));
    for (const name of NAMES) expect(await certs(name, 'check')).not.toMatch(/ (?:warning|error) /);
    expect(reader.deletions).toEqual([]);
    expect(changes.count).toBeGreaterThan(0);
  });

  /** The clusters share the CA: the first one makes it, the other one gets a copy. */
  async function step(name: string, ...args: readonly string[]): Promise<void> {
    await certs('east', 'rotate-ca', name, ...args);
    await joined.copyAuthority();
    await certs('west', 'rotate-ca', name, ...args);
    for (const cluster of NAMES) await mounted(cluster);
    await joined.renewClients();
  }

  /** Waits until the kubelet has written the Secrets into the volumes of the Pod. */
  async function mounted(name: Name): Promise<void> {
    for (const [container, secret, file] of MOUNTED) {
      const print = `exec deployment/clustermesh-apiserver --container ${container} -- ${NODE} --print 'fs.readFileSync("${file}", "utf8")'`;
      const isCurrent = async () =>
        (await joined.kubectl(name, print)).trim() === (await secretOf(name, secret, 'ca.crt')).trim();
      await until(`${file} of ${name} is current`, isCurrent, READY);
    }
  }

  /** A rollout, since etcd reads the CAs of its clients only when it starts. */
  async function restart(): Promise<void> {
    for (const name of NAMES) await joined.kubectl(name, 'rollout restart deployment/clustermesh-apiserver');
    await joined.rolledOut();
    await reader.hasAll(changes);
  }
});
