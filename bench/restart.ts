/**
 * How long mirroring stops when a kvstoremesh is killed: from `kill -9` and an immediate restart to the first change that
 * arrives. The change is made while no process runs. All keys are in etcd already, and so is the lock of the killed process.
 *
 * The time that Node needs to start and exit is measured in the same round: the result is the ratio.
 *
 *   npm run bench -- --restart [--keys 20000] [--rounds 5]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EtcdClient, keyOf, NO_LEASE, type Revision } from '../src/shared/etcd/types.ts';
import { connect, fill } from './ceiling.ts';
import { announcements, cluster } from './dataset.ts';
import { startEtcd } from './etcd.ts';
import { median, spread, table } from './report.ts';

const BINARY = new URL('../bin/clustermesh-apiserver', import.meta.url).pathname;
const CHANGED = 'nodes/v1/north/changed';
/** A longer restart has waited for something. */
const PATIENCE_MS = 60_000;

interface Round {
  readonly changeSeconds: number;
  readonly processSeconds: number;
}

export async function benchRestart({ keys, rounds }: { keys: number; rounds: number }): Promise<void> {
  const [source, local] = [await startEtcd(), await startEtcd()];
  const directory = await mkdtemp(join(tmpdir(), 'bench-restart-'));
  const clients = { source: connect(source.endpoint), local: connect(local.endpoint) };
  await writeFile(join(directory, 'north'), `endpoints:\n- ${source.endpoint}\n`);
  const start = () => startProcess(directory, local.endpoint);
  let child: ChildProcess | undefined;
  try {
    await fill(source.endpoint, [...cluster('north', 7, keys), ...announcements('north', 7)]);
    child = start();
    await change(clients.source, 'first');
    await arrival(clients.local, 'first');
    await canaries(clients.local);
    const results: Round[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      const processSeconds = await processStart();
      const ended = once(child, 'exit');
      const startMs = performance.now();
      child.kill('SIGKILL');
      await ended;
      await change(clients.source, `of round ${round}`);
      child = start();
      await arrival(clients.local, `of round ${round}`);
      results.push({ changeSeconds: (performance.now() - startMs) / 1000, processSeconds });
      await canaries(clients.local);
    }
    print(keys, results);
  } finally {
    child?.kill('SIGKILL');
    for (const client of Object.values(clients)) client.close();
    for (const etcd of [source, local]) await etcd.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

function startProcess(directory: string, endpoint: string): ChildProcess {
  const flags = ['--cluster-name=west', '--cluster-id=2', `--clustermesh-config=${directory}`];
  const ports = ['--health-port=0', '--api-serve-addr=127.0.0.1:0'];
  const args = ['kvstoremesh', ...flags, `--kvstore-opt=etcd.address=${endpoint}`, ...ports];
  return spawn(BINARY, args, { stdio: ['ignore', 'ignore', 'ignore'] });
}

/** From the start of the program to its end, when it only prints its version. */
async function processStart(): Promise<number> {
  const startMs = performance.now();
  await once(spawn(BINARY, ['version'], { stdio: 'ignore' }), 'exit');
  return (performance.now() - startMs) / 1000;
}

async function change(source: EtcdClient, value: string): Promise<void> {
  const put = { type: 'put', key: keyOf(`cilium/state/${CHANGED}`), value: Buffer.from(value), lease: NO_LEASE } as const;
  await source.txn([put], { signal: AbortSignal.timeout(PATIENCE_MS) });
}

/** Resolves when the mirror of the changed key has `value`. */
async function arrival(local: EtcdClient, value: string): Promise<void> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const key = keyOf(`cilium/cache/${CHANGED}`);
  for await (const batch of local.watch(key, { signal, from: 1 as Revision, exact: true }))
    if (batch.kind === 'events' && batch.events.some((event) => event.type === 'put' && event.value.toString() === value)) return;
}

/** Resolves when the last change of the local etcd is older than a moment: the load has ended. */
async function canaries(local: EtcdClient): Promise<void> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const prefix = keyOf('cilium/synced/north/');
  let seen = -1;
  for (;;) {
    let newest = 0;
    for await (const { keyValues } of local.list(prefix, { signal }))
      newest = Math.max(newest, ...keyValues.map(({ modRevision }) => modRevision));
    if (newest > 0 && newest === seen) return;
    seen = newest;
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }
}

function print(keys: number, results: readonly Round[]): void {
  const rows = results.map(({ changeSeconds, processSeconds }, i) => [
    String(i + 1),
    changeSeconds.toFixed(2),
    processSeconds.toFixed(2),
    (changeSeconds / processSeconds).toFixed(1),
  ]);
  process.stdout.write(table(['round', 'kill to first change s', 'process alone s', 'ratio'], rows));
  const seconds = results.map(({ changeSeconds }) => changeSeconds);
  const ratios = results.map(({ changeSeconds, processSeconds }) => changeSeconds / processSeconds);
  process.stdout.write(
    `${keys} keys: kill -9 to the first change: median ${median(seconds).toFixed(2)} s (${spread(seconds)}); ratio to the start of a process: median ${median(ratios).toFixed(1)} (${spread(ratios)})\n`,
  );
}
