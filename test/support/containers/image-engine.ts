/** podman with the image that `scripts/image` builds, for the tests of a file. */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { podmanEnvironment, removePodmanDirectory } from '../../../scripts/container/podman-environment.ts';
import { type Outcome, runChild } from '../processes/child.ts';
import { until } from '../until.ts';

const ROOT = join(import.meta.dirname, '../../..');
export const IMAGE = 'localhost/clustermesh-apiserver:local';

/** The status of scripts/image for that. */
const MACHINE_LACKS_SOMETHING = 2;

class MissingEngineError extends Error {}

/** A container that was started; removed with the engine. */
export interface Container {
  readonly name: string;
  /** Of its PID 1, as this machine sees it; 0 once that has ended. */
  pid(): Promise<number>;
  logs(): Promise<string>;
  kill(signal: string): Promise<void>;
  /** The exit status, when it has ended. */
  ended(): Promise<number>;
}

export class ImageEngine implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'image-test-'));
  readonly #environment = podmanEnvironment(this.#directory);
  #count = 0;

  /** With the image loaded. A MissingEngineError tells what this machine lacks. */
  static async start(etcd: '3.5' | '3.7'): Promise<ImageEngine> {
    if (process.getuid?.() !== 0) throw new MissingEngineError('podman runs containers for root only here');
    const { status, stdout, stderr } = await runChild(join(ROOT, 'scripts/image'), ['--etcd', etcd]);
    const complaint = stderr.trim().split('\n').at(-1) ?? '';
    if (status === MACHINE_LACKS_SOMETHING) throw new MissingEngineError(complaint);
    if (status !== 0) throw new Error(stderr);
    const engine = new ImageEngine();
    await engine.podman('load', '--quiet', '--input', stdout.trim());
    return engine;
  }

  /** Runs podman to its end, whatever its status. */
  run(...args: readonly string[]): Promise<Outcome> {
    return runChild('podman', args, { env: this.#environment });
  }

  /** The output of podman; rejects where its status is not 0. */
  async podman(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(...args);
    if (status !== 0) throw new Error(`podman ${args.join(' ')}: ${stderr.trim()}`);
    return stdout.trim();
  }

  /** Starts a container of the image in the background. `command` follows the entry point. */
  async start(options: readonly string[], command: readonly string[]): Promise<Container> {
    this.#count += 1;
    const name = `test-${this.#count}`;
    await this.podman('run', '--detach', `--name=${name}`, ...options, IMAGE, ...command);
    const inspect = (format: string) => this.podman('inspect', `--format={{${format}}}`, name);
    return {
      name,
      pid: async () => Number(await inspect('.State.Pid')),
      logs: async () => {
        const { stdout, stderr } = await this.run('logs', name);
        return stdout + stderr;
      },
      kill: async (signal) => {
        await this.podman('kill', `--signal=${signal}`, name);
      },
      ended: async () => {
        // The second one where podman cannot be called by what watches the container.
        await until('the container ends', async () => ['exited', 'stopped'].includes(await inspect('.State.Status')));
        return Number(await inspect('.State.ExitCode'));
      },
    };
  }

  /** Runs a container of the image to its end. In the background: podman waits long for the end of one in the foreground. */
  async runImage(options: readonly string[], command: readonly string[]): Promise<Outcome> {
    const container = await this.start(options, command);
    const status = await container.ended();
    const { stdout, stderr } = await this.run('logs', container.name);
    await this.podman('rm', container.name);
    return { status, stdout, stderr };
  }

  /** The directory with what is in the image; read-only. */
  root(): Promise<string> {
    return this.podman('image', 'mount', IMAGE);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // One on whose network another is goes after that.
    await until('no container is left', async () => {
      await this.run('rm', '--all', '--force', '--time=0');
      return (await this.podman('ps', '--all', '--quiet')) === '';
    });
    await this.run('image', 'umount', '--all');
    removePodmanDirectory(this.#directory);
  }
}

/** The engine, or why there can be none here. Rejects where the image cannot be built although there could be one. */
export async function engineOrReason(etcd: '3.5' | '3.7' = '3.7'): Promise<{ engine?: ImageEngine; reason?: string }> {
  try {
    return { engine: await ImageEngine.start(etcd) };
  } catch (thrown) {
    if (!(thrown instanceof MissingEngineError)) throw thrown;
    return { reason: `no container engine can be started: ${thrown.message}` };
  }
}

/** Processes whose parent is `pid`, as this machine numbers them. */
export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}
