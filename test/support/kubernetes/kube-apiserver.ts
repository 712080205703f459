/**
 * A real kube-apiserver for tests, bare (no controllers), with an etcd of its own.
 *
 * The binary comes from `$KUBE_APISERVER`, else from `.cache/tools`. It serves services of both IP families
 * and the custom kinds the project reads; its certificate is its own, its only user has all rights.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { meshDefinitions } from '../../../demo/kubernetes/mesh-definitions.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../etcd/etcd-process.ts';
import { freePort } from '../network/free-port.ts';
import { until } from '../until.ts';
import { kubeconfigText } from './kubeconfig.ts';
import { KubernetesRequests } from './kubernetes-requests.ts';

export interface KubeApiserver extends AsyncDisposable {
  readonly url: string;
  /** The text of a kubeconfig with the server's certificate and a token. */
  readonly kubeconfig: string;
  readonly requests: KubernetesRequests;
  /** Where it keeps its objects. */
  readonly etcd: Pick<EtcdProcess, 'endpoint'>;
  /** Ends the server and its etcd. Idempotent. */
  stop(): Promise<void>;
}

/** Version of etcd below which this kube-apiserver does not start. */
const OLDEST_ETCD = '3.5';

/** Why no kube-apiserver can be started here; undefined where one can. */
export function kubeApiserverMissing(): string | undefined {
  if (binary() === undefined) return 'no kube-apiserver: set KUBE_APISERVER, or run scripts/build-test-tools.sh';
  return etcdVersion() === undefined ? `no etcd of version ${OLDEST_ETCD} or later for the kube-apiserver` : undefined;
}

/** Starts a kube-apiserver and waits until it serves every kind the project reads; takes some ten seconds. */
export async function startKubeApiserver(): Promise<KubeApiserver> {
  const path = binary();
  const version = etcdVersion();
  if (path === undefined || version === undefined) throw new Error(kubeApiserverMissing());
  const directory = mkdtempSync(join(tmpdir(), 'kube-apiserver-test-'));
  const etcd = await startEtcd({ version });
  const port = await freePort();
  const token = randomBytes(16).toString('hex');
  const child = spawn(path, serverArguments(directory, etcd, port, token), { stdio: ['ignore', 'ignore', 'pipe'], env: {} });
  running.add(child);
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-20_000);
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const stop = async () => {
    // At once: with nothing to hand over, a graceful end would only wait.
    child.kill('SIGKILL');
    await ended;
    running.delete(child);
    await etcd.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const certificate = join(directory, 'certs', 'apiserver.crt');
    // It writes the key after the certificates: these are complete then.
    await until('the kube-apiserver has its certificate', () => existsSync(join(directory, 'certs', 'apiserver.key')), {
      withinMs: 60_000,
      status: () => output.slice(-2_000),
    });
    const url = `https://127.0.0.1:${port}`;
    const requests = new KubernetesRequests({ url, token, ca: () => readFileSync(certificate) });
    await untilServing(
      requests,
      () => output,
      () => child.exitCode,
    );
    const kubeconfig = tokenKubeconfig(url, token, readFileSync(certificate));
    return { url, kubeconfig, requests, etcd, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Waits until the server serves every kind the project reads, of which those of Cilium are defined here. */
export async function untilServing(
  requests: KubernetesRequests,
  output: () => string,
  exitCode: () => number | null = () => null,
): Promise<void> {
  const options = { withinMs: 60_000, status: () => output().slice(-2_000) };
  const isReady = async () => {
    if (exitCode() !== null) throw new Error(`it ended with status ${exitCode()}`);
    return (await requests.send('GET', '/readyz')).code === 200;
  };
  await until('the kube-apiserver is ready', isReady, options);
  await until('the default namespace exists', () => requests.get('/api/v1/namespaces/default'), options);
  for (const definition of meshDefinitions) {
    const { group, names, versions } = definition.spec;
    await requests.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition);
    for (const { name } of versions) {
      const path = `/apis/${group}/${name}/${names.plural}`;
      await until(`${path} is served`, async () => (await requests.send('GET', path)).code === 200, options);
    }
  }
}

function serverArguments(directory: string, etcd: EtcdProcess, port: number, token: string): string[] {
  writeServerFiles(directory, token);
  return [
    ...serverFlags(etcd.endpoint, (name) => join(directory, name)),
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    `--cert-dir=${join(directory, 'certs')}`,
  ];
}

/** What `serverFlags` names: the keys of service accounts, and the token of the only user. */
export const SERVER_FILES = ['service-accounts.pub', 'service-accounts.key', 'tokens.csv'] as const;

export function writeServerFiles(directory: string, token: string): void {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  const texts = [publicKey, privateKey, `${token},test,1,"system:masters"\n`];
  for (const [i, name] of SERVER_FILES.entries()) writeFileSync(join(directory, name), texts[i] ?? '', { mode: 0o600 });
}

/** The arguments of a server, for processes and containers; `at` returns the paths of its files. */
export function serverFlags(etcdUrl: string, at: (name: (typeof SERVER_FILES)[number]) => string): string[] {
  return [
    `--etcd-servers=${etcdUrl}`,
    '--service-account-issuer=https://kubernetes.default',
    `--service-account-key-file=${at('service-accounts.pub')}`,
    `--service-account-signing-key-file=${at('service-accounts.key')}`,
    '--authorization-mode=RBAC',
    `--token-auth-file=${at('tokens.csv')}`,
    '--service-cluster-ip-range=10.96.0.0/12,fd00:96::/108',
    '--disable-admission-plugins=ServiceAccount',
  ];
}

export function tokenKubeconfig(server: string, token: string, certificate: Buffer): string {
  return kubeconfigText({ server, 'certificate-authority-data': certificate.toString('base64') }, { token });
}

function binary(): string | undefined {
  const given = process.env.KUBE_APISERVER;
  const path = given !== undefined && given !== '' ? given : join(import.meta.dirname, '../../../.cache/tools/kube-apiserver');
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return undefined;
  }
}

function etcdVersion(): string | undefined {
  const newest = etcdVersions().at(-1)?.version;
  return newest !== undefined && newest.localeCompare(OLDEST_ETCD, 'en', { numeric: true }) > 0 ? newest : undefined;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
