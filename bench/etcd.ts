/** A separate etcd process for a measurement: empty, on loopback. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { EtcdConfig } from '../src/shared/etcd/config.ts';
import { type Credentials, enableUsers } from './credentials.ts';

export interface Etcd extends AsyncDisposable {
  readonly endpoint: string;
  readonly port: number;
  readonly pid: number;
  /** Plain HTTP, also with TLS: `/metrics`. */
  readonly metricsEndpoint: string;
  /** How a client connects as `user`; without credentials the user does not matter. */
  config(user: string): EtcdConfig;
  stop(): Promise<void>;
}

export interface EtcdOptions {
  readonly port?: number;
  /** It waits for the disk. By default it does not. */
  readonly fsync?: boolean;
  /** Clients need certificates, and the users that the daemons of `cluster` and of other clusters have. */
  readonly secured?: { readonly credentials: Credentials; readonly cluster: string };
}

const BUILT = join(import.meta.dirname, '../.cache/tools/etcd-3.6');

/** The etcd to measure with: of $ETCD_BIN, else the 3.6 that tests use, else of the PATH. */
export function etcdBinary(): string {
  const named = process.env.ETCD_BIN?.split(delimiter)[0] ?? '';
  if (named !== '') return named;
  return existsSync(BUILT) ? BUILT : 'etcd';
}

export function etcdVersion(): string {
  return /^etcd Version: (\S+)/.exec(execFileSync(etcdBinary(), ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown';
}

/** Each is another cluster, also on the same port. */
export async function startEtcd({ port, fsync = false, secured }: EtcdOptions = {}): Promise<Etcd> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-etcd-'));
  const [client, peer, metrics] = [port ?? (await freePort()), await freePort(), await freePort()];
  const endpoint = `${secured === undefined ? 'http' : 'https'}://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const metricsEndpoint = `http://127.0.0.1:${metrics}`;
  const child = spawn(
    etcdBinary(),
    [
      ...['--name', 'bench', '--data-dir', directory, '--log-level', 'error', ...(fsync ? [] : ['--unsafe-no-fsync'])],
      ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint, '--listen-metrics-urls', metricsEndpoint],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl, '--initial-cluster', `bench=${peerUrl}`],
      ...['--initial-cluster-token', directory],
      ...['--quota-backend-bytes', String(8 * 1024 ** 3)],
      ...(secured === undefined ? [] : secured.credentials.serverFlags),
    ],
    { stdio: 'ignore' },
  );
  running.add(child);
  child.once('exit', () => running.delete(child));
  await answers(child, metricsEndpoint);
  if (secured !== undefined) await enableUsers(endpoint, secured.credentials, secured.cluster);
  const stop = async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve));
    await rm(directory, { recursive: true, force: true });
  };
  const config = (user: string): EtcdConfig => ({
    endpoints: [endpoint],
    ...(secured === undefined ? {} : secured.credentials.client(user)),
  });
  return { endpoint, port: client, pid: child.pid ?? 0, metricsEndpoint, config, stop, [Symbol.asyncDispose]: stop };
}

/** Of a run that ends early. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

async function answers(child: ChildProcess, endpoint: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline) {
    if (child.exitCode !== null)
      throw new Error(`etcd ended with status ${child.exitCode}; is ETCD_BIN, or etcd in PATH, an etcd?`);
    const healthy = await fetch(`${endpoint}/health`).then(
      (response) => response.ok,
      () => false,
    );
    if (healthy) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('etcd did not answer within 20 s');
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
