/** The Job of the chart that issues certificates, run with its account: what it needs, and what it writes. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KubeProxy } from '../support/kubernetes/faulty-kubernetes-proxy.ts';
import { kubeApiserverMissing } from '../support/kubernetes/kube-apiserver.ts';
import { runChild } from '../support/processes/child.ts';
import { Cluster } from './cluster/cluster.ts';
import { accountKubeconfig, plainKubeconfig, requestedRights, rightsOf } from './cluster/rights.ts';
import {
  CHART,
  Helm,
  helmMissing,
  type KubeObject,
  NAMESPACE,
  objectsOf,
  REQUIRED,
  referenceOf,
  type Values,
} from './rendered/helm.ts';
import { merged } from './rendered/matrix.ts';
import { podOf } from './rendered/pods.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/clustermesh-apiserver', import.meta.url));
const NAME = 'clustermesh-apiserver-generate-certs';

/**
 * The command renews the certificate of the members of a replicated etcd if it exists. With a single etcd the Role refuses this, and
 * the command continues without it.
 */
const PEER_LOOKUP = 'get /secrets/clustermesh-apiserver-peer-cert';

const ours = (...args: readonly string[]) => runChild(PROGRAM, args, { env: { CLUSTERMESH_NODE: process.execPath } });
const missing = helmMissing() ?? kubeApiserverMissing();

describe.skipIf(missing !== undefined)(`certificates by a Job${missing === undefined ? '' : ` (${missing})`}`, () => {
  let cluster: Cluster;
  let helm: Helm;
  let proxy: KubeProxy;
  const directory = mkdtempSync(join(tmpdir(), 'certs-test-'));

  beforeAll(async () => {
    cluster = await Cluster.start();
    helm = new Helm(cluster.kubeconfigFile);
    await release('install', {});
    proxy = await KubeProxy.start(await accountKubeconfig(cluster, NAME));
    writeFileSync(join(directory, 'kubeconfig'), plainKubeconfig(proxy.url));
  }, 180_000);

  afterAll(async () => {
    rmSync(directory, { recursive: true, force: true });
    await proxy?.[Symbol.asyncDispose]();
    helm?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  }, 30_000);

  async function release(verb: 'install' | 'upgrade', values: Values): Promise<void> {
    const all = merged(merged(REQUIRED, { tls: { method: 'cronJob', authMode: 'cluster' } }), values);
    const { status, stderr } = await helm.run(
      verb,
      'mesh',
      CHART,
      `--namespace=${NAMESPACE}`,
      `--values=${helm.valuesFile(all)}`,
    );
    if (status !== 0) throw new Error(stderr);
  }

  /** Runs the container of the Job that the release has now. */
  async function runJob(): Promise<void> {
    const { stdout } = await helm.run('get', 'manifest', 'mesh', `--namespace=${NAMESPACE}`);
    const job = objectsOf(stdout).find(({ kind }) => kind === 'Job') as KubeObject;
    const args = podOf(job)?.spec.containers[0]?.args ?? [];
    const { status, stderr } = await ours(...args, `--k8s-kubeconfig-path=${join(directory, 'kubeconfig')}`);
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.any(String) });
  }

  async function certificateOf(secret: string): Promise<X509Certificate> {
    const { data } = (await cluster.get('Secret', secret)) ?? {};
    return new X509Certificate(Buffer.from(data?.['tls.crt'] ?? '', 'base64'));
  }

  /** Those of the Role of the release. */
  async function roleRights(): Promise<readonly string[]> {
    const { stdout } = await helm.run('get', 'manifest', 'mesh', `--namespace=${NAMESPACE}`);
    const role = objectsOf(stdout).find(
      (object) => referenceOf(object) === 'Role/clustermesh-apiserver-generate-certs',
    ) as KubeObject;
    return rightsOf(role.rules ?? []);
  }

  test('it writes what the Pod mounts, and issues again what does not fit, with no right that it does not need', async () => {
    await runJob();
    const names = ['admin', 'local', 'remote'].map((user) => `clustermesh-apiserver-${user}-cert`);
    const users = await Promise.all(names.map(async (name) => (await certificateOf(name)).subject));
    expect(users).toEqual(['CN=admin-east', 'CN=local-east', 'CN=remote-east']);
    const server = 'clustermesh-apiserver-server-cert';
    const wanted = [`clustermesh-apiserver.${NAMESPACE}.svc`, 'west.mesh.cilium.io'];
    const before = await certificateOf(server);
    expect(wanted.map((name) => before.checkHost(name))).toEqual([wanted[0], '*.mesh.cilium.io']);
    expect(before.checkIP('127.0.0.1')).toBe('127.0.0.1');

    await release('upgrade', { tls: { server: { extraDnsNames: ['mesh.example.org'] } } });
    // Each has to be issued again: they are damaged.
    for (const name of [server, ...names]) {
      const path = `/api/v1/namespaces/${NAMESPACE}/secrets/${name}`;
      await cluster.requests.patch(path, 'merge-patch', { data: { 'tls.crt': '', 'tls.key': '' } });
    }
    await runJob();
    expect((await certificateOf(server)).checkHost('mesh.example.org')).toBe('mesh.example.org');

    expect(requestedRights(proxy.requests).filter((right) => right !== PEER_LOOKUP)).toEqual(await roleRights());
  });

  test('it writes the certificate of the members of a replicated etcd too, and may', async () => {
    const secret = 'clustermesh-apiserver-peer-cert';
    await release('upgrade', { etcd: { replication: { enabled: true, clusterDomain: 'k8s.example.org' } } });
    await runJob();
    const certificate = await certificateOf(secret);
    expect(certificate.subject).toBe('CN=peer-east');
    const member = `clustermesh-apiserver-0.clustermesh-apiserver-peers.${NAMESPACE}.svc`;
    expect(certificate.checkHost(member)).toBeDefined();
    expect(certificate.checkHost(`${member}.k8s.example.org`)).toBeDefined();
    // Each client of a member finds it in the server certificate.
    expect((await certificateOf('clustermesh-apiserver-server-cert')).checkHost(member)).toBeDefined();

    const path = `/api/v1/namespaces/${NAMESPACE}/secrets/${secret}`;
    await cluster.requests.patch(path, 'merge-patch', { data: { 'tls.crt': '', 'tls.key': '' } });
    await runJob();
    expect(requestedRights(proxy.requests)).toEqual(await roleRights());
  });
});
