/**
 * Initializes the data directory for a later etcd: users, roles, and authentication enabled.
 *
 * Each run starts with an empty directory, so that a run that was killed can be
 * repeated. The directory is valid only after etcd has stopped cleanly: until then it may have users without authentication.
 */

import { builtinUsers } from '../shared/builtin-users.ts';
import { clusterNameProblem } from '../shared/cluster-info.ts';
import { asError } from '../shared/errors.ts';
import { createEtcdClient } from '../shared/etcd/client.ts';
import { EtcdError } from '../shared/etcd/errors.ts';
import { ROOT } from '../shared/etcd/keyspace.ts';
import type { EtcdAuth } from '../shared/etcd/operations/auth.ts';
import { type EtcdClient, NO_LEASE } from '../shared/etcd/types.ts';
import { FlagError } from '../shared/flags/error.ts';
import { ETCDINIT_STOP_TIMEOUT_MS } from '../shared/limits.ts';
import type { Logger } from '../shared/process/log.ts';
import { CLUSTER_CONFIG_MARKER } from '../shared/publisher/cluster-config-marker.ts';
import type { Clock } from '../shared/time/clock.ts';
import { formatDuration } from '../shared/time/duration.ts';
import { emptyDataDirectory } from './data-directory.ts';
import { EtcdEndedError, EtcdinitTimeoutError, EtcdRefusedError, EtcdStopError } from './errors.ts';
import type { EtcdinitFlags } from './flags.ts';
import { type EtcdEnd, OwnEtcd } from './own-etcd.ts';
import { meshRoles } from './roles.ts';

/** How often a starting etcd is checked. */
const SERVES_INTERVAL_MS = 50;

export interface EtcdinitSurroundings {
  readonly log: Logger;
  readonly clock: Clock;
  /** Aborts the whole initialization. */
  readonly signal: AbortSignal;
}

/**
 * Resolves when the directory is valid. Rejects with an EtcdinitError, a FlagError, or the signal's reason. In all
 * cases, no etcd keeps running.
 */
export async function runEtcdinit(flags: EtcdinitFlags, surroundings: EtcdinitSurroundings): Promise<void> {
  const problem = flags.clusterName === '' ? undefined : clusterNameProblem(flags.clusterName);
  if (problem !== undefined) throw new FlagError(`flag --cluster-name: ${JSON.stringify(flags.clusterName)}: ${problem}`);
  const initialization = new Initialization(flags, surroundings);
  try {
    await initialization.run();
  } finally {
    initialization.end();
  }
}

class Initialization {
  readonly #flags: EtcdinitFlags;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #giveUp = new AbortController();
  readonly #done = new AbortController();
  /** Aborted with the reason when the initialization cannot succeed any more. */
  readonly #signal: AbortSignal;
  #step = '';
  #lastProblem = '';
  #isStopping = false;

  constructor(flags: EtcdinitFlags, { log, clock, signal }: EtcdinitSurroundings) {
    this.#flags = flags;
    this.#log = log;
    this.#clock = clock;
    this.#signal = AbortSignal.any([signal, this.#giveUp.signal]);
  }

  async run(): Promise<void> {
    void this.#expire();
    const { etcdDataDir: dataDir, etcdClusterName: name, etcdInitialClusterToken: clusterToken } = this.#flags;
    this.#begin('emptying the data directory');
    const removed = await emptyDataDirectory(dataDir);
    if (removed > 0) this.#log.info({ dataDir, removed }, 'removed the contents of the data directory');
    this.#begin('starting etcd');
    const etcd = await OwnEtcd.start({ dataDir, name, clusterToken, log: this.#log }, this.#signal);
    this.#log.info({ pid: etcd.pid, dataDir }, 'etcd started');
    try {
      await this.#initialize(etcd);
      await this.#stop(etcd);
    } finally {
      await this.#putAway(etcd);
    }
    this.#log.info({ dataDir }, 'etcd is initialized');
  }

  /** Clears its timers. */
  end(): void {
    this.#done.abort();
  }

  async #initialize(etcd: OwnEtcd): Promise<void> {
    void etcd.ended.then((end) => {
      if (!this.#isStopping) this.#giveUp.abort(new EtcdEndedError(endText(end), this.#step, etcd.lastWords));
    });
    const client = createEtcdClient({
      config: { endpoints: [etcd.endpoint] },
      name: 'own',
      log: this.#log.child({}, { level: 'error' }),
      clock: this.#clock,
    });
    try {
      await this.#untilServing(client);
      await this.#markClusterConfig(client);
      await this.#createUsers(client.auth);
    } finally {
      client.close();
    }
  }

  async #untilServing(client: EtcdClient): Promise<void> {
    this.#begin('waiting for etcd to serve requests');
    for (;;) {
      try {
        await client.get(ROOT, { signal: this.#signal, timeoutMs: 1_000 });
        this.#lastProblem = '';
        return;
      } catch (thrown) {
        this.#signal.throwIfAborted();
        if (!(thrown instanceof EtcdError)) throw thrown;
        this.#lastProblem = ` (${thrown.message})`;
        await this.#clock.sleep(SERVES_INTERVAL_MS, this.#signal);
      }
    }
  }

  /** Before other clients can connect: see cluster-config-marker.ts. */
  async #markClusterConfig(client: EtcdClient): Promise<void> {
    const { key, value } = CLUSTER_CONFIG_MARKER;
    const put = { type: 'put', key, value, lease: NO_LEASE } as const;
    await this.#ask(`writing ${key}`, async () => void (await client.txn([put], { signal: this.#signal })));
  }

  /** Authentication is enabled last: it locks out clients without a certificate, including this one. */
  async #createUsers(auth: EtcdAuth): Promise<void> {
    const { clusterName } = this.#flags;
    const options = { signal: this.#signal };
    for (const { name, permissions } of meshRoles(clusterName)) {
      await this.#ask(`adding the role ${name}`, () => auth.addRole(name, options));
      for (const permission of permissions)
        await this.#ask(`granting the role ${name} access to ${permission.key}`, () =>
          auth.grantPermission(name, permission, options),
        );
    }
    for (const { name, role } of builtinUsers(clusterName)) {
      await this.#ask(`adding the user ${name}`, () => auth.addUser(name, options));
      await this.#ask(`granting ${role} to the user ${name}`, () => auth.grantRole(name, role, options));
    }
    await this.#ask('enabling authentication', () => auth.enable(options));
  }

  async #ask(step: string, call: () => Promise<void>): Promise<void> {
    this.#begin(step);
    try {
      await call();
    } catch (thrown) {
      // A refusal that is only the echo of the end of etcd, or of the time being over, is not the cause.
      if (thrown instanceof EtcdError && thrown.concernsConnection) await this.#settle();
      this.#signal.throwIfAborted();
      throw thrown instanceof EtcdError ? new EtcdRefusedError(step, thrown) : thrown;
    }
  }

  /** Until the end of etcd would have been reported. */
  async #settle(): Promise<void> {
    await this.#clock.sleep(SERVES_INTERVAL_MS, this.#signal).catch(() => undefined);
  }

  async #stop(etcd: OwnEtcd): Promise<void> {
    this.#begin('stopping etcd');
    this.#isStopping = true;
    etcd.terminate();
    const end = await this.#endOf(etcd);
    if (end === undefined) throw new EtcdStopError(`not within the remaining time of --timeout=${this.#timeout}`);
    // etcd sends itself the signal again after it has cleaned up.
    if (end.code !== 0 && end.signal !== 'SIGTERM') throw new EtcdStopError(`${endText(end)}: ${etcd.lastWords}`);
  }

  /** How `etcd` exited; undefined if it did not in time. Rejects if the initialization is aborted. */
  async #endOf(etcd: OwnEtcd): Promise<EtcdEnd | undefined> {
    const ended = new AbortController();
    void etcd.ended.then(() => ended.abort());
    const waiting = AbortSignal.any([this.#signal, ended.signal]);
    await this.#clock.sleep(this.#flags.timeoutMs, waiting).catch(() => undefined);
    if (ended.signal.aborted) return etcd.ended;
    if (this.#signal.reason instanceof EtcdinitTimeoutError) return undefined;
    throw asError(this.#signal.reason);
  }

  /** etcd has exited when this resolves, in all cases. */
  async #putAway(etcd: OwnEtcd): Promise<void> {
    etcd.terminate();
    const late = this.#clock.sleep(ETCDINIT_STOP_TIMEOUT_MS, this.#done.signal).catch(() => undefined);
    await Promise.race([etcd.ended, late]);
    await etcd.kill();
  }

  async #expire(): Promise<void> {
    await this.#clock.sleep(this.#flags.timeoutMs, this.#done.signal).catch(() => undefined);
    this.#giveUp.abort(new EtcdinitTimeoutError(this.#timeout, this.#step, this.#lastProblem));
  }

  get #timeout(): string {
    return formatDuration(this.#flags.timeoutMs);
  }

  #begin(step: string): void {
    this.#signal.throwIfAborted();
    this.#step = step;
    this.#log.debug({ step }, 'next step');
  }
}

function endText({ code, signal }: EtcdEnd): string {
  if (signal !== undefined) return `by ${signal}`;
  return code === undefined ? 'cause unknown' : `with status ${code}`;
}
