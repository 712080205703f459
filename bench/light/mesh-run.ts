/** A kvstoremesh process that mirrors light etcds into an empty etcd, and what it uses. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EtcdClient, keyOf, type Revision } from '../../src/shared/etcd/types.ts';
import { freePort } from '../../test/support/network/free-port.ts';
import { connect } from '../ceiling.ts';
import { EtcdMembers } from '../etcd-members.ts';
import { getText } from '../get-text.ts';
import { type Usage, usageOf } from '../usage.ts';
import { generationOf, nowGeneration } from './cluster-keys.ts';
import type { LiveMemory, LoopBlocks } from './loop-probe.ts';
import type { LightSources } from './sources.ts';

const BINARY = new URL('../../bin/clustermesh-apiserver', import.meta.url).pathname;
const PROBE = new URL('loop-probe.ts', import.meta.url).href;
/** Canaries of a mirrored cluster, those of kinds that it does not export included. */
const CANARIES = 6;
const PATIENCE_MS = 1_200_000;
const CLUSTER_ID = /ID: ([0-9a-f]+)/;

export interface MeshRunOptions {
  readonly sources: LightSources;
  readonly binary?: string;
  readonly flags?: readonly string[];
  readonly members?: number;
}

/** Events that a watcher of all mirrored keys of the local etcd received. */
export interface Arrivals {
  readonly events: number;
  /** From the change in the light etcd to the watcher, of changed values, ascending. */
  readonly lagMs: readonly number[];
}

export interface Answer {
  readonly ms: number;
  readonly bytes: number;
  readonly text: string;
}

export class MeshRun implements AsyncDisposable {
  readonly etcd: EtcdMembers;
  /** Of the local etcd. */
  readonly client: EtcdClient;
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #ports: { readonly api: number; readonly metrics: number };
  readonly #clusters: number;
  readonly #startMs: number;
  readonly #stop = new AbortController();
  readonly #onExit = () => void this.#child.kill('SIGKILL');
  #events = 0;
  #lagMs: number[] = [];

  private constructor(parts: {
    etcd: EtcdMembers;
    child: ChildProcess;
    directory: string;
    ports: { api: number; metrics: number };
    clusters: number;
    startMs: number;
  }) {
    this.etcd = parts.etcd;
    this.#child = parts.child;
    this.#directory = parts.directory;
    this.#ports = parts.ports;
    this.#clusters = parts.clusters;
    this.#startMs = parts.startMs;
    this.client = connect(this.etcd.endpoints[0] ?? '');
    process.once('exit', this.#onExit);
    let lastLines = '';
    this.#child.stderr?.on('data', (chunk) => {
      lastLines = (lastLines + String(chunk)).slice(-2_000);
    });
    this.#child.once('exit', (code, signal) =>
      this.#stop.abort(new Error(`kvstoremesh ended with ${code ?? signal}: ${lastLines}`)),
    );
  }

  static async start({ sources, binary = BINARY, flags = [], members = 1 }: MeshRunOptions): Promise<MeshRun> {
    const etcd = await EtcdMembers.start(members);
    const directory = await mkdtemp(join(tmpdir(), 'bench-mesh-'));
    for (const cluster of sources.clusters)
      await writeFile(join(directory, cluster.name), `endpoints:\n- ${sources.endpointOf(cluster)}\n`);
    const ports = { api: await freePort(), metrics: await freePort() };
    const startMs = performance.now();
    const child = spawn(
      binary,
      [
        'kvstoremesh',
        // 511 remote clusters are more than there are IDs beside the own one.
        ...['--cluster-name=own', '--cluster-id=511', '--max-connected-clusters=511', '--allow-id-conflicts'],
        ...[`--clustermesh-config=${directory}`, `--kvstore-opt=etcd.address=${etcd.endpoints.join()}`, '--remote-max-keys=0'],
        ...['--remote-max-bytes=0', '--health-port=0', `--api-serve-addr=127.0.0.1:${ports.api}`],
        ...[`--prometheus-serve-addr=127.0.0.1:${ports.metrics}`, ...flags],
      ],
      {
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
        env: { ...process.env, NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${PROBE}` },
      },
    );
    return new MeshRun({ etcd, child, directory, ports, clusters: sources.clusters.length, startMs });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  usage(): Promise<Usage> {
    return usageOf([this.pid]);
  }

  /** Resolves with the seconds from the start of the process until every canary of every cluster is in the local etcd. */
  async full(): Promise<number> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(PATIENCE_MS)]);
    const seen = new Set<string>();
    for await (const batch of this.client.watch(keyOf('cilium/synced/'), { signal, from: 1 as Revision })) {
      if (batch.kind === 'events') for (const { key } of batch.events) seen.add(key);
      if (seen.size >= this.#clusters * CANARIES) break;
    }
    this.#stop.signal.throwIfAborted();
    signal.throwIfAborted();
    return (performance.now() - this.#startMs) / 1000;
  }

  /** From now on all events below `cilium/cache/` are counted. */
  async follow(): Promise<void> {
    const revision = await this.revision();
    void (async () => {
      const { signal } = this.#stop;
      for await (const batch of this.client.watch(keyOf('cilium/cache/'), { signal, from: (revision + 1) as Revision })) {
        if (batch.kind !== 'events') continue;
        const nowUs = nowGeneration();
        this.#events += batch.events.length;
        for (const event of batch.events) {
          const changedUs = event.type === 'put' ? generationOf(Buffer.from(event.value)) : undefined;
          if (changedUs !== undefined) this.#lagMs.push((nowUs - changedUs) / 1000);
        }
      }
    })();
  }

  /** What arrived since the last call. */
  arrivals(): Arrivals {
    const arrivals = { events: this.#events, lagMs: this.#lagMs.sort((a, b) => a - b) };
    [this.#events, this.#lagMs] = [0, []];
    return arrivals;
  }

  async revision(): Promise<Revision> {
    for await (const page of this.client.list(keyOf('none/'), { signal: this.#stop.signal })) return page.revision;
    return 0 as Revision;
  }

  status(): Promise<Answer> {
    return timed(`http://127.0.0.1:${this.#ports.api}/v1/cluster`);
  }

  metrics(): Promise<Answer> {
    return timed(`http://127.0.0.1:${this.#ports.metrics}/metrics`);
  }

  /** Cluster IDs of the etcds of remote clusters that are connected and listed. */
  async ready(): Promise<readonly string[]> {
    // A busy process may drop a request; then the next one tells.
    const answer = await this.status().catch(() => undefined);
    const clusters = JSON.parse(answer?.text ?? '[]') as readonly { readonly ready?: boolean; readonly status?: string }[];
    return clusters.filter(({ ready }) => ready === true).map(({ status = '' }) => CLUSTER_ID.exec(status)?.[1] ?? '');
  }

  /** Resolves when all remote clusters are ready, `count` of them with another etcd than one of `earlier`. */
  async replaced(earlier: ReadonlySet<string>, count: number): Promise<void> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const ids = await this.ready();
      if (ids.length === this.#clusters && ids.filter((id) => !earlier.has(id)).length >= count) return;
      if (performance.now() > deadlineMs) throw new Error('not all remote clusters became ready');
      await sleep(500, undefined, { signal: this.#stop.signal });
    }
  }

  /** The longest blocks of the event loop of the process while `work` is done. */
  async blocks<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly blocks: LoopBlocks }> {
    this.#child.send('watch the loop');
    const result = await work();
    return { result, blocks: (await this.#ask('longest blocks')) as LoopBlocks };
  }

  async live(): Promise<LiveMemory> {
    return (await this.#ask('live memory')) as LiveMemory;
  }

  async #ask(question: string): Promise<unknown> {
    const answered = once(this.#child, 'message', { signal: this.#stop.signal });
    this.#child.send(question);
    const answers: unknown[] = await answered;
    return answers[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#onExit);
    this.#child.removeAllListeners('exit');
    this.#stop.abort();
    this.#child.kill('SIGKILL');
    this.client.close();
    await this.etcd[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

async function timed(url: string): Promise<Answer> {
  const startMs = performance.now();
  const text = await getText(url);
  return { ms: performance.now() - startMs, bytes: text.length, text };
}
