/**
 * A daemon of the product, started as a cluster would start it: the built program with the flags that a
 * manifest gives it.
 */
import { join } from 'node:path';
import { until } from '../until.ts';
import { MeshProcess, type ProcessHost } from './mesh-process.ts';

export const PROGRAM = join(import.meta.dirname, '../../../bin/clustermesh-apiserver');

export interface DaemonOptions {
  readonly command: 'clustermesh' | 'kvstoremesh';
  readonly cluster: string;
  readonly flags: readonly string[];
  readonly healthPort: number;
  readonly metricsPort: number;
  /** The PATH of the user. */
  readonly path: string;
  /** Takes the log. */
  readonly directory: string;
  readonly host: ProcessHost;
  readonly signal: AbortSignal;
}

export class Daemon {
  readonly process: MeshProcess;
  readonly healthUrl: string;
  readonly metricsUrl: string;
  readonly #signal: AbortSignal;

  constructor(options: DaemonOptions) {
    const { command, cluster, flags, healthPort, metricsPort, path, directory, host, signal } = options;
    this.process = new MeshProcess({
      name: `${command === 'clustermesh' ? 'the apiserver' : 'the kvstoremesh'} of ${cluster}`,
      command: PROGRAM,
      args: [command, ...flags, `--health-port=${healthPort}`, `--prometheus-serve-addr=127.0.0.1:${metricsPort}`],
      env: { PATH: path, CLUSTERMESH_NODE: process.execPath },
      logFile: join(directory, `${command}.log`),
      host,
    });
    this.healthUrl = `http://127.0.0.1:${healthPort}/readyz`;
    this.metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`;
    this.#signal = signal;
  }

  /** Starts it, for the first time or again; resolves with the milliseconds until it was ready. Throws NotInTimeError. */
  async start(): Promise<number> {
    this.process.start();
    return until(
      async () => {
        const answer = await fetch(this.healthUrl, { signal: this.#signal });
        await answer.arrayBuffer();
        return answer.ok ? undefined : `${this.process.name} is not ready`;
      },
      { signal: this.#signal },
    );
  }
}
