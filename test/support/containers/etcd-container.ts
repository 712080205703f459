/**
 * Real etcd servers for tests, each a container, behind the same interface as the processes.
 *
 * The data is in the container: it survives a kill, and is lost with a wipe, which creates another container.
 */
import { rmSync } from 'node:fs';
import { type EtcdBinary, type EtcdOptions, type EtcdProcess, etcdFlags, type RestartOptions } from '../etcd/etcd-server.ts';
import { until } from '../until.ts';
import { type ContainerPlan, type RunningContainer, startContainer } from './container-engine.ts';

const NEWEST = image('3.6.12');

/** A server for each minor version, oldest first; the path is an image. */
export const ETCD_IMAGES: readonly EtcdBinary[] = [image('3.4.35'), image('3.5.21'), NEWEST];

/** Where the server listens inside of its container. */
export const ETCD_CLIENT_PORT = 2379;
const METRICS_PORT = 2381;
const DATA = '/etcd-data';

export interface EtcdContainerOptions extends EtcdOptions {
  readonly image: EtcdBinary;
  /** Ports of this machine. */
  readonly port: number;
  readonly metricsPort: number;
  readonly clusterToken: string;
  /** Containers of this network reach it as `etcd`. */
  readonly network?: string;
}

/** The container that is started for `options`. */
export function etcdContainer({
  image,
  port,
  metricsPort,
  clusterToken,
  dataDir,
  tls,
  args,
  network,
}: EtcdContainerOptions): ContainerPlan {
  const scheme = tls === undefined ? 'http' : 'https';
  const inside = (name: string) => `/certificates/${name}`;
  const insideTls = tls && {
    certFile: inside('tls.crt'),
    keyFile: inside('tls.key'),
    ...(tls.clientCaFile === undefined ? {} : { clientCaFile: inside('ca.crt') }),
  };
  const flags = etcdFlags({
    minor: image.minor,
    dataDir: DATA,
    clusterToken,
    listenUrl: `${scheme}://0.0.0.0:${ETCD_CLIENT_PORT}`,
    advertisedUrl: `${scheme}://127.0.0.1:${port}`,
    metricsUrl: `http://0.0.0.0:${METRICS_PORT}`,
    tls: insideTls,
    args,
  });
  return {
    image: image.path,
    command: ['/usr/local/bin/etcd', ...flags],
    ports: [
      { container: ETCD_CLIENT_PORT, host: port },
      { container: METRICS_PORT, host: metricsPort },
    ],
    files: [
      ...(tls === undefined ? [] : [{ source: tls.certFile, target: inside('tls.crt') }]),
      ...(tls === undefined ? [] : [{ source: tls.keyFile, target: inside('tls.key') }]),
      ...(tls?.clientCaFile === undefined ? [] : [{ source: tls.clientCaFile, target: inside('ca.crt') }]),
    ],
    ...(dataDir === undefined ? {} : { directory: { source: dataDir, target: DATA } }),
    health: { path: '/health', port: METRICS_PORT, isTls: false },
    ...(network === undefined ? {} : { network: { name: network, alias: 'etcd' } }),
  };
}

/** Starts a server, the newest by default, and waits until it serves. */
export async function startEtcdContainer(
  options: Pick<EtcdContainerOptions, 'port' | 'metricsPort'> & Partial<EtcdContainerOptions>,
): Promise<EtcdProcess> {
  const clusterToken = `test-${options.port}-${process.pid}`;
  const server = new Server({ image: NEWEST, clusterToken, ...options });
  await server.start();
  return server;
}

function image(version: string): EtcdBinary {
  return { path: `gcr.io/etcd-development/etcd:v${version}`, version, minor: version.split('.').slice(0, 2).join('.') };
}

class Server implements EtcdProcess {
  readonly binary: EtcdBinary;
  readonly endpoint: string;
  readonly port: number;
  readonly metricsEndpoint: string;
  readonly dataDir: string;
  #options: EtcdContainerOptions;
  #container: RunningContainer | undefined;
  #isRunning = false;
  /** Pausing takes a request here, where for a process it is a signal; the next action waits for it. */
  #paused: Promise<void> = Promise.resolve();

  constructor(options: EtcdContainerOptions) {
    const { image, port, metricsPort, tls, dataDir } = options;
    this.#options = options;
    this.binary = image;
    this.port = port;
    this.endpoint = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
    this.metricsEndpoint = `http://127.0.0.1:${metricsPort}`;
    this.dataDir = dataDir ?? DATA;
  }

  get pid(): number {
    return this.#container?.pid ?? 0;
  }

  get output(): string {
    return this.#container?.output ?? '';
  }

  async start(): Promise<void> {
    if (this.#container === undefined) this.#container = await startContainer(etcdContainer(this.#options));
    else await this.#container.startAgain();
    this.#isRunning = true;
    await until(
      `etcd ${this.binary.version} serves on port ${this.port}`,
      async () => (await (await fetch(`${this.metricsEndpoint}/health`)).text()).includes('"true"'),
      { withinMs: 45_000, status: () => this.output.slice(-2_000) },
    );
  }

  async stop(): Promise<void> {
    await this.#paused;
    this.#isRunning = false;
    const container = this.#container;
    this.#container = undefined;
    await container?.remove();
  }

  async kill(): Promise<void> {
    await this.#paused;
    if (!this.#isRunning) return;
    this.#isRunning = false;
    await this.#container?.kill();
  }

  pause(): void {
    this.#afterPauses((container) => container.pause());
  }

  resume(): void {
    this.#afterPauses((container) => container.unpause());
  }

  async restart({ wipe = false, clusterToken }: RestartOptions = {}): Promise<void> {
    await this.kill();
    if (clusterToken !== undefined) this.#options = { ...this.#options, clusterToken };
    if (wipe) {
      await this.stop();
      if (this.#options.dataDir !== undefined) rmSync(`${this.#options.dataDir}/member`, { recursive: true, force: true });
    }
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #afterPauses(change: (container: RunningContainer) => Promise<void>): void {
    const container = this.#container;
    if (container === undefined) return;
    this.#paused = this.#paused.then(() => change(container));
    // The next waiter receives the error.
    this.#paused.catch(() => undefined);
  }
}
