/**
 * `kvstoremesh` as a process of its own, with a directory of remotes, and what an operator sees of it: log, status, metrics.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RemoteClusterStatus } from '../../../src/kvstoremesh/status/status.ts';
import { freePort } from '../network/free-port.ts';
import { type Daemon, startDaemon } from '../processes/daemon.ts';
import type { QuickTimes } from '../processes/quick-daemon.ts';
import { until } from '../until.ts';
import type { Remote } from './mesh.ts';

export const QUICK_DAEMON = fileURLToPath(new URL('../processes/quick-daemon.ts', import.meta.url));

// Daemons are started many times; without it each of them compiles the whole source anew.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, '../../../.cache/compiled');

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly code?: string;
  readonly reason?: string;
  readonly cluster?: string;
  readonly err?: { readonly message: string; readonly stack: string };
}

/** Each line of a log; throws where one is not JSON. What was not written to its end yet is left out. */
function logLines(log: string): LogLine[] {
  return log
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as LogLine);
}

export interface MeshDaemonOptions {
  /** Where the local etcd is reached: its URL, or the path of a client configuration. */
  readonly endpoint: string;
  readonly times?: QuickTimes;
  readonly flags?: readonly string[];
  /** Modules that are loaded before the program. */
  readonly preload?: readonly string[];
}

export class MeshDaemon implements AsyncDisposable {
  /** With a file for each remote. */
  readonly directory = mkdtempSync(join(tmpdir(), 'mesh-daemon-'));
  readonly #options: MeshDaemonOptions;
  readonly #ports: { readonly api: number; readonly metrics: number };
  #process: Daemon | undefined;

  private constructor(options: MeshDaemonOptions, ports: { readonly api: number; readonly metrics: number }) {
    this.#options = options;
    this.#ports = ports;
    mkdirSync(join(this.directory, 'remotes'));
  }

  /** A daemon that is not started yet. */
  static async prepare(options: MeshDaemonOptions): Promise<MeshDaemon> {
    return new MeshDaemon(options, { api: await freePort(), metrics: await freePort() });
  }

  get process(): Daemon {
    if (this.#process === undefined) throw new Error('the daemon was not started');
    return this.#process;
  }

  /** Starts it, for the first time or again. */
  async start(times: QuickTimes = this.#options.times ?? {}): Promise<void> {
    const { endpoint, flags = [], preload = [] } = this.#options;
    const local = endpoint.startsWith('/') ? `etcd.config=${endpoint}` : `etcd.address=${endpoint}`;
    const program = [...preload.map((path) => `--import=${path}`), QUICK_DAEMON, JSON.stringify(times)];
    this.#process = await startDaemon(
      'kvstoremesh',
      [
        ...['--cluster-name=harbor', '--cluster-id=200', `--clustermesh-config=${join(this.directory, 'remotes')}`],
        ...[`--kvstore-opt=${local}`, `--api-serve-addr=127.0.0.1:${this.#ports.api}`],
        ...[`--prometheus-serve-addr=127.0.0.1:${this.#ports.metrics}`, ...flags],
      ],
      [process.execPath, ...program],
    );
  }

  get lines(): LogLine[] {
    return logLines(this.process.log);
  }

  add(...remotes: readonly Remote[]): void {
    for (const { name, proxy } of remotes) this.configure(name, `endpoints: ["${proxy.endpoint}"]\n`);
  }

  configure(name: string, content: string): void {
    writeFileSync(this.pathOf(name), content);
  }

  remove(name: string): void {
    rmSync(this.pathOf(name));
  }

  pathOf(name: string): string {
    return join(this.directory, 'remotes', name);
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
    rmSync(this.directory, { recursive: true, force: true });
  }
}
