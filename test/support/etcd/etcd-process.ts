/**
 * Real etcd servers for tests, each a process of its own on a free port.
 *
 * Binaries come from `$ETCD_BIN` (paths separated by `:`), else from the PATH, and from `.cache` of the
 * project. Servers that a test does not stop are killed when the test process ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { etcdVersionOf } from '../../../demo/mesh/processes/etcd-binary.ts';
import { containersChosen } from '../containers/container-engine.ts';
import { ETCD_IMAGES, startEtcdContainer } from '../containers/etcd-container.ts';
import { freePort } from '../network/free-port.ts';
import { until } from '../until.ts';
import { type EtcdBinary, type EtcdOptions, type EtcdProcess, etcdFlags, type RestartOptions } from './etcd-server.ts';

export type { EtcdBinary, EtcdOptions, EtcdProcess } from './etcd-server.ts';

let found: readonly EtcdBinary[] | undefined;

/** Every etcd binary of this machine, one per version, oldest first. Empty where there is none. */
export function etcdVersions(): readonly EtcdBinary[] {
  if (found !== undefined) return found;
  if (containersChosen()) return ETCD_IMAGES;
  const given = process.env.ETCD_BIN;
  const candidates =
    given !== undefined && given !== ''
      ? given.split(delimiter)
      : (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, 'etcd'));
  const cached = globSync(['.cache/etcd/**/etcd', '.cache/tools/etcd-*'], { cwd: join(import.meta.dirname, '../../..') });
  const paths = [...candidates, ...cached.map((path) => join(import.meta.dirname, '../../..', path))];
  const byVersion = new Map<string, EtcdBinary>();
  for (const path of paths) {
    const version = etcdVersionOf(path);
    if (version === undefined || byVersion.has(version)) continue;
    byVersion.set(version, { path, version, minor: version.split('.').slice(0, 2).join('.') });
  }
  found = [...byVersion.values()].sort((a, b) => a.version.localeCompare(b.version, 'en', { numeric: true }));
  return found;
}

/** Starts a server and waits until it serves. */
export async function startEtcd(options: EtcdOptions = {}): Promise<EtcdProcess> {
  const binary = pickBinary(options.version);
  const [port, metricsPort] = [await freePort(), await freePort()];
  if (containersChosen()) return startEtcdContainer({ ...options, image: binary, port, metricsPort });
  const server = new Server(binary, options, port, metricsPort);
  await server.start();
  return server;
}

function pickBinary(version: string | undefined): EtcdBinary {
  const binary = etcdVersions().find((each) => version === undefined || each.version === version || each.minor === version);
  if (binary === undefined) throw new Error(`no etcd ${version ?? ''} found: set ETCD_BIN or put one into the PATH`);
  return binary;
}

/** Memory if there is enough: etcd 3.4 has no option to disable fsync. */
function scratchDirectory(): string {
  const shared = '/dev/shm';
  if (!existsSync(shared)) return tmpdir();
  const { bavail, bsize } = statfsSync(shared);
  return bavail * bsize > 2 * 1024 ** 3 ? shared : tmpdir();
}

class Server implements EtcdProcess {
  readonly binary: EtcdBinary;
  readonly endpoint: string;
  readonly port: number;
  readonly metricsEndpoint: string;
  readonly dataDir: string;
  readonly #options: EtcdOptions;
  #clusterToken: string;
  #child: ChildProcess | undefined;
  #output = '';

  constructor(binary: EtcdBinary, options: EtcdOptions, port: number, metricsPort: number) {
    this.binary = binary;
    this.#options = options;
    this.port = port;
    this.endpoint = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
    this.metricsEndpoint = `http://127.0.0.1:${metricsPort}`;
    this.dataDir = options.dataDir ?? mkdtempSync(join(scratchDirectory(), 'etcd-test-'));
    if (options.dataDir === undefined) temporary.add(this.dataDir);
    this.#clusterToken = options.clusterToken ?? `test-${port}-${process.pid}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get output(): string {
    return this.#output;
  }

  async start(): Promise<void> {
    const child = spawn(this.binary.path, this.#arguments(), { stdio: ['ignore', 'pipe', 'pipe'], env: {} });
    this.#child = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', keep);
    await until(
      `etcd ${this.binary.version} serves on port ${this.port}`,
      async () => {
        if (child.exitCode !== null || child.signalCode !== null) return 'ended';
        const answer = await fetch(`${this.metricsEndpoint}/health`);
        return (await answer.text()).includes('"true"');
      },
      { withinMs: 45_000, status: () => this.#output.slice(-2_000) },
    );
    if (child.exitCode !== null) throw new Error(`etcd ended with status ${child.exitCode}: ${this.#output.slice(-2_000)}`);
  }

  async stop(): Promise<void> {
    await this.kill();
    if (temporary.delete(this.dataDir)) rmSync(this.dataDir, { recursive: true, force: true });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async restart(options: RestartOptions = {}): Promise<void> {
    await this.kill();
    if (options.clusterToken !== undefined) this.#clusterToken = options.clusterToken;
    if (options.wipe === true) rmSync(this.dataDir, { recursive: true, force: true });
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #arguments(): string[] {
    return etcdFlags({
      minor: this.binary.minor,
      dataDir: this.dataDir,
      clusterToken: this.#clusterToken,
      listenUrl: this.endpoint,
      advertisedUrl: this.endpoint,
      metricsUrl: this.metricsEndpoint,
      tls: this.#options.tls,
      args: this.#options.args,
      member: this.#options.member,
    });
  }
}

const running = new Set<ChildProcess>();
const temporary = new Set<string>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const directory of temporary) rmSync(directory, { recursive: true, force: true });
});
