/** The whole daemon in the process of the test, with its servers, so that its clock and its lock can be a test's own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kvstoremeshFlagTable } from '../../../src/kvstoremesh/flags.ts';
import { LEADERSHIP_TIMING } from '../../../src/kvstoremesh/leadership/leadership.ts';
import { LEADER_TIMING } from '../../../src/kvstoremesh/leadership/term.ts';
import { type KvstoremeshTiming, runKvstoremesh } from '../../../src/kvstoremesh/run.ts';
import type { RemoteClusterStatus } from '../../../src/kvstoremesh/status/status.ts';
import { parseFlags } from '../../../src/shared/flags/parse.ts';
import { createRegistry } from '../../../src/shared/http/metrics.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { VERSION } from '../../../src/shared/version.ts';
import { freePort } from '../network/free-port.ts';
import { until } from '../until.ts';
import type { Remote, Store } from './mesh.ts';

/** A configuration directory of a test. */
export class ConfigDirectory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'config-'));

  /** The file of `remote`, or of another name that leads to it. */
  add(remote: Remote, name = remote.name): void {
    this.write(name, `endpoints: ["${remote.proxy.endpoint}"]\n`);
  }

  write(name: string, content: string): void {
    writeFileSync(join(this.path, name), content);
  }

  remove(name: string): void {
    rmSync(join(this.path, name));
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export interface DaemonOptions {
  readonly flags?: readonly string[];
  readonly timing?: Partial<KvstoremeshTiming>;
}

export class Daemon implements AsyncDisposable {
  readonly #ports: { readonly health: number; readonly api: number; readonly metrics: number };
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #isRunning = true;

  private constructor(flags: readonly string[], timing: Partial<KvstoremeshTiming>, ports: Daemon['ports']) {
    this.#ports = ports;
    const parsed = parseFlags(kvstoremeshFlagTable, flags);
    if (parsed === 'help') throw new Error('no flags');
    const metrics = createRegistry('cilium_kvstoremesh_', VERSION);
    const runtime = { log: silentLogger, clock: systemClock, metrics, signal: this.#stop.signal };
    this.#running = runKvstoremesh(parsed.values, runtime, { ...LEADERSHIP_TIMING, ...LEADER_TIMING, ...timing });
    this.#running
      .finally(() => {
        this.#isRunning = false;
      })
      .catch(() => undefined);
  }

  /** `local`: the local etcd, or the options of the store that lead to one. */
  static async start(
    local: Store | `etcd.${string}`,
    directory: ConfigDirectory,
    { flags = [], timing = {} }: DaemonOptions = {},
  ): Promise<Daemon> {
    const ports = { health: await freePort(), api: await freePort(), metrics: await freePort() };
    const all = [
      ...['--cluster-name=harbor', '--cluster-id=200'],
      `--clustermesh-config=${directory.path}`,
      `--kvstore-opt=${typeof local === 'string' ? local : `etcd.address=${local.process.endpoint}`}`,
      `--health-port=${ports.health}`,
      `--api-serve-addr=127.0.0.1:${ports.api}`,
      `--prometheus-serve-addr=127.0.0.1:${ports.metrics}`,
      ...flags,
    ];
    return new Daemon(all, timing, ports);
  }

  get ports(): { readonly health: number; readonly api: number; readonly metrics: number } {
    return this.#ports;
  }

  /** False from when it has ended, whatever the reason. */
  get isRunning(): boolean {
    return this.#isRunning;
  }

  async get(server: 'health' | 'api' | 'metrics', path: string): Promise<{ readonly status: number; readonly body: string }> {
    const answer = await fetch(`http://127.0.0.1:${this.#ports[server]}${path}`);
    return { status: answer.status, body: await answer.text() };
  }

  /** Status and body of `/readyz`. */
  async readyz(): Promise<string> {
    const { status, body } = await this.get('health', '/readyz');
    return `${status} ${body}`;
  }

  async ready(): Promise<void> {
    await until('the daemon is ready', async () => (await this.readyz()) === '200 Ready', { withinMs: 45_000 });
  }

  async clusters(): Promise<RemoteClusterStatus[]> {
    return JSON.parse((await this.get('api', '/v1/cluster')).body) as RemoteClusterStatus[];
  }

  async until(what: string, name: string, condition: (status: RemoteClusterStatus) => unknown): Promise<void> {
    let last: unknown;
    const probe = async () => {
      const all = await this.clusters();
      last = all;
      const status = all.find((each) => each.name === name);
      return status !== undefined && Boolean(condition(status));
    };
    await until(what, probe, { withinMs: 45_000, status: () => last });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('stopped by the test'));
    await this.#running.catch(() => undefined);
  }
}
