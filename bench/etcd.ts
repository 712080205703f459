/** A separate etcd for a measurement: empty, on loopback, without fsync. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Etcd extends AsyncDisposable {
  readonly endpoint: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** Each is another cluster, also on the same port. */
export async function startEtcd(options: { readonly port?: number } = {}): Promise<Etcd> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-etcd-'));
  const [client, peer] = [options.port ?? (await freePort()), await freePort()];
  const endpoint = `http://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const child = spawn(
    process.env.ETCD_BIN ?? 'etcd',
    [
      ...['--name', 'bench', '--data-dir', directory, '--unsafe-no-fsync', '--log-level', 'error'],
      ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl, '--initial-cluster', `bench=${peerUrl}`],
      ...['--initial-cluster-token', directory],
      ...['--quota-backend-bytes', String(8 * 1024 ** 3)],
    ],
    { stdio: 'ignore' },
  );
  await answers(child, endpoint);
  const stop = async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve));
    await rm(directory, { recursive: true, force: true });
  };
  return { endpoint, port: client, stop, [Symbol.asyncDispose]: stop };
}

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

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
