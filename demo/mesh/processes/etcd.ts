/** A real etcd of one member on the loopback interface. */
import { join } from 'node:path';
import { until } from '../until.ts';
import type { EtcdBinary } from './etcd-binary.ts';
import { freePort } from './free-port.ts';
import { MeshProcess, type ProcessHost } from './mesh-process.ts';

export interface EtcdOptions {
  readonly binary: EtcdBinary;
  /** The cluster it belongs to. */
  readonly cluster: string;
  /** Takes its data and its log. */
  readonly directory: string;
  readonly host: ProcessHost;
  readonly signal: AbortSignal;
}

export interface Etcd {
  readonly process: MeshProcess;
  readonly port: number;
  readonly endpoint: string;
}

/** Resolves when it serves; throws NotInTimeError. */
export async function startEtcd(options: EtcdOptions): Promise<Etcd> {
  const { binary, cluster, directory, host, signal } = options;
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  // A single member has no peers: its peer port need not be known.
  const peer = 'http://127.0.0.1:0';
  const process = new MeshProcess({
    name: `the etcd of ${cluster}`,
    command: binary.path,
    args: [
      `--name=${cluster}`,
      `--data-dir=${join(directory, 'etcd')}`,
      `--listen-client-urls=${endpoint}`,
      `--advertise-client-urls=${endpoint}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${cluster}=${peer}`,
      // The identity of the store follows from it, and the two must not be mistaken for each other.
      `--initial-cluster-token=${cluster}-${port}`,
      '--heartbeat-interval=10',
      '--election-timeout=100',
      '--logger=zap',
      '--log-level=warn',
      // The data is temporary; 3.4 does not have the flag.
      ...(binary.version.startsWith('3.4.') ? [] : ['--unsafe-no-fsync']),
    ],
    env: {},
    logFile: join(directory, 'etcd.log'),
    host,
  });
  process.start();
  await until(
    async () => {
      const answer = await fetch(`${endpoint}/health`, { signal });
      return (await answer.text()).includes('"true"') ? undefined : `${process.name} is not healthy`;
    },
    { signal },
  );
  return { process, port, endpoint };
}
