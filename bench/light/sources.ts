/** Light etcds of many clusters in a process of their own, as a mesh of remote clusters. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from '../../test/support/network/free-port.ts';
import { keysOf, type Shape } from './shape.ts';

export interface SourceCluster {
  readonly name: string;
  readonly id: number;
  readonly shape: Shape;
  readonly host: string;
}

/** What the process is started with. */
export interface SourcesOptions {
  readonly port: number;
  readonly clusters: readonly SourceCluster[];
}

/** Changes per second of each cluster. */
export interface Rates {
  readonly identities: number;
  readonly endpoints: number;
  readonly services: number;
}

export type Command =
  | { readonly kind: 'stats' }
  | { readonly kind: 'churn'; readonly rates: Rates }
  | { readonly kind: 'restart'; readonly count: number; readonly downMs: number; readonly isReplaced: boolean };

export interface SourceStats {
  readonly changes: number;
  /** Connections so far. */
  readonly accepted: number;
  /** Open connections. */
  readonly connections: number;
  readonly cpuSeconds: number;
  readonly memoryMegabytes: number;
}

export interface Restart {
  /** Of the first clusters. */
  readonly count: number;
  readonly downMs: number;
  /** Another store with another cluster ID and the same keys answers afterwards. */
  readonly isReplaced?: boolean;
}

const PROCESS = new URL('sources-process.ts', import.meta.url).pathname;

export class LightSources implements AsyncDisposable {
  readonly clusters: readonly SourceCluster[];
  readonly #child: ChildProcess;
  readonly #port: number;

  private constructor(child: ChildProcess, options: SourcesOptions) {
    this.#child = child;
    this.#port = options.port;
    this.clusters = options.clusters;
  }

  /** Clusters `c001`, `c002` and so on with the IDs from 1 on, at most 511. Resolves when all of them accept connections. */
  static async start(shapes: readonly Shape[]): Promise<LightSources> {
    const clusters = shapes.map((shape, at) => {
      const host = `127.1.${at >> 6}.${(at & 63) + 1}`;
      return { name: `c${String(at + 1).padStart(3, '0')}`, id: at + 1, shape, host };
    });
    const options = { port: await freePort(), clusters };
    const child = fork(PROCESS, [JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    await message(child);
    return new LightSources(child, options);
  }

  get keys(): number {
    return this.clusters.reduce((sum, { shape }) => sum + keysOf(shape), 0);
  }

  endpointOf({ host }: SourceCluster): string {
    return `http://${host}:${this.#port}`;
  }

  /** Clusters change at these rates from now on. */
  churn(rates: Rates): void {
    this.#send({ kind: 'churn', rates });
  }

  async stats(): Promise<SourceStats> {
    this.#send({ kind: 'stats' });
    return (await message(this.#child)) as SourceStats;
  }

  /** Resets the connections of clusters and refuses new ones for a time; resolves when connections are accepted again. */
  async restart({ count, downMs, isReplaced = false }: Restart): Promise<void> {
    this.#send({ kind: 'restart', count, downMs, isReplaced });
    await message(this.#child);
    await message(this.#child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }

  #send(command: Command): void {
    this.#child.send(command);
  }
}

/** The next message of the process. Rejects if it ends before. */
async function message(child: ChildProcess): Promise<unknown> {
  const abort = new AbortController();
  const ended = once(child, 'exit', { signal: abort.signal }).then(() => Promise.reject(new Error('the light etcds ended')));
  try {
    const answers = (await Promise.race([once(child, 'message', { signal: abort.signal }), ended])) as unknown[];
    return answers[0];
  } finally {
    abort.abort();
    ended.catch(() => undefined);
  }
}
