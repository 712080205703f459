/**
 * One cluster of the mesh: a real etcd, a Kubernetes API, the two daemons, and an observer in the place
 * of an agent.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startEmbeddedKubernetes } from '../kubernetes/embedded-kubernetes.ts';
import { EtcdObserver } from './etcd-contents/etcd-observer.ts';
import { Daemon, type DaemonOptions, PROGRAM } from './processes/daemon.ts';
import { type Etcd, startEtcd } from './processes/etcd.ts';
import type { EtcdBinary } from './processes/etcd-binary.ts';
import { freePort } from './processes/free-port.ts';
import type { ProcessHost } from './processes/mesh-process.ts';
import { KubernetesClient } from './workload/kubernetes-client.ts';
import { Workload } from './workload/workload.ts';

export type ClusterName = 'east' | 'west';

export interface ClusterOptions {
  readonly name: ClusterName;
  /** Of a real cluster; undefined for an embedded API. */
  readonly kubeconfig: string | undefined;
  readonly etcd: EtcdBinary;
  /** The PATH of the user. */
  readonly path: string;
  /** Exists; everything is written below it. */
  readonly directory: string;
  readonly host: ProcessHost;
  /** Takes what has to be closed at the end. */
  readonly closing: AsyncDisposableStack;
  readonly signal: AbortSignal;
}

export interface Cluster {
  readonly name: ClusterName;
  readonly etcd: Etcd;
  readonly kubernetes: KubernetesClient;
  readonly isEmbedded: boolean;
  readonly kubeconfig: string;
  readonly workload: Workload;
  readonly observer: EtcdObserver;
  readonly apiserver: Daemon;
  readonly kvstoremesh: Daemon;
  /** Answers `GET` with what kvstoremesh thinks of the other cluster. */
  readonly statusUrl: string;
  /** The status page of kvstoremesh, for a browser. */
  readonly pageUrl: string;
  /** Its command line, which names what is wrong with the etcds that kvstoremesh uses. */
  readonly doctor: { readonly command: string; readonly args: readonly string[] };
  /** Configures the etcd of another cluster for kvstoremesh, in the place of what was configured before. */
  addRemote(name: string, port: number): Promise<void>;
}

/** Pods of a real cluster get addresses that exist nowhere: those for documentation. */
const SITES = {
  east: { id: 1, nodeIp: '172.20.1.1', podNetwork: '10.1.0', documentationNetwork: '192.0.2' },
  west: { id: 2, nodeIp: '172.20.2.1', podNetwork: '10.2.0', documentationNetwork: '198.51.100' },
} as const;

/** Resolves when etcd, API and observer are running. The daemons are prepared, but not started. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { name, closing, host, signal, path } = options;
  const directory = join(options.directory, name);
  const remotes = join(directory, 'clustermesh');
  await mkdir(remotes, { recursive: true });
  const etcd = await startEtcd({ binary: options.etcd, cluster: name, directory, host, signal });
  closing.defer(() => etcd.process.kill());
  const { kubernetes, kubeconfig } = await openKubernetes(options, directory);
  const isEmbedded = options.kubeconfig === undefined;
  const workload = createWorkload(name, kubernetes, isEmbedded);
  closing.defer(() => (isEmbedded ? undefined : workload.cleanUp()));
  await workload.prepare();
  const observer = await EtcdObserver.of(etcd.endpoint, signal);
  closing.defer(() => observer.close());

  const etcdFile = join(directory, 'etcd.yaml');
  await writeFile(etcdFile, etcdConfig(etcd.port));
  const flags = [`--cluster-name=${name}`, `--cluster-id=${SITES[name].id}`, `--kvstore-opt=etcd.config=${etcdFile}`];
  const daemon = async (command: DaemonOptions['command'], more: readonly string[]) =>
    new Daemon({
      command,
      cluster: name,
      flags: [...flags, ...more],
      healthPort: await freePort(),
      metricsPort: await freePort(),
      path,
      directory,
      host,
      signal,
    });
  const status = `127.0.0.1:${await freePort()}`;
  const apiserver = await daemon('clustermesh', [`--k8s-kubeconfig-path=${kubeconfig}`]);
  const kvstoremesh = await daemon('kvstoremesh', [`--clustermesh-config=${remotes}`, `--api-serve-addr=${status}`]);
  for (const { process } of [apiserver, kvstoremesh]) closing.defer(() => process.kill());
  return {
    name,
    etcd,
    kubernetes,
    isEmbedded,
    kubeconfig,
    workload,
    observer,
    apiserver,
    kvstoremesh,
    statusUrl: `http://${status}/v1/cluster`,
    pageUrl: `http://${status}/`,
    doctor: {
      command: PROGRAM,
      args: [
        'kvstoremesh-dbg',
        'doctor',
        `--clustermesh-config=${remotes}`,
        `--etcd-config=${etcdFile}`,
        `--cluster-name=${name}`,
        `--cluster-id=${SITES[name].id}`,
      ],
    },
    addRemote: (remote, port) => writeFile(join(remotes, remote), etcdConfig(port)),
  };
}

/** A client of the real API, or of one that is embedded in this process and gone with it. */
async function openKubernetes({ kubeconfig, closing }: ClusterOptions, directory: string) {
  let path = kubeconfig;
  if (path === undefined) {
    const embedded = await startEmbeddedKubernetes();
    closing.defer(() => embedded.stop());
    path = join(directory, 'kubeconfig');
    await writeFile(path, embedded.kubeconfig, { mode: 0o600 });
  }
  const kubernetes = await KubernetesClient.fromKubeconfig(path);
  closing.defer(() => kubernetes.close());
  return { kubernetes, kubeconfig: path };
}

function createWorkload(cluster: ClusterName, kubernetes: KubernetesClient, isEmbedded: boolean): Workload {
  const { id, nodeIp, podNetwork, documentationNetwork } = SITES[cluster];
  return new Workload({
    kubernetes,
    site: { cluster, nodeName: `${cluster}-node-1`, nodeIp, podCidr: `${podNetwork}.0/24` },
    scope: isEmbedded ? 'everything' : 'services',
    podNetwork: isEmbedded ? podNetwork : documentationNetwork,
    // The numbers of a cluster's identities start with its ID.
    firstIdentity: id * 0x1_0000 + 1000,
  });
}

function etcdConfig(port: number): string {
  return `endpoints:\n- http://127.0.0.1:${port}\n`;
}
