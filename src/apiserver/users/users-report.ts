/** The state of the users of etcd as log lines, metrics and a health check: each problem once until it changes. */

import { errorCode } from '../../shared/errors.ts';
import type { Health } from '../../shared/http/health.ts';
import type { Counter, Registry } from '../../shared/http/metrics.ts';
import { MAX_LOGGED_USERS } from '../../shared/limits.ts';
import type { RunObserver } from '../../shared/process/controller-runs.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { Reconciled, UserProblem, UserProblemReason } from './reconciliation.ts';
import type { UsersFile } from './users-file.ts';

const REASONS: readonly (UserProblemReason | 'file' | 'entry' | 'etcd')[] = [
  'file',
  'entry',
  'builtin',
  'unknown_role',
  'refused',
  'etcd',
];

/** The series of the users: one for the process, also where it synchronizes them more than once. */
export class UsersMetrics {
  readonly failures: Counter<'reason'>;
  #count: () => number = () => 0;

  constructor(registry: Registry) {
    this.failures = registry.counter('users_failures_total', 'Failures to synchronize the users of etcd with the users file', [
      'reason',
    ]);
    for (const reason of REASONS) this.failures.inc({ reason }, 0);
    registry.gauge('users', 'Users of etcd configured from the users file', [], (gauge) => gauge.set(this.#count()));
  }

  /** `count` is shown from now on; without one it is 0. */
  setCount(count: () => number = () => 0): void {
    this.#count = count;
  }
}

export interface UsersReportOptions {
  readonly log: Logger;
  readonly metrics: UsersMetrics;
  readonly health: Pick<Health, 'addCheck'>;
  /** Receives whether reading the file, or a pass over the users, was complete. */
  readonly onRun: RunObserver | undefined;
  /** Users that were set up in this run. */
  readonly count: () => number;
}

export class UsersReport {
  readonly #log: Logger;
  readonly #onRun: RunObserver | undefined;
  readonly #failures: Counter<'reason'>;
  readonly #end: () => void;
  #fileProblem: string | undefined;
  #etcdProblem: string | undefined;
  /** Of entries that cannot be read. */
  #entryProblems: readonly string[] = [];
  /** By user. */
  #problems: ReadonlyMap<string, string> = new Map();
  #unnamed = '';

  /** Adds the check `users`, until `end`. */
  constructor({ log, metrics, health, onRun, count }: UsersReportOptions) {
    this.#log = log;
    this.#onRun = onRun;
    this.#failures = metrics.failures;
    metrics.setCount(count);
    const removeCheck = health.addCheck('users', () => this.#unwell());
    this.#end = () => {
      removeCheck();
      metrics.setCount();
    };
  }

  /** The users are no longer synchronized: removes the check. */
  end(): void {
    this.#end();
  }

  fileUsable(path: string, { users, problems }: UsersFile): void {
    this.#fileProblem = undefined;
    this.#log.info({ path, users: users.length, leftOut: problems.length }, 'users file loaded');
    if (problems.length > 0) this.#onRun?.(false);
    const known = new Set(this.#entryProblems);
    this.#entryProblems = problems.map(({ text }) => text);
    const news = problems.filter(({ text }) => !known.has(text));
    this.#failures.inc({ reason: 'entry' }, news.length);
    for (const { user, text } of news.slice(0, MAX_LOGGED_USERS)) {
      const fate = user === undefined ? 'no user is removed until it is corrected' : 'its user is unchanged';
      this.#log.error({ user, reason: text }, `invalid entry in the users file; ${fate}`);
    }
    if (news.length > MAX_LOGGED_USERS) {
      this.#log.error({ entries: news.length - MAX_LOGGED_USERS }, 'more invalid entries in the users file');
    }
  }

  fileUnusable(error: Error): void {
    this.#onRun?.(false);
    const problem = describe(error);
    if (this.#fileProblem === problem) return;
    this.#fileProblem = problem;
    this.#failures.inc({ reason: 'file' });
    this.#log.error({ code: errorCode(error), reason: error.message }, 'cannot use the users file; all users are unchanged');
  }

  etcdFailed(error: Error): void {
    this.#onRun?.(false);
    this.#failures.inc({ reason: 'etcd' });
    const problem = describe(error);
    if (this.#etcdProblem === problem) return;
    this.#etcdProblem = problem;
    this.#log.warn({ code: errorCode(error), reason: error.message }, 'cannot synchronize the users of etcd; retrying');
  }

  authenticationOff(): void {
    this.#log.warn('authentication is disabled in the local etcd: every client has full access');
  }

  reconciled({ configured, removed, problems, unnamed }: Reconciled): void {
    this.#onRun?.(problems.length === 0 && this.#entryProblems.length === 0);
    this.#etcdProblem = undefined;
    for (const { name, role } of configured) this.#log.info({ user: name, role }, 'etcd user configured');
    for (const user of removed) this.#log.info({ user }, 'etcd user removed');
    for (const problem of problems) this.#tell(problem);
    this.#problems = new Map(problems.map(({ user, text }) => [user, text]));
    const names = unnamed.toSorted().join(' ');
    if (names !== '' && names !== this.#unnamed) {
      const users = unnamed.toSorted().slice(0, MAX_LOGGED_USERS);
      this.#log.warn({ users, count: unnamed.length }, 'etcd has users that are not in the users file; leaving them unchanged');
    }
    this.#unnamed = names;
  }

  #unwell(): string[] {
    const all = [...this.#entryProblems, ...[...this.#problems].map(([user, text]) => `${user}: ${text}`)];
    const entries = all.slice(0, MAX_LOGGED_USERS);
    const others = all.length - entries.length;
    if (others > 0) entries.push(`${others} more entries of the users file`);
    return [this.#fileProblem, this.#etcdProblem, ...entries].filter((problem) => problem !== undefined);
  }

  #tell({ user, reason, text }: UserProblem): void {
    if (this.#problems.get(user) === text) return;
    this.#failures.inc({ reason });
    this.#log.error({ user, reason: text }, 'invalid entry in the users file');
  }
}

function describe(error: Error): string {
  return `${errorCode(error)}: ${error.message}`;
}
