/** The whole daemon in the process of the test, with its servers, so that its clock and its lock can be a test's own. */
import { kvstoremeshFlagTable } from '../../../src/kvstoremesh/flags.ts';
import { KVSTOREMESH_TIMING, type KvstoremeshTiming, runKvstoremesh } from '../../../src/kvstoremesh/run.ts';
import type { RemoteClusterStatus } from '../../../src/kvstoremesh/status/status.ts';
import { parseFlags } from '../../../src/shared/flags/parse.ts';
import { createRegistry, type Registry } from '../../../src/shared/http/metrics.ts';
import { type Logger, silentLogger } from '../../../src/shared/process/log.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { VERSION } from '../../../src/shared/version.ts';
import { freePort } from '../network/free-port.ts';
import { until } from '../until.ts';
import { type ConfigDirectory, harborFlags } from './config-directory.ts';
import type { Store } from './mesh-fixture.ts';

export interface KvstoremeshRunOptions {
  readonly flags?: readonly string[];
  readonly timing?: Partial<KvstoremeshTiming>;
  readonly lockTtlSeconds?: number;
  readonly log?: Logger;
  readonly metrics?: Registry;
}

type Ports = Readonly<Record<'health' | 'api' | 'metrics', number>>;

export class KvstoremeshRun implements AsyncDisposable {
  readonly ports: Ports;
  /** How it ended, once it has. */
  readonly ended: Promise<void>;
  readonly #stop = new AbortController();
  #isRunning = true;

  private constructor(flags: readonly string[], options: KvstoremeshRunOptions, ports: Ports) {
    this.ports = ports;
    const parsed = parseFlags(kvstoremeshFlagTable, flags);
    if (parsed === 'help') throw new Error('no flags');
    const { log = silentLogger, metrics = createRegistry('cilium_kvstoremesh_', VERSION), timing, lockTtlSeconds } = options;
    const lock = lockTtlSeconds === undefined ? {} : { leaderElectionLeaseDurationMs: lockTtlSeconds * 1000 };
    const runtime = { log, clock: systemClock, metrics, signal: this.#stop.signal };
    this.ended = runKvstoremesh({ ...parsed.values, ...lock }, runtime, { ...KVSTOREMESH_TIMING, ...timing });
    this.ended
      .finally(() => {
        this.#isRunning = false;
      })
      .catch(() => undefined);
  }

  /** `local`: the local etcd, or the options of the store that lead to one. */
  static async start(
    local: Store | `etcd.${string}`,
    directory: ConfigDirectory,
    options: KvstoremeshRunOptions = {},
  ): Promise<KvstoremeshRun> {
    const ports = { health: await freePort(), api: await freePort(), metrics: await freePort() };
    const flags = [
      ...harborFlags(local, directory),
      `--health-port=${ports.health}`,
      `--api-serve-addr=127.0.0.1:${ports.api}`,
      `--prometheus-serve-addr=127.0.0.1:${ports.metrics}`,
      ...(options.flags ?? []),
    ];
    return new KvstoremeshRun(flags, options, ports);
  }

  /** False once it has ended for any reason. */
  get isRunning(): boolean {
    return this.#isRunning;
  }

  async get(server: 'health' | 'api' | 'metrics', path: string): Promise<{ readonly status: number; readonly body: string }> {
    const answer = await fetch(`http://127.0.0.1:${this.ports[server]}${path}`);
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

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped by the test'));
    await this.ended.catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
