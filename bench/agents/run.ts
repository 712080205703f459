/** Simulated agents on an etcd: their first synchronization, their idle watches, and changes at rising rates. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../ceiling.ts';
import { EtcdMembers } from '../etcd-members.ts';
import { type Shape, scaled } from '../light/shape.ts';
import { AgentProcesses } from './processes.ts';
import { change, load, mirroredClusters } from './store-load.ts';

export interface AgentsOptions {
  readonly agents: number;
  /** Remote clusters, all of which each agent follows. */
  readonly remotes: number;
  readonly shape: Shape;
  /** The part of services, identities and endpoints that a policy imports. */
  readonly imported: number;
  readonly members: number;
  readonly isShared: boolean;
  /** Changes per second of all remote clusters together, one after the other. */
  readonly rates: readonly number[];
  readonly seconds: number;
  readonly perProcess: number;
}

export interface Sync {
  readonly keys: number;
  readonly connections: number;
  readonly watches: number;
  /** From the first connection until all agents watch everything. */
  readonly seconds: number;
  readonly listedKeys: number;
  readonly etcdCpuSeconds: number;
  readonly etcdMicrosecondsPerListedKey: number;
  readonly etcdMemoryBefore: number;
  readonly etcdMemoryAfter: number;
  readonly etcdPeak: number;
  readonly agentsCpuSeconds: number;
  readonly failures: number;
}

/** All agents lose all connections in one moment, and go on with their watches. */
export interface Reconnect {
  /** Until all watches are there again. */
  readonly seconds: number;
  readonly etcdCpuSeconds: number;
  readonly etcdMicrosecondsPerWatch: number;
  readonly etcdPeak: number;
  /** Watches that etcd ended. */
  readonly canceled: number;
  readonly failures: number;
}

export interface Idle {
  readonly etcdCpuPercent: number;
  readonly etcdMemory: number;
}

export interface Rate {
  readonly wanted: number;
  readonly changesPerSecond: number;
  readonly transactionsPerSecond: number;
  /** Events that agents received, of all together. */
  readonly deliveredPerSecond: number;
  /** Of those that the changes made. */
  readonly deliveredPart: number;
  readonly eventsPerMessage: number;
  readonly etcdCpuPercent: number;
  readonly etcdMicrosecondsPerDelivery: number;
  readonly agentsCpuPercent: number;
  readonly lagP50Ms: number;
  readonly lagP99Ms: number;
  /** The most watches that etcd could not keep up with, at one of its figures a second. */
  readonly slowWatchers: number;
  readonly pendingEvents: number;
  readonly canceled: number;
  /** Until everything was delivered after the last change. */
  readonly drainSeconds: number;
}

/** What etcd keeps for its clients after all changes; its resident memory is mostly what the first lists left behind. */
export interface Kept {
  /** Heap in use after the last collection, and stacks. */
  readonly liveMegabytes: number;
  readonly goroutines: number;
}

/** All agents stop reading for a time while changes go on at the highest rate. */
export interface Stall {
  readonly seconds: number;
  readonly changes: number;
  readonly slowWatchers: number;
  readonly pendingEvents: number;
  readonly etcdMemory: number;
  /** Watches that etcd ended. */
  readonly canceled: number;
  readonly deliveredPart: number;
  /** From the moment when agents read again until all is delivered. */
  readonly catchUpSeconds: number;
}

export interface AgentsRun {
  readonly sync: Sync;
  readonly idle: Idle;
  readonly reconnect: Reconnect;
  readonly rates: readonly Rate[];
  readonly stall: Stall;
  readonly kept: Kept;
  /** Before agents connected. */
  readonly keptBefore: Kept;
}

const POLL_MS = 250;
const IDLE_SECONDS = 20;
const SYNC_PATIENCE_MS = 900_000;
const DRAIN_PATIENCE_MS = 60_000;
const SLOW = 'etcd_debugging_mvcc_slow_watcher_total';
const PENDING = 'etcd_debugging_mvcc_pending_events_total';

/** `progress` is called with a line after each phase. */
export async function runAgents(options: AgentsOptions, progress: (line: string) => void = () => undefined): Promise<AgentsRun> {
  const { agents, remotes, members, isShared, rates, perProcess, imported } = options;
  const { nodes } = options.shape;
  const clusters = mirroredClusters(remotes, { ...scaled(options.shape, imported), nodes });
  await using etcd = await EtcdMembers.start(members);
  const keys = await load(etcd.endpoints[0] ?? '', clusters);
  progress(`${keys} keys in etcd: ${(await etcd.usage()).memoryMegabytes.toFixed(0)} MB`);
  const names = clusters.map(({ name }) => name);
  await using processes = AgentProcesses.prepare({ endpoints: etcd.endpoints, agents, remotes: names, isShared }, perProcess);
  await sleep(2_000);
  const keptBefore = await keptBy(etcd);
  const sync = await synchronize(etcd, processes, agents, keys);
  progress(JSON.stringify(sync));
  const idle = await rest(etcd);
  progress(JSON.stringify(idle));
  const reconnect = await reconnected(etcd, processes, agents);
  progress(JSON.stringify({ reconnect }));
  const client = connect(etcd.endpoints[0] ?? '');
  const results: Rate[] = [];
  for (const wanted of rates) {
    const { canceled } = await processes.stats();
    const result = await atRate({ etcd, processes, client, clusters, agents, wanted, seconds: options.seconds, canceled });
    results.push(result);
    progress(JSON.stringify(result));
  }
  const kept = await keptBy(etcd);
  progress(JSON.stringify({ kept, keptBefore }));
  const parts = { etcd, processes, client, clusters, agents, seconds: options.seconds };
  const stall = await stalled({ ...parts, wanted: Math.max(...rates), canceled: (await processes.stats()).canceled });
  progress(JSON.stringify({ stall }));
  client.close();
  return { sync, idle, reconnect, rates: results, stall, kept, keptBefore };
}

/** Go collects when the heap has doubled: what it aims at is twice of what was in use after the last collection. */
async function keptBy(etcd: EtcdMembers): Promise<Kept> {
  const names = ['go_memstats_next_gc_bytes', 'go_memstats_stack_inuse_bytes', 'go_goroutines'];
  const [nextBytes = 0, stackBytes = 0, goroutines = 0] = await etcd.metrics(...names);
  return { liveMegabytes: (nextBytes / 2 + stackBytes) / 2 ** 20, goroutines };
}

async function synchronize(etcd: EtcdMembers, processes: AgentProcesses, agents: number, keys: number): Promise<Sync> {
  const [before, agentsBefore] = [await etcd.usage(), await processes.stats()];
  const startMs = performance.now();
  processes.start();
  let stats = await processes.stats();
  while (stats.synced < agents) {
    await sleep(POLL_MS);
    stats = await processes.stats();
    if (performance.now() - startMs > SYNC_PATIENCE_MS || stats.failures >= agents) break;
  }
  const seconds = (performance.now() - startMs) / 1000;
  const after = await etcd.usage();
  const etcdCpuSeconds = after.cpuSeconds - before.cpuSeconds;
  return {
    keys,
    connections: stats.connections,
    watches: stats.watches,
    seconds,
    listedKeys: stats.listedKeys,
    etcdCpuSeconds,
    etcdMicrosecondsPerListedKey: (etcdCpuSeconds / stats.listedKeys) * 1e6,
    etcdMemoryBefore: before.memoryMegabytes,
    etcdMemoryAfter: after.memoryMegabytes,
    etcdPeak: after.peakMegabytes,
    agentsCpuSeconds: stats.cpuSeconds - agentsBefore.cpuSeconds,
    failures: stats.failures,
  };
}

async function reconnected(etcd: EtcdMembers, processes: AgentProcesses, agents: number): Promise<Reconnect> {
  const [before, agentsBefore] = [await etcd.usage(), await processes.stats()];
  const startMs = performance.now();
  processes.reconnect();
  let stats = await processes.stats();
  while (stats.resumed < agents && performance.now() - startMs < SYNC_PATIENCE_MS && stats.failures < agents) {
    await sleep(POLL_MS);
    stats = await processes.stats();
  }
  const seconds = (performance.now() - startMs) / 1000;
  const after = await etcd.usage();
  const etcdCpuSeconds = after.cpuSeconds - before.cpuSeconds;
  return {
    seconds,
    etcdCpuSeconds,
    etcdMicrosecondsPerWatch: (etcdCpuSeconds / stats.watches) * 1e6,
    etcdPeak: after.peakMegabytes,
    canceled: stats.canceled - agentsBefore.canceled,
    failures: stats.failures - agentsBefore.failures,
  };
}

/** Nothing changes. */
async function rest(etcd: EtcdMembers): Promise<Idle> {
  await sleep(5_000);
  const before = await etcd.usage();
  await sleep(IDLE_SECONDS * 1000);
  const after = await etcd.usage();
  return {
    etcdCpuPercent: ((after.cpuSeconds - before.cpuSeconds) / IDLE_SECONDS) * 100,
    etcdMemory: after.memoryMegabytes,
  };
}

interface RateParts {
  readonly etcd: EtcdMembers;
  readonly processes: AgentProcesses;
  readonly client: ReturnType<typeof connect>;
  readonly clusters: ReturnType<typeof mirroredClusters>;
  readonly agents: number;
  readonly wanted: number;
  readonly seconds: number;
  /** Watches that were canceled before. */
  readonly canceled: number;
}

async function stalled({ etcd, processes, client, clusters, agents, wanted, seconds, canceled }: RateParts): Promise<Stall> {
  const before = await processes.stats();
  processes.pause();
  const { changes } = await change(client, clusters, wanted, seconds);
  const [[slowWatchers = 0, pendingEvents = 0], { memoryMegabytes: etcdMemory }] = [
    await etcd.metrics(SLOW, PENDING),
    await etcd.usage(),
  ];
  processes.resume();
  const { stats, drainSeconds: catchUpSeconds } = await drained(processes, before.events + changes * agents);
  return {
    ...{ seconds, changes, slowWatchers, pendingEvents, etcdMemory, catchUpSeconds },
    canceled: stats.canceled - canceled,
    deliveredPart: (stats.events - before.events) / (changes * agents),
  };
}

/** Resolves when agents have received so many events, or after a time. */
async function drained(processes: AgentProcesses, events: number) {
  const startMs = performance.now();
  let stats = await processes.stats();
  const lagMs = [...stats.lagMs];
  while (stats.events < events && performance.now() - startMs < DRAIN_PATIENCE_MS) {
    await sleep(POLL_MS);
    stats = await processes.stats();
    lagMs.push(...stats.lagMs);
  }
  return { stats, lagMs, drainSeconds: (performance.now() - startMs) / 1000 };
}

async function atRate({ etcd, processes, client, clusters, agents, wanted, seconds, ...rest }: RateParts): Promise<Rate> {
  const [before, agentsBefore] = [await etcd.usage(), await processes.stats()];
  let [slowWatchers, pendingEvents, isOver] = [0, 0, false];
  const watching = (async () => {
    while (!isOver) {
      const [slow = 0, pending = 0] = await etcd.metrics(SLOW, PENDING);
      [slowWatchers, pendingEvents] = [Math.max(slowWatchers, slow), Math.max(pendingEvents, pending)];
      await sleep(1_000);
    }
  })();
  const { changes, transactions } = await change(client, clusters, wanted, seconds);
  const [during, agentsDuring] = [await etcd.usage(), await processes.stats()];
  const { stats, drainSeconds, ...late } = await drained(processes, agentsBefore.events + changes * agents);
  [isOver] = [true];
  await watching;
  const lagMs = [...agentsDuring.lagMs, ...late.lagMs].sort((a, b) => a - b);
  const at = (part: number) => lagMs[Math.ceil(lagMs.length * part) - 1] ?? Number.NaN;
  const delivered = stats.events - agentsBefore.events;
  const after = await etcd.usage();
  return {
    wanted,
    changesPerSecond: changes / seconds,
    transactionsPerSecond: transactions / seconds,
    deliveredPerSecond: (agentsDuring.events - agentsBefore.events) / seconds,
    deliveredPart: delivered / (changes * agents),
    eventsPerMessage: delivered / (stats.messages - agentsBefore.messages),
    etcdCpuPercent: ((during.cpuSeconds - before.cpuSeconds) / seconds) * 100,
    etcdMicrosecondsPerDelivery: ((after.cpuSeconds - before.cpuSeconds) / delivered) * 1e6,
    agentsCpuPercent: ((agentsDuring.cpuSeconds - agentsBefore.cpuSeconds) / seconds) * 100,
    lagP50Ms: at(0.5),
    lagP99Ms: at(0.99),
    slowWatchers,
    pendingEvents,
    canceled: stats.canceled - rest.canceled,
    drainSeconds,
  };
}
