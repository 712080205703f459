/** An etcd of one or more members on loopback, empty and without fsync, with its figures. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../test/support/network/free-port.ts';
import { etcdBinary } from './etcd.ts';
import { getText } from './get-text.ts';
import { type Usage, usageOf } from './usage.ts';

const START_MS = 30_000;

interface Member {
  readonly endpoint: string;
  readonly metrics: string;
  readonly child: ChildProcess;
}

export class EtcdMembers implements AsyncDisposable {
  readonly #members: readonly Member[];
  readonly #directory: string;
  /** Of the process that measures, however it ends. */
  readonly #onExit = () => {
    for (const { child } of this.#members) child.kill('SIGKILL');
  };

  private constructor(members: readonly Member[], directory: string) {
    this.#members = members;
    this.#directory = directory;
    process.once('exit', this.#onExit);
  }

  /** Resolves when all of them answer. */
  static async start(count = 1): Promise<EtcdMembers> {
    const directory = await mkdtemp(join(tmpdir(), 'bench-members-'));
    const planned: { name: string; client: string; peer: string; metrics: string }[] = [];
    for (let at = 0; at < count; at += 1) {
      const [client, peer, metrics] = [await freePort(), await freePort(), await freePort()].map(
        (port) => `http://127.0.0.1:${port}`,
      );
      planned.push({ name: `m${at}`, client: client ?? '', peer: peer ?? '', metrics: metrics ?? '' });
    }
    const peers = planned.map(({ name, peer }) => `${name}=${peer}`).join();
    const members = planned.map(({ name, client, peer, metrics }) => {
      const args = [
        ...['--name', name, '--data-dir', join(directory, name), '--unsafe-no-fsync', '--log-level', 'error'],
        ...['--listen-client-urls', client, '--advertise-client-urls', client],
        // The port of clients resets connections of others while it has thousands of theirs.
        ...['--listen-metrics-urls', metrics],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
        ...['--initial-cluster', peers, '--initial-cluster-token', directory],
        ...['--quota-backend-bytes', String(8 * 1024 ** 3), '--max-concurrent-streams', '1000000'],
        // Members share few cores with what loads them: a leader is not to be replaced because one is late.
        ...(count > 1 ? ['--heartbeat-interval', '500', '--election-timeout', '5000'] : []),
      ];
      return { endpoint: client, metrics, child: spawn(etcdBinary(), args, { stdio: ['ignore', 'ignore', 'inherit'] }) };
    });
    const started = new EtcdMembers(members, directory);
    for (const { metrics, child } of members) await answers(metrics, child);
    return started;
  }

  get endpoints(): readonly string[] {
    return this.#members.map(({ endpoint }) => endpoint);
  }

  usage(): Promise<Usage> {
    return usageOf(this.#members.map(({ child }) => child.pid ?? 0));
  }

  /** The sum of the series `name` over all members and labels. */
  async metrics(...names: readonly string[]): Promise<number[]> {
    const texts = await Promise.all(this.#members.map(({ metrics }) => getText(`${metrics}/metrics`)));
    const lines = texts.flatMap((text) => text.split('\n'));
    return names.map((name) => {
      const own = lines.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
      return own.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#onExit);
    for (const { child } of this.#members) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}

async function answers(endpoint: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null)
      throw new Error(`etcd ended with status ${child.exitCode}; is ETCD_BIN, or etcd in PATH, an etcd?`);
    const isHealthy = await fetch(`${endpoint}/health`).then(
      (response) => response.ok,
      () => false,
    );
    if (isHealthy) return;
    await sleep(50);
  }
  throw new Error(`etcd did not answer within ${START_MS / 1000} s`);
}
