/**
 * A mesh of real etcds: a local one that is mirrored into, and remotes, each behind a proxy that can fail.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ImportGuard } from '../../../src/kvstoremesh/import-guard/guard.ts';
import type { ImportGuardMode } from '../../../src/kvstoremesh/import-guard/remote-guard.ts';
import type { CurrentPolicy } from '../../../src/kvstoremesh/import-policy/rules/current-policy.ts';
import type { RemoteLimits } from '../../../src/kvstoremesh/mirror/bounds.ts';
import type { RemoteCluster } from '../../../src/kvstoremesh/remote/cluster.ts';
import { ClusterIds } from '../../../src/kvstoremesh/remote/cluster-ids.ts';
import { RemoteClusters } from '../../../src/kvstoremesh/remote/clusters.ts';
import { REMOTE_TIMING, type RemoteTiming } from '../../../src/kvstoremesh/remote/context.ts';
import { openRemoteEtcd } from '../../../src/kvstoremesh/remote/etcd-client.ts';
import { orphanedClusters } from '../../../src/kvstoremesh/removal/orphans.ts';
import { type RemoteClusterStatus, remoteClusterStatus } from '../../../src/kvstoremesh/status/status.ts';
import type { KeepaliveTimes } from '../../../src/shared/etcd/connection/channel-silence.ts';
import { DialPacing } from '../../../src/shared/etcd/connection/dial-pacing.ts';
import { clusterConfigKey } from '../../../src/shared/etcd/keyspace.ts';
import { EtcdMetrics } from '../../../src/shared/etcd/metrics.ts';
import { type EtcdClient, keyOf, NO_LEASE, type Revision } from '../../../src/shared/etcd/types.ts';
import { ReceiveBudget } from '../../../src/shared/etcd/wire/receive-budget.ts';
import { Registry } from '../../../src/shared/http/metrics.ts';
import { type Logger, silentLogger } from '../../../src/shared/process/log.ts';
import { PublisherMetrics } from '../../../src/shared/publisher/metrics.ts';
import { createPublisher } from '../../../src/shared/publisher/publisher.ts';
import type { Publisher } from '../../../src/shared/publisher/types.ts';
import { type Clock, systemClock } from '../../../src/shared/time/clock.ts';
import { openClient, revisionOf, soon } from '../etcd/etcd-client.ts';
import { compactEtcd } from '../etcd/etcd-gateway.ts';
import { type EtcdOptions, type EtcdProcess, startEtcd } from '../etcd/etcd-process.ts';
import { startTcpProxy, type TcpProxy } from '../network/tcp-proxy.ts';
import { temporaryDirectory } from '../temporary-directory.ts';
import { until } from '../until.ts';

const OWN = { name: 'harbor', id: 200, maxConnectedClusters: 255 };

const NO_LIMITS: RemoteLimits = { keys: 0, bytes: 0, 'key-size': 0, 'value-size': 0, 'change-rate': 0 };

export const FULL = {
  syncedCanaries: true,
  maxConnectedClusters: 255,
  serviceExportsEnabled: true,
  endpointSlicesExportMode: 'services-and-endpointslices',
};

/** An etcd of a test, with short words for what a test does to it. */
export class Store implements AsyncDisposable {
  readonly process: EtcdProcess;
  readonly client: EtcdClient;

  constructor(process: EtcdProcess) {
    this.process = process;
    this.client = openClient(process.endpoint);
  }

  async put(entries: Readonly<Record<string, string | Uint8Array>>): Promise<Revision> {
    const operations = Object.entries(entries).map(([key, value]) => {
      return { type: 'put', key: keyOf(key), value: Buffer.from(value), lease: NO_LEASE } as const;
    });
    return this.client.txn(operations, soon());
  }

  async delete(...keys: string[]): Promise<Revision> {
    const operations = keys.map((key) => ({ type: 'delete', key: keyOf(key) }) as const);
    return this.client.txn(operations, soon());
  }

  /** Keys below `prefix` and their values, one character per byte. */
  async dump(prefix = 'cilium/'): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for await (const page of this.client.list(keyOf(prefix), soon())) {
      for (const { key, value } of page.keyValues) found[key] = value.toString('latin1');
    }
    return found;
  }

  async revision(key?: string): Promise<Revision> {
    if (key === undefined) return revisionOf(this.client);
    return (await this.client.get(keyOf(key), soon()))?.modRevision ?? (0 as Revision);
  }

  /** The history up to now is gone. */
  async compact(): Promise<void> {
    await compactEtcd(this.process.endpoint, await this.put({ 'unrelated/key': 'x' }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.process.stop();
  }
}

/** A remote cluster of a test. */
export class Remote extends Store {
  readonly name: string;
  readonly proxy: TcpProxy;

  constructor(name: string, process: EtcdProcess, proxy: TcpProxy) {
    super(process);
    this.name = name;
    this.proxy = proxy;
  }

  /** Writes the cluster config. */
  async configure(id: number, capabilities: object = FULL): Promise<void> {
    await this.put({ [clusterConfigKey(this.name)]: JSON.stringify({ id, capabilities }) });
  }

  /** Writes the canaries of all kinds, or of the given ones. */
  async announce(...scopes: string[]): Promise<void> {
    const all = ['nodes', 'identities', 'ip', 'services', 'endpointslices', 'serviceexports'];
    const named = scopes.length === 0 ? all : scopes;
    const canaries = named.map((scope) => [`cilium/synced/${this.name}/cilium/state/${scope}/v1`, '2026-02-03T04:05:06Z']);
    await this.put(Object.fromEntries(canaries));
  }

  /** One key of each kind, whose own part and value carry `tag`. */
  async fill(tag: string): Promise<void> {
    await this.put(this.keys(tag, 'state'));
  }

  /** The keys that `fill` writes, or those that they are mirrored to. */
  keys(tag: string, root: 'state' | 'cache'): Record<string, string> {
    const own = `${this.name}/`;
    const [identities, ip] = root === 'state' ? ['id/', 'default/'] : [`${own}id/`, own];
    return {
      [`cilium/${root}/nodes/v1/${own}node-${tag}`]: `node ${tag}`,
      [`cilium/${root}/identities/v1/${identities}${tag}`]: `k8s:app=${tag};`,
      [`cilium/${root}/ip/v1/${ip}10.7.0.${tag}`]: `ip ${tag}`,
      [`cilium/${root}/services/v1/${own}shop/${tag}`]: `service ${tag}`,
      [`cilium/${root}/endpointslices/v1/${own}shop/${tag}-x`]: `slice ${tag}`,
      [`cilium/${root}/serviceexports/v1/${own}shop/${tag}`]: `export ${tag}`,
    };
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.stop();
    await super[Symbol.asyncDispose]();
  }
}

export async function startRemote(name: string, options: EtcdOptions = {}): Promise<Remote> {
  const process = await startEtcd(options);
  return new Remote(name, process, await startTcpProxy(process.port));
}

/** A remote that is complete from the start, with one key of each kind. */
export async function startFullRemote(name: string, id: number, options: EtcdOptions = {}): Promise<Remote> {
  const remote = await startRemote(name, options);
  await remote.configure(id);
  await remote.fill('1');
  await remote.announce();
  return remote;
}

export interface MeshOptions {
  readonly graceMs?: number | undefined;
  readonly cacheTtlMs?: number;
  readonly pageSize?: number;
  readonly allowIdConflicts?: boolean;
  /** Without an answer for so long a connection is lost. */
  readonly silenceMs?: number;
  /** The bounds of each remote; none by default. */
  readonly limits?: Partial<RemoteLimits>;
  readonly importGuard?: ImportGuardMode;
  readonly policy?: CurrentPolicy;
  /** How long an identity stays that nothing uses. */
  readonly unusedIdentityMs?: number;
  /** Between two reads of a cluster config whose watch delivers nothing. */
  readonly readingsMs?: number;
  /** The clock of the remotes and the drain, at its ordinary pace; that of the etcd clients and of the publisher continues. */
  readonly clock?: Clock;
  /** Between two listings while a watch delivers the changes. */
  readonly relistMs?: number;
  /** Put between a remote's etcd and what reads it. */
  readonly around?: (client: EtcdClient) => EtcdClient;
  /** The same for the local etcd. */
  readonly aroundLocal?: (client: EtcdClient) => EtcdClient;
  /** Where the mirroring part reaches the local etcd, such as a proxy in front of it. */
  readonly localEndpoint?: string;
  /** Of every connection. Needs etcds that take so many pings. */
  readonly keepalive?: KeepaliveTimes;
  readonly auditIntervalMs?: number;
  /** What all remotes together may have on their way. */
  readonly receivedBytes?: number;
  /** Time as everything sees it. */
  readonly processClock?: Clock;
  readonly log?: Logger;
}

const hurried = (readingsMs: number, silenceMs: number, relistMs: number): RemoteTiming => ({
  readings: { presentMs: readingsMs, absentMs: readingsMs, leastMs: 50, silenceMs },
  refusedMs: 50,
  stoppedMs: 400,
  stableMs: 60_000,
  relistMs,
});

/** The mirroring part of the daemon, over a local etcd. */
export class Mesh implements AsyncDisposable {
  readonly local: Store;
  readonly remotes: RemoteClusters;
  readonly publisher: Publisher;
  readonly registry = new Registry('test_');
  readonly limits: RemoteLimits;
  readonly #directory = temporaryDirectory('mesh');
  readonly #stop = new AbortController();
  readonly #client: EtcdClient;
  readonly #ended: Promise<unknown>;

  constructor(local: Store, options: MeshOptions = {}) {
    const { graceMs = 50, cacheTtlMs = 0, pageSize, allowIdConflicts = false } = options;
    const {
      silenceMs = 30_000,
      readingsMs = 50,
      relistMs = 3_600_000,
      limits,
      importGuard = 'warn',
      around = (client) => client,
      aroundLocal = (client) => client,
    } = options;
    const { signal } = this.#stop;
    const {
      processClock: clock = systemClock,
      log = silentLogger,
      localEndpoint = local.process.endpoint,
      keepalive,
      auditIntervalMs,
    } = options;
    const kvstore = {
      ...(pageSize === undefined ? {} : { limit: pageSize }),
      ...(keepalive === undefined ? {} : { keepaliveTimeMs: keepalive.timeMs, keepaliveTimeoutMs: keepalive.timeoutMs }),
    };
    this.local = local;
    this.limits = { ...NO_LIMITS, ...limits };
    this.#client = aroundLocal(openClient(localEndpoint, { clock, log, keepalive }));
    const metrics = new PublisherMetrics(this.registry, clock);
    const etcdMetrics = new EtcdMetrics(this.registry);
    const budget = new ReceiveBudget(options.receivedBytes);
    const pacing = new DialPacing();
    const publisher = createPublisher({
      client: this.#client,
      root: keyOf('cilium/'),
      leaseTtlSeconds: 900,
      clock,
      log,
      observer: metrics,
      ...(auditIntervalMs === undefined ? {} : { auditIntervalMs }),
    });
    this.publisher = publisher;
    this.remotes = new RemoteClusters({
      context: {
        own: OWN,
        local: this.#client,
        publisher,
        metrics,
        onQuorumError: (error) => etcdMetrics.quorumError(error),
        ids: new ClusterIds(OWN, allowIdConflicts),
        serviceFormat: 'prefer-legacy',
        limits: this.limits,
        guard: new ImportGuard(importGuard, OWN),
        policy: options.policy,
        cacheTtlMs,
        clock: options.clock ?? clock,
        log,
        open: async (file) => {
          const opened = await openRemoteEtcd(file, { kvstore, pacing, clock, log, metrics: etcdMetrics, budget });
          return { ...opened, client: around(opened.client) };
        },
        timing:
          options.clock === undefined
            ? { ...hurried(readingsMs, silenceMs, relistMs), unusedIdentityMs: options.unusedIdentityMs ?? 60_000 }
            : REMOTE_TIMING,
      },
      onEnded: (cluster) => etcdMetrics.forgetRemote(cluster),
      drainGraceMs: 'graceMs' in options ? options.graceMs : graceMs,
      signal,
    });
    this.#ended = Promise.allSettled([publisher.run(signal), this.remotes.ended()]);
  }

  /** One that has mirrored `remotes`. */
  static async mirroring(local: Store, remotes: readonly Remote[], options?: MeshOptions): Promise<Mesh> {
    const mesh = new Mesh(local, options);
    try {
      for (const remote of remotes) mesh.add(remote);
      for (const { name } of remotes) await mesh.synced(name);
    } catch (thrown) {
      await mesh.stop();
      throw thrown;
    }
    return mesh;
  }

  add(remote: Remote): void {
    this.addFile(remote.name, `endpoints: ["${remote.proxy.endpoint}"]\n`);
  }

  addFile(name: string, content: string): void {
    const path = join(this.#directory, name);
    writeFileSync(path, content);
    this.remotes.apply({ kind: 'added', cluster: name, path });
  }

  /** Its file leads elsewhere now. */
  change(name: string, endpoint: string): void {
    this.changeFile(name, `endpoints: ["${endpoint}"]\n`);
  }

  changeFile(name: string, content: string): void {
    const path = join(this.#directory, name);
    writeFileSync(path, content);
    this.remotes.apply({ kind: 'changed', cluster: name, path });
  }

  remove(name: string): void {
    this.remotes.apply({ kind: 'removed', cluster: name });
  }

  /** What a daemon does a while after its start. */
  async removeOrphans(): Promise<void> {
    const known = [...this.remotes.all.map(({ name }) => name), ...this.remotes.draining];
    const search = { local: this.#client, known, signal: this.#stop.signal };
    this.remotes.removeOrphans(await orphanedClusters(search));
  }

  find(name: string): RemoteCluster | undefined {
    return this.remotes.all.find((remote) => remote.name === name);
  }

  status(name: string): RemoteClusterStatus | undefined {
    const remote = this.find(name);
    return remote === undefined ? undefined : remoteClusterStatus(remote);
  }

  /** Resolves when everything of the remote is in the local etcd. */
  async synced(name: string): Promise<void> {
    await this.until(`${name} is mirrored`, name, (status) => status.ready && this.find(name)?.isSynced);
  }

  async until(what: string, name: string, condition: (status: RemoteClusterStatus) => unknown): Promise<void> {
    const probe = () => {
      const status = this.status(name);
      return status !== undefined && Boolean(condition(status));
    };
    await until(what, probe, { withinMs: 45_000, status: () => this.status(name) });
  }

  /** Resolves when the local etcd holds exactly `keys` of all mirrored keys. */
  async holds(keys: Readonly<Record<string, string>>): Promise<void> {
    const sorted = (entries: object) => JSON.stringify(Object.entries(entries).sort());
    const wanted = sorted(keys);
    let last = '';
    await until(
      `the local etcd holds ${Object.keys(keys).length} mirrored keys`,
      async () => {
        last = sorted(await this.local.dump('cilium/cache/'));
        return last === wanted;
      },
      { withinMs: 45_000, status: () => ({ wanted, last }) },
    );
  }

  /** Ends what runs; what was written stays. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped by the test'));
    await this.#ended;
    this.#client.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

export async function startLocal(options: EtcdOptions = {}): Promise<Store> {
  return new Store(await startEtcd(options));
}
