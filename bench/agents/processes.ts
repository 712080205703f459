/** Simulated agents in processes of their own. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Counts } from './agent.ts';

export interface WorkerOptions {
  readonly endpoints: readonly string[];
  readonly agents: number;
  /** Names of the remote clusters that each agent follows. */
  readonly remotes: readonly string[];
  readonly isShared: boolean;
}

export type WorkerCommand = 'start' | 'reconnect' | 'stats';

export interface WorkerStats extends Readonly<Counts> {
  /** From a change to its arrival, of a sample since the last call. */
  readonly lagMs: readonly number[];
  readonly cpuSeconds: number;
  readonly memoryMegabytes: number;
}

const WORKER = new URL('worker.ts', import.meta.url).pathname;

export class AgentProcesses implements AsyncDisposable {
  readonly #children: readonly ChildProcess[];

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children;
  }

  /** Agents in processes of `perProcess`; nothing is connected before `start`. */
  static prepare(options: WorkerOptions, perProcess: number): AgentProcesses {
    const children: ChildProcess[] = [];
    for (let left = options.agents; left > 0; left -= perProcess) {
      const words = [JSON.stringify({ ...options, agents: Math.min(left, perProcess) })];
      children.push(fork(WORKER, words, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }));
    }
    return new AgentProcesses(children);
  }

  /** All agents connect at once. */
  start(): void {
    for (const child of this.#children) child.send('start' satisfies WorkerCommand);
  }

  /** All agents lose all connections and make new ones at once. */
  reconnect(): void {
    for (const child of this.#children) child.send('reconnect' satisfies WorkerCommand);
  }

  /** Agents neither read nor answer until `resume`, as on nodes without processor time; `stats` waits for that too. */
  pause(): void {
    for (const child of this.#children) child.kill('SIGSTOP');
  }

  resume(): void {
    for (const child of this.#children) child.kill('SIGCONT');
  }

  /** The sum of all processes. Rejects if one has ended. */
  async stats(): Promise<WorkerStats> {
    const all = await Promise.all(this.#children.map(statsOf));
    const sum = (of: (stats: WorkerStats) => number) => all.reduce((total, stats) => total + of(stats), 0);
    return {
      connections: sum(({ connections }) => connections),
      watches: sum(({ watches }) => watches),
      listedKeys: sum(({ listedKeys }) => listedKeys),
      listedBytes: sum(({ listedBytes }) => listedBytes),
      events: sum(({ events }) => events),
      messages: sum(({ messages }) => messages),
      canceled: sum(({ canceled }) => canceled),
      failures: sum(({ failures }) => failures),
      synced: sum(({ synced }) => synced),
      resumed: sum(({ resumed }) => resumed),
      cpuSeconds: sum(({ cpuSeconds }) => cpuSeconds),
      memoryMegabytes: sum(({ memoryMegabytes }) => memoryMegabytes),
      lagMs: all.flatMap(({ lagMs }) => lagMs).sort((a, b) => a - b),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    }
  }
}

async function statsOf(child: ChildProcess): Promise<WorkerStats> {
  if (child.exitCode !== null || child.signalCode !== null) throw new Error('a process of agents ended');
  const answer = once(child, 'message');
  child.send('stats' satisfies WorkerCommand);
  const [stats] = (await answer) as [WorkerStats];
  return stats;
}
