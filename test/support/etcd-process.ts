/**
 * Real etcd servers for tests, each a process of its own on a free port.
 *
 * Binaries come from `$ETCD_BIN` (paths separated by `:`), else from the PATH, and from `.cache` of the
 * project. Whatever a test forgets to stop is killed when the test process ends.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, globSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { until } from './until.ts';

export interface EtcdBinary {
  readonly path: string;
  /** `3.4.23` */
  readonly version: string;
  /** `3.4` */
  readonly minor: string;
}

export interface EtcdTls {
  readonly certFile: string;
  readonly keyFile: string;
  /** Clients must show a certificate of this authority. */
  readonly clientCaFile?: string;
}

export interface EtcdOptions {
  /** A version found by `etcdVersions`, whole or minor; the first one found otherwise. */
  readonly version?: string;
  /** Kept on stop when given; otherwise a temporary one is made and removed. */
  readonly dataDir?: string;
  /** Further flags, such as `--quota-backend-bytes=16777216`. */
  readonly args?: readonly string[];
  readonly tls?: EtcdTls;
  /** The cluster ID follows from it. Every process has its own unless told otherwise. */
  readonly clusterToken?: string;
}

export interface RestartOptions {
  /** Begins with an empty store, of the same cluster ID unless `clusterToken` is given. */
  readonly wipe?: boolean;
  readonly clusterToken?: string;
}

export interface EtcdProcess extends AsyncDisposable {
  readonly binary: EtcdBinary;
  /** `http://127.0.0.1:port`, or `https://…` with TLS. */
  readonly endpoint: string;
  readonly port: number;
  /** Plain HTTP, also with TLS: `/health` and `/metrics`. */
  readonly metricsEndpoint: string;
  readonly dataDir: string;
  readonly pid: number;
  /** The last lines the server wrote. */
  readonly output: string;
  /** Ends the server and removes a temporary data directory. Idempotent. */
  stop(): Promise<void>;
  /** SIGKILL; the data stays for `restart`. */
  kill(): Promise<void>;
  /** SIGSTOP: the server neither answers nor closes connections. */
  pause(): void;
  resume(): void;
  /** Starts the server on the same port once more, killing it first where it runs. */
  restart(options?: RestartOptions): Promise<void>;
}

let found: readonly EtcdBinary[] | undefined;

/** Every etcd binary of this machine, one per version, oldest first. Empty where there is none. */
export function etcdVersions(): readonly EtcdBinary[] {
  if (found !== undefined) return found;
  const given = process.env.ETCD_BIN;
  const candidates =
    given !== undefined && given !== ''
      ? given.split(delimiter)
      : (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, 'etcd'));
  const cached = globSync(['.cache/etcd/**/etcd', '.cache/tools/etcd-*'], { cwd: join(import.meta.dirname, '../..') });
  const paths = [...candidates, ...cached.map((path) => join(import.meta.dirname, '../..', path))];
  const byVersion = new Map<string, EtcdBinary>();
  for (const path of paths) {
    const version = versionOf(path);
    if (version === undefined || byVersion.has(version)) continue;
    byVersion.set(version, { path, version, minor: version.split('.').slice(0, 2).join('.') });
  }
  found = [...byVersion.values()].sort((a, b) => a.version.localeCompare(b.version, 'en', { numeric: true }));
  return found;
}

/** Starts a server and waits until it serves. */
export async function startEtcd(options: EtcdOptions = {}): Promise<EtcdProcess> {
  const server = new Server(pickBinary(options.version), options, await freePort(), await freePort());
  await server.start();
  return server;
}

/** A free port below the range that outgoing connections are given, so that a server gets it back on restart. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const isFree = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

function versionOf(path: string): string | undefined {
  try {
    accessSync(path, constants.X_OK);
    return /^etcd Version: (\S+)/.exec(execFileSync(path, ['--version'], { encoding: 'utf8', stdio: 'pipe' }))?.[1];
  } catch {
    return undefined;
  }
}

function pickBinary(version: string | undefined): EtcdBinary {
  const binary = etcdVersions().find((each) => version === undefined || each.version === version || each.minor === version);
  if (binary === undefined) throw new Error(`no etcd ${version ?? ''} found: set ETCD_BIN or put one into the PATH`);
  return binary;
}

/** Memory where there is enough of it: etcd 3.4 cannot be told to leave out fsync. */
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
  readonly #metricsPort: number;
  #clusterToken: string;
  #child: ChildProcess | undefined;
  #output = '';

  constructor(binary: EtcdBinary, options: EtcdOptions, port: number, metricsPort: number) {
    this.binary = binary;
    this.#options = options;
    this.port = port;
    this.#metricsPort = metricsPort;
    this.endpoint = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
    this.metricsEndpoint = `http://127.0.0.1:${metricsPort}`;
    this.dataDir = options.dataDir ?? mkdtempSync(join(scratchDirectory(), 'etcd-test-'));
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
      { withinMs: 20_000, status: () => this.#output.slice(-2_000) },
    );
    if (child.exitCode !== null) throw new Error(`etcd ended with status ${child.exitCode}: ${this.#output.slice(-2_000)}`);
  }

  async stop(): Promise<void> {
    await this.kill();
    if (this.#options.dataDir === undefined) rmSync(this.dataDir, { recursive: true, force: true });
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
    const { tls, args = [] } = this.#options;
    // One member needs no peer port that anybody knows; the cluster ID follows from token and peer URL.
    const peer = 'http://127.0.0.1:0';
    return [
      `--data-dir=${this.dataDir}`,
      `--listen-client-urls=${this.endpoint}`,
      `--advertise-client-urls=${this.endpoint}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      `--initial-cluster-token=${this.#clusterToken}`,
      `--listen-metrics-urls=http://127.0.0.1:${this.#metricsPort}`,
      '--heartbeat-interval=10',
      '--election-timeout=100',
      '--logger=zap',
      '--log-level=warn',
      ...(this.binary.minor === '3.4' ? [] : ['--unsafe-no-fsync']),
      ...(tls === undefined ? [] : [`--cert-file=${tls.certFile}`, `--key-file=${tls.keyFile}`]),
      ...(tls?.clientCaFile === undefined ? [] : [`--trusted-ca-file=${tls.clientCaFile}`, '--client-cert-auth']),
      ...args,
    ];
  }
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
