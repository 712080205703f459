/**
 * Keeps the users of the other clusters equal to the users file while the daemon runs.
 *
 * One loop: reads the file after an event in its directory, makes a pass over the users if the file changed, if the last
 * pass was incomplete, or periodically; then waits for the next event. An invalid file
 * changes nothing, and neither does an unavailable etcd.
 */
import { dirname } from 'node:path';
import { isAbort } from '../../shared/errors.ts';
import { EtcdError } from '../../shared/etcd/errors.ts';
import type { EtcdAuth } from '../../shared/etcd/operations/auth.ts';
import { DirectoryEvents } from '../../shared/files/directory-events.ts';
import { readTextFile, YamlFileError } from '../../shared/files/yaml-file.ts';
import type { Health } from '../../shared/http/health.ts';
import {
  MAX_USERS_FILE_BYTES,
  USERS_AUDIT_INTERVAL_MS,
  USERS_FILE_POLL_MS,
  USERS_RETRY_MAX_MS,
  USERS_RETRY_MIN_MS,
} from '../../shared/limits.ts';
import type { RunObserver } from '../../shared/process/controller-runs.ts';
import type { Logger } from '../../shared/process/log.ts';
import { Backoff } from '../../shared/time/backoff.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { Reconciliation } from './reconciliation.ts';
import { parseUsersFile, type UsersFile, UsersFileError } from './users-file.ts';
import { type UsersMetrics, UsersReport } from './users-report.ts';

export interface UsersOptions {
  /** The users file; it need not be there yet. */
  readonly path: string;
  /** The name of the own cluster. */
  readonly cluster: string;
  readonly auth: EtcdAuth;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: UsersMetrics;
  readonly health: Pick<Health, 'addCheck'>;
  /** See UsersReportOptions. */
  readonly onRun?: RunObserver | undefined;
}

/** No event for so long ends a burst. */
const QUIET_MS = 100;

/** Runs until the signal is aborted, then resolves; the users stay. */
export async function runUsers(options: UsersOptions, signal: AbortSignal): Promise<void> {
  const events = new DirectoryEvents(dirname(options.path), options.clock);
  const users = new Users(options);
  try {
    while (!signal.aborted) {
      events.arm();
      await users.readFile();
      await users.reconcile(signal);
      await events.burst(users.waitMs, QUIET_MS, signal);
    }
  } catch (thrown) {
    if (!isAbort(thrown, signal)) throw thrown;
  } finally {
    events.disarm();
    users.end();
  }
}

class Users {
  readonly #options: UsersOptions;
  readonly #reconciliation: Reconciliation;
  readonly #report: UsersReport;
  readonly #backoff = new Backoff({ minMs: USERS_RETRY_MIN_MS, maxMs: USERS_RETRY_MAX_MS });
  #text: string | undefined;
  /** Undefined until there was a usable file. */
  #wanted: UsersFile | undefined;
  /** When the next pass is due, by the monotonic clock. */
  #dueMs = 0;
  #isAuthenticationKnown = false;

  constructor(options: UsersOptions) {
    const { auth, cluster, log, metrics, health, onRun } = options;
    this.#options = options;
    this.#reconciliation = new Reconciliation(auth, cluster);
    this.#report = new UsersReport({ log, metrics, health, onRun, count: () => this.#reconciliation.ownedCount });
  }

  end(): void {
    this.#report.end();
  }

  /** Until the file is read again or a pass is due, whichever comes first. */
  get waitMs(): number {
    if (this.#wanted === undefined) return USERS_FILE_POLL_MS;
    return Math.max(0, Math.min(USERS_FILE_POLL_MS, this.#dueMs - this.#options.clock.monotonicMs()));
  }

  /** Applies the content of the file; keeps the previous content if it is invalid. */
  async readFile(): Promise<void> {
    const { path } = this.#options;
    try {
      const text = await readTextFile(path, MAX_USERS_FILE_BYTES);
      if (text === this.#text) return;
      const wanted = parseUsersFile(text, path);
      this.#text = text;
      this.#wanted = wanted;
      this.#dueMs = 0;
      this.#report.fileUsable(path, wanted);
    } catch (thrown) {
      if (!(thrown instanceof YamlFileError || thrown instanceof UsersFileError)) throw thrown;
      this.#text = undefined;
      this.#report.fileUnusable(thrown instanceof YamlFileError ? new UsersFileError(`users file ${thrown.message}`) : thrown);
    }
  }

  /** A pass, where one is due. Rejects only with the signal's reason. */
  async reconcile(signal: AbortSignal): Promise<void> {
    const { auth, clock } = this.#options;
    if (this.#wanted === undefined || clock.monotonicMs() < this.#dueMs) return;
    try {
      if (!this.#isAuthenticationKnown && !(await auth.isEnabled({ signal }))) this.#report.authenticationOff();
      this.#isAuthenticationKnown = true;
      const reconciled = await this.#reconciliation.reconcile(this.#wanted, { signal });
      this.#report.reconciled(reconciled);
      if (reconciled.problems.length === 0) this.#backoff.reset();
      this.#dueMs = clock.monotonicMs() + (reconciled.problems.length === 0 ? USERS_AUDIT_INTERVAL_MS : this.#backoff.nextMs());
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof EtcdError)) throw thrown;
      this.#report.etcdFailed(thrown);
      this.#dueMs = clock.monotonicMs() + this.#backoff.nextMs();
    }
  }
}
