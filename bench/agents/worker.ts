/** A process of many simulated agents, started by `AgentProcesses`. */
import { generationOf, nowGeneration } from '../light/cluster-keys.ts';
import { Agent, type Counts } from './agent.ts';
import type { WorkerCommand, WorkerOptions, WorkerStats } from './processes.ts';

/** Of the messages with events, one in this many is looked at for its time. */
const SAMPLED = 20;
const MAX_LAGS = 20_000;

const { endpoints, agents, remotes, isShared } = JSON.parse(process.argv[2] ?? '{}') as WorkerOptions;
const counts: Counts = {
  ...{ connections: 0, watches: 0, listedKeys: 0, listedBytes: 0, events: 0 },
  ...{ messages: 0, canceled: 0, failures: 0, synced: 0, resumed: 0 },
};
let lagMs: number[] = [];

function onEvents(message: Buffer): void {
  if (counts.messages % SAMPLED !== 0 || lagMs.length >= MAX_LAGS) return;
  const changedUs = generationOf(message);
  if (changedUs !== undefined) lagMs.push((nowGeneration() - changedUs) / 1000);
}

const all = Array.from({ length: agents }, (_, at) => {
  const endpoint = endpoints[at % endpoints.length] ?? '';
  return new Agent({ endpoint, remotes, isShared, counts, onEvents });
});

async function together(work: (agent: Agent) => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(all.map(work));
  counts.failures += results.filter(({ status }) => status === 'rejected').length;
}

function stats(): WorkerStats {
  const { user, system } = process.cpuUsage();
  const lags = lagMs;
  lagMs = [];
  return { ...counts, lagMs: lags, cpuSeconds: (user + system) / 1e6, memoryMegabytes: process.memoryUsage.rss() / 2 ** 20 };
}

process.on('message', (command: WorkerCommand) => {
  if (command === 'start') void together((agent) => agent.start());
  else if (command === 'reconnect') void together((agent) => agent.resume());
  else process.send?.(stats());
});
process.on('disconnect', () => process.exit());
