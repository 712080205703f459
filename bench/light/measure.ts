/** The phases of a run with many remote clusters, and what each costs. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoopBlocks } from './loop-probe.ts';
import type { Answer, MeshRun } from './mesh-run.ts';
import type { LightSources, Rates, Restart } from './sources.ts';

/** After a load, before the process counts as idle. */
const SETTLE_MS = 10_000;
const POLL_MS = 100;
const STILL: Rates = { identities: 0, endpoints: 0, services: 0 };

export interface Fill {
  /** From the start of the process to the last canary. */
  readonly seconds: number;
  readonly keysPerSecond: number;
  readonly cpuSeconds: number;
  readonly cpuMicrosecondsPerKey: number;
  readonly memoryMegabytes: number;
  readonly peakMegabytes: number;
  readonly etcdCpuSeconds: number;
  readonly etcdMemoryMegabytes: number;
  readonly etcdDataMegabytes: number;
  readonly sourcesCpuSeconds: number;
}

/** The first load. */
export async function measureFill(mesh: MeshRun, sources: LightSources): Promise<Fill> {
  const before = await sources.stats();
  const seconds = await mesh.full();
  const [own, etcd, after] = [await mesh.usage(), await mesh.etcd.usage(), await sources.stats()];
  const [dataBytes = 0] = await mesh.etcd.metrics('etcd_mvcc_db_total_size_in_bytes');
  return {
    seconds,
    keysPerSecond: sources.keys / seconds,
    cpuSeconds: own.cpuSeconds,
    cpuMicrosecondsPerKey: (own.cpuSeconds / sources.keys) * 1e6,
    memoryMegabytes: own.memoryMegabytes,
    peakMegabytes: own.peakMegabytes,
    etcdCpuSeconds: etcd.cpuSeconds,
    etcdMemoryMegabytes: etcd.memoryMegabytes,
    etcdDataMegabytes: dataBytes / 1e6,
    sourcesCpuSeconds: after.cpuSeconds - before.cpuSeconds,
  };
}

export interface Load {
  /** Processor time in percent of a core. */
  readonly cpuPercent: number;
  readonly etcdCpuPercent: number;
  readonly memoryMegabytes: number;
  readonly etcdMemoryMegabytes: number;
}

async function measureLoad(mesh: MeshRun, seconds: number): Promise<Load & { readonly cpuSeconds: number }> {
  const [own, etcd, startMs] = [await mesh.usage(), await mesh.etcd.usage(), performance.now()];
  await sleep(seconds * 1000);
  const tookSeconds = (performance.now() - startMs) / 1000;
  const [ownAfter, etcdAfter] = [await mesh.usage(), await mesh.etcd.usage()];
  const cpuSeconds = ownAfter.cpuSeconds - own.cpuSeconds;
  return {
    cpuSeconds,
    cpuPercent: (cpuSeconds / tookSeconds) * 100,
    etcdCpuPercent: ((etcdAfter.cpuSeconds - etcd.cpuSeconds) / tookSeconds) * 100,
    memoryMegabytes: ownAfter.memoryMegabytes,
    etcdMemoryMegabytes: etcdAfter.memoryMegabytes,
  };
}

/** Nothing changes but the heartbeats of the remote clusters. */
export async function measureIdle(mesh: MeshRun, seconds: number): Promise<Load> {
  await sleep(SETTLE_MS);
  return measureLoad(mesh, seconds);
}

export interface Reports {
  readonly status: Answer;
  readonly metrics: Answer;
  readonly statusBlocks: LoopBlocks;
  readonly metricsBlocks: LoopBlocks;
}

/** One request each, the second of its kind: the first one may have compiled what it uses. */
export async function measureReports(mesh: MeshRun): Promise<Reports> {
  await mesh.status();
  await mesh.metrics();
  const status = await mesh.blocks(() => mesh.status());
  const metrics = await mesh.blocks(() => mesh.metrics());
  return { status: status.result, statusBlocks: status.blocks, metrics: metrics.result, metricsBlocks: metrics.blocks };
}

export interface Churn extends Load {
  readonly changesPerSecond: number;
  readonly eventsPerSecond: number;
  /** Per change, with what the process uses when idle. */
  readonly cpuMicrosecondsPerChange: number;
  readonly lagP50Ms: number;
  readonly lagP99Ms: number;
}

/** Call `mesh.follow` before. */
export async function measureChurn(mesh: MeshRun, sources: LightSources, rates: Rates, seconds: number): Promise<Churn> {
  mesh.arrivals();
  const before = await sources.stats();
  sources.churn(rates);
  const load = await measureLoad(mesh, seconds);
  const after = await sources.stats();
  sources.churn(STILL);
  await sleep(1_000);
  const { events, lagMs } = mesh.arrivals();
  const changes = after.changes - before.changes;
  const at = (part: number) => lagMs[Math.ceil(lagMs.length * part) - 1] ?? Number.NaN;
  return {
    ...load,
    changesPerSecond: changes / seconds,
    eventsPerSecond: events / seconds,
    cpuMicrosecondsPerChange: (load.cpuSeconds / changes) * 1e6,
    lagP50Ms: at(0.5),
    lagP99Ms: at(0.99),
  };
}

export interface Return {
  /** From the moment when connections are accepted again until all clusters have one. */
  readonly connectedSeconds: number;
  /** The same until every kind of every cluster was listed, where another store answers. */
  readonly readySeconds: number;
  readonly mostConnectionsPerSecond: number;
  /** Transactions of the local etcd until then. */
  readonly transactions: number;
  /** Events below `cilium/cache/`: nothing has changed, so each is a write for an unchanged key. */
  readonly events: number;
  readonly cpuSeconds: number;
  readonly blocks: LoopBlocks;
}

/** Clusters are lost together and return together, and nothing changes. Call `mesh.follow` before. */
export async function measureReturn(mesh: MeshRun, sources: LightSources, restart: Restart): Promise<Return> {
  mesh.arrivals();
  const [{ connections }, revision, { cpuSeconds }] = [await sources.stats(), await mesh.revision(), await mesh.usage()];
  const earlier = new Set(await mesh.ready());
  const perSecond: number[] = [];
  const { result, blocks } = await mesh.blocks(async () => {
    await sources.restart(restart);
    const startMs = performance.now();
    let { accepted } = await sources.stats();
    for (let second = 1; ; second += 1) {
      let current = await sources.stats();
      while (current.connections < connections && performance.now() < startMs + second * 1000) {
        await sleep(POLL_MS);
        current = await sources.stats();
      }
      perSecond.push(current.accepted - accepted);
      accepted = current.accepted;
      if (current.connections >= connections) break;
    }
    const connectedSeconds = (performance.now() - startMs) / 1000;
    // Of a store with the same cluster ID nothing is listed: watches go on.
    if (restart.isReplaced === true) await mesh.replaced(earlier, restart.count);
    return { connectedSeconds, readySeconds: (performance.now() - startMs) / 1000 };
  });
  await sleep(2_000);
  return {
    ...result,
    mostConnectionsPerSecond: Math.max(...perSecond),
    transactions: (await mesh.revision()) - revision,
    events: mesh.arrivals().events,
    cpuSeconds: (await mesh.usage()).cpuSeconds - cpuSeconds,
    blocks,
  };
}
