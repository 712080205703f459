/** Three replicas of a daemon, each a process next to a member of one etcd that it alone talks to, and what they feed on. */
import { onTestFinished } from 'vitest';
import { startEmbeddedKubernetes } from '../../demo/kubernetes/embedded-kubernetes.ts';
import { CLUSTERMESH_LOCKS, KVSTOREMESH_LOCKS } from '../../src/shared/etcd/keyspace.ts';
import type { EtcdClient, EtcdKey } from '../../src/shared/etcd/types.ts';
import { history } from '../support/etcd/etcd-client.ts';
import { EtcdCluster } from '../support/etcd/etcd-cluster.ts';
import { EAST } from '../support/kubernetes/clustermesh-run.ts';
import { KubernetesRequests } from '../support/kubernetes/kubernetes-requests.ts';
import { ConfigDirectory, harborFlags } from '../support/kvstoremesh/config-directory.ts';
import { Store, startFullRemote } from '../support/kvstoremesh/mesh-fixture.ts';
import { freePort } from '../support/network/free-port.ts';
import { type Daemon, quickProgram, startDaemon } from '../support/processes/daemon.ts';
import { until } from '../support/until.ts';

export type DaemonName = 'clustermesh' | 'kvstoremesh';

/** What a daemon writes to etcd comes from here. */
export interface Source {
  readonly locks: EtcdKey;
  readonly prefix: string;
  /** The flags of a replica whose etcd is at `endpoint`, but for its ports. */
  flags(endpoint: string): readonly string[];
  /** Adds what the daemon writes as one more key, whose name it returns. */
  add(index: number): Promise<string>;
}

async function sourceOf(daemon: DaemonName): Promise<Source> {
  return daemon === 'clustermesh' ? kubernetesSource() : remoteSource();
}

async function kubernetesSource(): Promise<Source> {
  const kubernetes = await startEmbeddedKubernetes();
  onTestFinished(() => kubernetes.stop());
  const requests = new KubernetesRequests({ url: kubernetes.url });
  return {
    locks: CLUSTERMESH_LOCKS,
    prefix: 'cilium/state/',
    flags: (endpoint) => [
      ...EAST,
      '--leader-election',
      `--k8s-api-server-urls=${kubernetes.url}`,
      `--kvstore-opt=etcd.address=${endpoint}`,
    ],
    add: async (index) => {
      await requests.create('/apis/cilium.io/v2/ciliumnodes', {
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumNode',
        metadata: { name: `node-${index}` },
        spec: { addresses: [{ type: 'InternalIP', ip: `192.0.2.${index}` }] },
      });
      return `cilium/state/nodes/v1/east/node-${index}`;
    },
  };
}

async function remoteSource(): Promise<Source> {
  const remote = await startFullRemote('berlin', 7);
  const directory = new ConfigDirectory();
  onTestFinished(async () => {
    await remote[Symbol.asyncDispose]();
  });
  directory.add(remote);
  return {
    locks: KVSTOREMESH_LOCKS,
    prefix: 'cilium/cache/',
    flags: (endpoint) => harborFlags(`etcd.address=${endpoint}`, directory),
    add: async (index) => {
      await remote.put({ [`cilium/state/nodes/v1/berlin/added-${index}`]: `node ${index}` });
      return `cilium/cache/nodes/v1/berlin/added-${index}`;
    },
  };
}

/** What readers act upon, of what was written or deleted after `since`, in order: `put KEY`, `delete KEY`. */
export async function changesSince(client: EtcdClient, since: number): Promise<string[]> {
  const isRoutine = /^cilium\/(synced\/|[a-z]+-lock\/|\.heartbeat$)/;
  const events = await history(client, since);
  return events.filter(({ key }) => !isRoutine.test(key)).map(({ type, key }) => `${type} ${key}`);
}

const SHORT_TTL_SECONDS = 3;

export class Replicas {
  readonly etcd: EtcdCluster;
  readonly source: Source;
  readonly daemons: readonly Daemon[];
  readonly #name: DaemonName;
  readonly #metricPorts: readonly number[];
  readonly #stores: readonly Store[];

  private constructor(parts: Pick<Replicas, 'etcd' | 'source' | 'daemons'>, name: DaemonName, metricPorts: readonly number[]) {
    this.etcd = parts.etcd;
    this.source = parts.source;
    this.daemons = parts.daemons;
    this.#name = name;
    this.#metricPorts = metricPorts;
    this.#stores = this.etcd.members.map((member) => new Store(member));
    onTestFinished(() => {
      for (const { client } of this.#stores) client.close();
    });
  }

  /**
   * The first one leads and has written ten keys; the others stand by, ready. With `leases`, the durations that operators give
   * the leases of the lock, they run as operators run them.
   */
  static async start(name: DaemonName, leases?: readonly [string, string, string]): Promise<Replicas> {
    const etcd = await EtcdCluster.start();
    onTestFinished(() => etcd[Symbol.asyncDispose]());
    const source = await sourceOf(name);
    for (let index = 1; index <= 10; index += 1) await source.add(index);
    const daemons: Daemon[] = [];
    const ports = [await freePort(), await freePort(), await freePort()];
    const replicas = new Replicas({ etcd, source, daemons }, name, ports);
    const program = leases === undefined ? quickProgram({ lockTtlSeconds: SHORT_TTL_SECONDS }) : undefined;
    for (const [index, { endpoint }] of etcd.members.entries()) {
      const servers = [`--prometheus-serve-addr=127.0.0.1:${ports[index]}`];
      if (name === 'kvstoremesh') servers.push('--api-serve-addr=');
      if (leases !== undefined) servers.push(`--leader-election-lease-duration=${leases[index]}`);
      const daemon = await startDaemon(name, [...source.flags(endpoint), ...servers], program);
      daemons.push(daemon);
      onTestFinished(() => daemon.kill());
      if (index > 0) continue;
      await daemon.ready();
      await replicas.untilLeaderIs([0]);
    }
    await Promise.all(daemons.map((daemon) => daemon.ready()));
    await replicas.untilQueued(3);
    await until('the leader knows of them', () => daemons[0]?.log.includes('other replicas wait for the leader lock'));
    return replicas;
  }

  /** A client of the member at `index`, which the daemons do not share. */
  store(index: number): Store {
    return this.#stores[index] as Store;
  }

  /** Resolves with the place of the replica that leads, once it is one of `allowed` and no other says so of itself. */
  async untilLeaderIs(allowed: readonly number[]): Promise<number> {
    const probe = async () => {
      const leaders: number[] = [];
      for (const [index, daemon] of this.daemons.entries())
        if (daemon.isRunning && (await this.leads(index))) leaders.push(index);
      const [leader] = leaders;
      return leaders.length === 1 && leader !== undefined && allowed.includes(leader) && [leader];
    };
    const status = () => this.daemons.map(({ lastLines }) => lastLines.slice(-1_500)).join('\n\n');
    const [leader] = await until(`a replica of ${allowed.join()} leads alone`, probe, { withinMs: 60_000, status });
    return leader as number;
  }

  /** Resolves with the first of `replicas` that says so of itself, and when that was. */
  async untilOneLeads(replicas: readonly number[]): Promise<{ readonly leader: number; readonly atMs: number }> {
    const probe = async () => {
      const states = await Promise.all(replicas.map((index) => this.leads(index)));
      const leader = replicas.find((_, at) => states[at]);
      return leader !== undefined && { leader, atMs: performance.now() };
    };
    return until(`one of the replicas ${replicas.join()} leads`, probe, { withinMs: 60_000 });
  }

  /** What its metric says. */
  async leads(index: number): Promise<boolean> {
    const text = await (await fetch(`http://127.0.0.1:${this.#metricPorts[index]}/metrics`)).text();
    return text.includes(`leader_election_master_status{name="${this.#name}"} 1\n`);
  }

  async untilQueued(size: number, asked = 1): Promise<void> {
    const probe = async () => Object.keys(await this.store(asked).dump(this.source.locks)).length === size;
    await until(`${size} replicas are in the queue`, probe);
  }

  async untilWritten(key: string, asked = 1): Promise<void> {
    const probe = async () => key in (await this.store(asked).dump(this.source.prefix));
    const status = () => this.daemons.map(({ lastLines }) => lastLines.slice(-1_500)).join('\n\n');
    await until(`${key} is written`, probe, { status });
  }

  /** What readers act upon, of what was written or deleted after `since`; `asked` is a member that is in the quorum. */
  changes(since: number, asked = 1): Promise<string[]> {
    return changesSince(this.store(asked).client, since);
  }
}
