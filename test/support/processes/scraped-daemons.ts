/** Both daemons as processes, with one remote cluster, and their servers' answers. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedKubernetes } from '../../../demo/kubernetes/embedded-kubernetes.ts';
import { type Remote, type Store, startFullRemote, startLocal } from '../kvstoremesh/mesh-fixture.ts';
import { freePort } from '../network/free-port.ts';
import { until } from '../until.ts';
import { type Daemon, startDaemon } from './daemon.ts';

export interface ScrapedDaemon {
  readonly daemon: Daemon;
  readonly metricsPort: number;
  /** The text of a scrape. */
  scrape(): Promise<string>;
  /** Of the health server. */
  get(path: string): Promise<{ status: number; body: string }>;
}

export interface ScrapedDaemons extends AsyncDisposable {
  readonly local: Store;
  readonly remote: Remote;
  readonly clustermesh: ScrapedDaemon;
  readonly kvstoremesh: ScrapedDaemon;
  readonly apiPort: number;
}

/** Resolves when both are ready and the remote `berlin` is mirrored. `flags` are those of `kvstoremesh`. */
export async function startScrapedDaemons(...flags: readonly string[]): Promise<ScrapedDaemons> {
  const directory = mkdtempSync(join(tmpdir(), 'scraped-'));
  const kubernetes = await startEmbeddedKubernetes();
  const [local, remote] = await Promise.all([startLocal(), startFullRemote('berlin', 7)]);
  writeFileSync(join(directory, 'berlin'), `endpoints: ["${remote.proxy.endpoint}"]\n`);
  const apiPort = await freePort();
  writeFileSync(join(directory, 'users.yaml'), 'users: []\n');
  const shared = [
    '--cluster-name=harbor',
    '--cluster-id=200',
    `--kvstore-opt=etcd.address=${local.process.endpoint}`,
    '--controller-group-metrics=all',
    // Nothing listens there: traces are dropped, and their series are there.
    '--trace-endpoint=http://127.0.0.1:9',
  ];
  const [clustermesh, kvstoremesh] = await Promise.all([
    startScraped('clustermesh', [
      ...shared,
      `--k8s-api-server-urls=${kubernetes.url}`,
      '--cluster-users-enabled',
      // Its series exist only with a selector.
      '--export-endpoint-selector=!private',
      `--cluster-users-config-path=${join(directory, 'users.yaml')}`,
    ]),
    startScraped('kvstoremesh', [
      ...shared,
      `--clustermesh-config=${directory}`,
      `--import-policy=${join(directory, 'import-policy.yaml')}`,
      `--api-serve-addr=127.0.0.1:${apiPort}`,
      ...flags,
    ]),
  ]);
  await Promise.all([clustermesh.daemon.ready(), kvstoremesh.daemon.ready()]);
  const synced = 'remote_cluster_readiness_status{target_cluster="berlin"} 1';
  await until('berlin is mirrored', async () => (await kvstoremesh.scrape()).includes(synced));
  return {
    local,
    remote,
    clustermesh,
    kvstoremesh,
    apiPort,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([clustermesh.daemon.kill(), kvstoremesh.daemon.kill()]);
      await Promise.all([kubernetes.stop(), local[Symbol.asyncDispose](), remote[Symbol.asyncDispose]()]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function startScraped(command: 'clustermesh' | 'kvstoremesh', flags: readonly string[]): Promise<ScrapedDaemon> {
  const metricsPort = await freePort();
  const daemon = await startDaemon(command, [...flags, `--prometheus-serve-addr=127.0.0.1:${metricsPort}`]);
  return {
    daemon,
    metricsPort,
    scrape: async () => (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text(),
    get: async (path) => {
      const answer = await fetch(`http://127.0.0.1:${daemon.healthPort}${path}`);
      return { status: answer.status, body: await answer.text() };
    },
  };
}
