/**
 * `kvstoremesh` as a process of its own, with a directory of remotes, and what an operator sees of it: log, status, metrics.
 */
import type { RemoteClusterStatus } from '../../../src/kvstoremesh/status/status.ts';
import { freePort } from '../network/free-port.ts';
import { type Daemon, quickProgram, startDaemon } from '../processes/daemon.ts';
import type { QuickTimes } from '../processes/quick-daemon.ts';
import type { LogLine } from '../recording-logger.ts';
import { until } from '../until.ts';
import { ConfigDirectory, harborFlags } from './config-directory.ts';
import type { Remote } from './mesh-fixture.ts';

export interface ProcessLogLine extends LogLine {
  readonly cluster?: string;
  readonly err?: { readonly message: string; readonly stack: string };
}

/** Each line of a log; throws where one is not JSON. What was not written to its end yet is left out. */
function logLines(log: string): ProcessLogLine[] {
  return log
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as ProcessLogLine);
}

/** What MEMORY_PROBE tells. */
export interface MemoryInUse {
  /** Of the heap and of buffers, after a collection. */
  readonly usedBytes: number;
  /** Resident. */
  readonly rss: number;
}

/** To be loaded before a program whose memory is asked for. */
export const MEMORY_PROBE = new URL('../processes/memory-probe.ts', import.meta.url).href;

export interface KvstoremeshProcessOptions {
  /** Where the local etcd is reached: its URL, or the path of a client configuration. */
  readonly endpoint: string;
  readonly times?: QuickTimes;
  readonly flags?: readonly string[];
  /** Modules that are loaded before the program. */
  readonly preload?: readonly string[];
}

export class KvstoremeshProcess implements AsyncDisposable {
  readonly #remotes = new ConfigDirectory();
  readonly #options: KvstoremeshProcessOptions;
  readonly #ports: { readonly api: number; readonly metrics: number };
  #process: Daemon | undefined;

  private constructor(options: KvstoremeshProcessOptions, ports: { readonly api: number; readonly metrics: number }) {
    this.#options = options;
    this.#ports = ports;
  }

  /** A daemon that is not started yet. */
  static async prepare(options: KvstoremeshProcessOptions): Promise<KvstoremeshProcess> {
    return new KvstoremeshProcess(options, { api: await freePort(), metrics: await freePort() });
  }

  get process(): Daemon {
    if (this.#process === undefined) throw new Error('the daemon was not started');
    return this.#process;
  }

  /** Starts it, for the first time or again. */
  async start(times: QuickTimes = this.#options.times ?? {}): Promise<void> {
    const { endpoint, flags = [], preload } = this.#options;
    const local = endpoint.startsWith('/') ? (`etcd.config=${endpoint}` as const) : (`etcd.address=${endpoint}` as const);
    const servers = [`--api-serve-addr=127.0.0.1:${this.#ports.api}`, `--prometheus-serve-addr=127.0.0.1:${this.#ports.metrics}`];
    const all = [...harborFlags(local, this.#remotes), ...servers, ...flags];
    this.#process = await startDaemon('kvstoremesh', all, quickProgram(times, preload));
  }

  /** Of the API, without a path. */
  get apiUrl(): string {
    return `http://127.0.0.1:${this.#ports.api}`;
  }

  get lines(): ProcessLogLine[] {
    return logLines(this.process.log);
  }

  add(...remotes: readonly Remote[]): void {
    for (const remote of remotes) this.#remotes.add(remote);
  }

  configure(name: string, content: string): void {
    this.#remotes.write(name, content);
  }

  remove(name: string): void {
    this.#remotes.remove(name);
  }

  pathOf(name: string): string {
    return this.#remotes.fileOf(name);
  }

  async clusters(): Promise<RemoteClusterStatus[]> {
    const answer = await fetch(`http://127.0.0.1:${this.#ports.api}/v1/cluster`);
    return (await answer.json()) as RemoteClusterStatus[];
  }

  /** The samples of the metric `name`, which may end with labels: `name{a="b"}`. */
  async metric(name: string): Promise<number[]> {
    const text = await (await fetch(`http://127.0.0.1:${this.#ports.metrics}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line.startsWith(`cilium_kvstoremesh_${name}`) || line.startsWith(name));
    return lines.map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
  }

  /** Collects garbage first. Needs MEMORY_PROBE. */
  async memory(): Promise<MemoryInUse> {
    const told = () => this.lines.filter(({ msg }) => msg === 'memory') as unknown as MemoryInUse[];
    const before = told().length;
    this.process.send('SIGUSR2');
    return until('the daemon tells its memory', () => told()[before]);
  }

  async status(name: string): Promise<RemoteClusterStatus | undefined> {
    return (await this.clusters()).find((each) => each.name === name);
  }

  /** Resolves when the status of `name` is as wanted. */
  async until(what: string, name: string, condition: (status: RemoteClusterStatus) => unknown): Promise<void> {
    let last: RemoteClusterStatus | undefined;
    const probe = async () => {
      last = await this.status(name);
      return last !== undefined && Boolean(condition(last));
    };
    await until(what, probe, { withinMs: 45_000, status: () => ({ last, log: this.process.log.slice(-3_000) }) });
  }

  async untilLogged(message: string, withinMs = 45_000): Promise<void> {
    const status = () => this.process.log.slice(-3_000);
    await until(`the log says: ${message}`, () => this.process.log.includes(message), { withinMs, status });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.kill();
  }
}
