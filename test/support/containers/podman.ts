/**
 * A container engine for the tests of containers, where none runs: podman of the packages that the test command has unpacked,
 * with the Docker-compatible API that testcontainers speaks.
 *
 * Everything it keeps is in a directory of its own. Its images are made of nothing but the servers that the test command has
 * built, under the names that the tests use, so that no registry is needed. It needs root, like every engine that
 * publishes ports by rules of the kernel; the rules that netavark leaves behind are removed, unless it had some before.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { podmanEnvironment } from '../../../scripts/container/podman-environment.ts';
import { until } from '../until.ts';

const TOOLS = join(import.meta.dirname, '../../../.cache/tools');

/** An image that holds one program. */
export interface ProgramImage {
  readonly name: string;
  /** The name of the program in `.cache/tools`; it is linked statically. */
  readonly tool: string;
  /** Its path in the image. */
  readonly path: string;
}

export interface Podman {
  /** Ends the engine and its containers, and removes all it has kept. Idempotent. */
  stop(): Promise<void>;
}

/** Whether testcontainers has an engine to try: it looks once only, so that another one would come too late. */
export function isEngineNamed(): boolean {
  const { DOCKER_HOST, HOME = '', XDG_RUNTIME_DIR = '/run/user/none' } = process.env;
  const sockets = ['/var/run/docker.sock', `${XDG_RUNTIME_DIR}/docker.sock`, `${HOME}/.docker/run/docker.sock`];
  return DOCKER_HOST !== undefined || [...sockets, `${HOME}/.testcontainers.properties`].some((path) => existsSync(path));
}

/** Starts an engine with `images`, which testcontainers finds by the environment of this process. Rejects with why it cannot. */
export async function startPodman(images: readonly ProgramImage[]): Promise<Podman> {
  const lacking = ['podman', ...images.map(({ tool }) => tool)].filter((name) => !existsSync(join(TOOLS, name)));
  if (lacking.length > 0) throw new Error(`.cache/tools lacks ${lacking.join(', ')}`);
  if (process.getuid?.() !== 0) throw new Error('podman publishes ports of containers for root only');
  const engine = new Engine();
  try {
    for (const image of images) await engine.build(image);
    await engine.serve();
    return engine;
  } catch (thrown) {
    await engine.stop();
    throw thrown;
  }
}

class Engine implements Podman {
  readonly #directory = mkdtempSync(join(tmpdir(), 'podman-test-'));
  readonly #environment: Readonly<Record<string, string>>;
  readonly #hadRules: boolean;
  #service: ChildProcess | undefined;
  #output = '';
  #isStopped = false;

  constructor() {
    this.#environment = podmanEnvironment(this.#directory);
    this.#hadRules = this.#run('iptables', '-t', 'nat', '-S').includes('NETAVARK');
    process.once('exit', () => this.#removeAll());
  }

  async build({ name, tool, path }: ProgramImage): Promise<void> {
    const context = join(this.#directory, 'context');
    mkdirSync(context);
    try {
      copyFileSync(join(TOOLS, tool), join(context, 'program'));
      writeFileSync(join(context, 'Containerfile'), `FROM scratch\nCOPY program ${path}\n`);
      await this.#podman('build', '--quiet', '--isolation=chroot', `--tag=${name}`, context);
    } finally {
      rmSync(context, { recursive: true });
    }
  }

  async serve(): Promise<void> {
    const socket = join(this.#directory, 'podman.sock');
    const service = spawn('podman', ['system', 'service', '--time=0', `unix://${socket}`], {
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#service = service;
    const keep = (chunk: unknown) => {
      this.#output = (this.#output + String(chunk)).slice(-2_000);
    };
    for (const stream of [service.stdout, service.stderr]) stream.on('data', keep);
    service.once('error', keep);
    const isServing = () => {
      if (service.exitCode !== null) throw new Error(`podman ended with status ${service.exitCode}: ${this.#output}`);
      return existsSync(socket);
    };
    await until('podman serves', isServing, { withinMs: 20_000, status: () => this.#output });
    // Where the tests run in a container themselves testcontainers looks for published ports elsewhere, and in vain.
    Object.assign(process.env, {
      DOCKER_HOST: `unix://${socket}`,
      TESTCONTAINERS_HOST_OVERRIDE: 'localhost',
      TESTCONTAINERS_RYUK_DISABLED: 'true',
    });
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    await this.#podman('rm', '--all', '--force', '--time=0').catch(() => undefined);
    this.#removeAll();
  }

  #removeAll(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#run('podman', 'rm', '--all', '--force', '--time=0');
    this.#service?.kill('SIGKILL');
    if (!this.#hadRules) for (const rule of NETAVARK_RULES) this.#run('iptables', ...rule);
    this.#run('umount', '-l', join(this.#directory, 'root/overlay'));
    rmSync(this.#directory, { recursive: true, force: true });
    for (const name of ['DOCKER_HOST', 'TESTCONTAINERS_HOST_OVERRIDE', 'TESTCONTAINERS_RYUK_DISABLED']) delete process.env[name];
  }

  async #podman(...args: readonly string[]): Promise<void> {
    try {
      await promisify(execFile)('podman', args, { env: this.#environment, timeout: 60_000 });
    } catch (thrown) {
      const { stderr = '', message } = thrown as { stderr?: string; message: string };
      throw new Error(`podman ${args[0]}: ${stderr.trim().split('\n').at(-1) || message}`);
    }
  }

  /** The output, with any status. */
  #run(program: string, ...args: readonly string[]): string {
    return spawnSync(program, args, { env: this.#environment, encoding: 'utf8', timeout: 30_000 }).stdout ?? '';
  }
}

/** Removes what netavark leaves in the tables when no container is left. */
const NETAVARK_RULES = [
  'filter -D FORWARD -m comment --comment netavark_firewall_plugin_rules -j NETAVARK_FORWARD',
  'nat -D PREROUTING -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT',
  'nat -D OUTPUT -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT',
  'nat -D POSTROUTING -j NETAVARK-HOSTPORT-MASQ',
  ...['NETAVARK_FORWARD', 'NETAVARK_ISOLATION_1', 'NETAVARK_ISOLATION_2', 'NETAVARK_ISOLATION_3'].flatMap((chain) => [
    `filter -F ${chain}`,
    `filter -X ${chain}`,
  ]),
  ...['DNAT', 'MASQ', 'SETMARK'].flatMap((chain) => [`nat -F NETAVARK-HOSTPORT-${chain}`, `nat -X NETAVARK-HOSTPORT-${chain}`]),
].map((rule) => ['-t', ...rule.split(' ').map((word) => (word.startsWith('netavark_') ? word.replaceAll('_', ' ') : word))]);
