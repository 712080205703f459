/** One run of an own etcd, from its start to its clean end. */

import { asError } from '../shared/errors.ts';
import { createEtcdClient, type EtcdAdminClient } from '../shared/etcd/client.ts';
import { EtcdError } from '../shared/etcd/errors.ts';
import { ETCDINIT_STOP_TIMEOUT_MS } from '../shared/limits.ts';
import { EtcdEndedError, EtcdinitTimeoutError, EtcdRefusedError, EtcdStopError } from './errors.ts';
import { type EtcdEnd, OwnEtcd, type OwnEtcdOptions } from './own-etcd.ts';
import type { Steps } from './steps.ts';

/** How often a starting etcd is checked. */
export const SERVES_INTERVAL_MS = 50;

/**
 * Starts etcd, runs `task` with a client of it, and stops it in order. The client has no certificate. Rejects with an
 * EtcdinitError, the task's error, or the signal's reason. In all cases, etcd has exited when this settles.
 */
export async function withOwnEtcd<T>(
  steps: Steps,
  options: Omit<OwnEtcdOptions, 'log'>,
  task: (client: EtcdAdminClient) => Promise<T>,
): Promise<T> {
  steps.begin('starting etcd');
  const { log, clock } = steps;
  const run = new EtcdRun(await OwnEtcd.start({ ...options, log }, steps.signal), steps);
  try {
    log.info({ pid: run.pid, dataDir: options.dataDir }, 'etcd started');
    const client = createEtcdClient({
      config: { endpoints: [run.endpoint] },
      name: 'own',
      log: log.child({}, { level: 'error' }),
      clock,
    });
    let outcome: T;
    try {
      outcome = await task(client);
    } finally {
      client.close();
    }
    await run.stop();
    return outcome;
  } finally {
    await run.putAway();
  }
}

/** Runs one step. Rejects with EtcdRefusedError where etcd answers with an error. */
export async function ask(steps: Steps, step: string, call: () => Promise<void>): Promise<void> {
  steps.begin(step);
  try {
    await call();
  } catch (thrown) {
    // A refusal that is only the echo of the end of etcd, or of the time being over, is not the cause.
    if (thrown instanceof EtcdError && thrown.concernsConnection)
      await steps.clock.sleep(SERVES_INTERVAL_MS, steps.signal).catch(() => undefined);
    steps.signal.throwIfAborted();
    throw thrown instanceof EtcdError ? new EtcdRefusedError(step, thrown) : thrown;
  }
}

class EtcdRun {
  readonly #etcd: OwnEtcd;
  readonly #steps: Steps;
  #isStopping = false;

  constructor(etcd: OwnEtcd, steps: Steps) {
    this.#etcd = etcd;
    this.#steps = steps;
    void etcd.ended.then((end) => {
      if (!this.#isStopping) steps.giveUp(new EtcdEndedError(endText(end), steps.current, etcd.lastWords));
    });
  }

  get pid(): number | undefined {
    return this.#etcd.pid;
  }

  get endpoint(): string {
    return this.#etcd.endpoint;
  }

  async stop(): Promise<void> {
    this.#steps.begin('stopping etcd');
    this.#isStopping = true;
    this.#etcd.terminate();
    const end = await this.#end();
    if (end === undefined) throw new EtcdStopError(`not within the remaining time of --timeout=${this.#steps.timeout}`);
    // etcd sends itself the signal again after it has cleaned up.
    if (end.code !== 0 && end.signal !== 'SIGTERM') throw new EtcdStopError(`${endText(end)}: ${this.#etcd.lastWords}`);
  }

  /** etcd has exited when this resolves, in all cases. */
  async putAway(): Promise<void> {
    this.#isStopping = true;
    this.#etcd.terminate();
    const late = this.#steps.clock.sleep(ETCDINIT_STOP_TIMEOUT_MS, this.#steps.done).catch(() => undefined);
    await Promise.race([this.#etcd.ended, late]);
    await this.#etcd.kill();
  }

  /** How etcd exited; undefined if it did not in time. Rejects if the run is aborted. */
  async #end(): Promise<EtcdEnd | undefined> {
    const ended = new AbortController();
    void this.#etcd.ended.then(() => ended.abort());
    const { clock, signal, timeoutMs } = this.#steps;
    const waiting = AbortSignal.any([signal, ended.signal]);
    await clock.sleep(timeoutMs, waiting).catch(() => undefined);
    if (ended.signal.aborted) return this.#etcd.ended;
    if (signal.reason instanceof EtcdinitTimeoutError) return undefined;
    throw asError(signal.reason);
  }
}

function endText({ code, signal }: EtcdEnd): string {
  if (signal !== undefined) return `by ${signal}`;
  return code === undefined ? 'cause unknown' : `with status ${code}`;
}
