/**
 * Readiness and health of the process.
 *
 * Readiness never reverts: agents continue with the data they have, so later failures do not
 * change it. The health checks report later failures. A restart would fix none of them, and would
 * lose the memory of unreachable clusters; liveness is therefore independent of the checks:
 * a response is the proof.
 *
 * The responses are available on all addresses of the machine; details for the operator only, such as paths, are in the log.
 */
import { MAX_HEALTH_TEXT_LENGTH } from '../limits.ts';
import type { Registry } from './metrics.ts';

/** The problems, in a few words each; undefined or empty if there are none. Never a secret. */
export type Check = () => string | readonly string[] | undefined;

/** A problem that a daemon reports and does not count as its own: of a remote cluster, or one to come. */
export interface Notice {
  /** ID of the check: the name at the start of the line. */
  readonly check: string;
  /** Never a secret. */
  readonly text: string;
  /** It is about a remote cluster, not about this one. */
  readonly isOfRemote?: boolean;
}

/** The readiness of a process: it is ready once all of its daemons are. */
export class Readiness {
  #waiting: number;

  constructor(daemons = 1) {
    this.#waiting = daemons;
  }

  get ready(): boolean {
    return this.#waiting <= 0;
  }

  /** Called once for each daemon. */
  daemonIsReady(): void {
    this.#waiting -= 1;
  }
}

export class Health {
  readonly #readiness: Readiness;
  readonly #checks = new Map<string, Check>();
  readonly #notices: (() => readonly Notice[])[] = [];
  readonly #onReady: () => void;
  #ready = false;

  /**
   * Registers `bootstrap_seconds`, the time from the start of the process until the daemon was ready, and `health_problems`, the
   * number of problems of each check. Daemons of one process share `readiness`.
   */
  constructor(metrics: Registry, readiness = new Readiness()) {
    this.#readiness = readiness;
    const bootstrap = metrics.gauge('bootstrap_seconds', 'Seconds from the start of the process until it was ready');
    this.#onReady = () => bootstrap.set(process.uptime());
    metrics.gauge('health_problems', 'Problems that /healthz reports', ['check'], (gauge) => {
      gauge.reset();
      for (const [check, find] of this.#checks) gauge.set({ check }, problemsOf(find).length);
      for (const [check, found] of Map.groupBy(this.#allNotices(), (notice) => notice.check)) gauge.set({ check }, found.length);
    });
  }

  get ready(): boolean {
    return this.#readiness.ready;
  }

  /** The daemon is ready. Idempotent. */
  markReady(): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#readiness.daemonIsReady();
    this.#onReady();
  }

  /** `check` is called at each probe until the returned function is called. Names are unique. */
  addCheck(name: string, check: Check): () => void {
    this.#checks.set(name, check);
    return () => {
      if (this.#checks.get(name) === check) this.#checks.delete(name);
    };
  }

  /** `find` is called at each probe. What it returns has lines, and does not change the status of a response. */
  addNotices(find: () => readonly Notice[]): void {
    this.#notices.push(find);
  }

  /** No check has a problem; notices are none. */
  get isWell(): boolean {
    return this.#checks.values().every((check) => problemsOf(check).length === 0);
  }

  /** `problems` for all clients of the port: files are named without their directories. */
  publicProblems(isShown?: (notice: Notice) => boolean): string[] {
    return this.problems(isShown).map((problem) => problem.replaceAll(DIRECTORY, ''));
  }

  /** `name: problem`, a line for each problem, and for each notice that `isShown` accepts. */
  problems(isShown: (notice: Notice) => boolean = () => true): string[] {
    const problems: string[] = [];
    for (const [name, check] of this.#checks)
      for (const problem of problemsOf(check)) problems.push(oneLine(`${name}: ${problem}`));
    return [
      ...problems,
      ...this.#allNotices()
        .filter(isShown)
        .map(({ check, text }) => oneLine(`${check}: ${text}`)),
    ];
  }

  #allNotices(): readonly Notice[] {
    return this.#notices.flatMap((find) => find());
  }
}

function problemsOf(check: Check): readonly string[] {
  const found = check() ?? [];
  return typeof found === 'string' ? [found] : found;
}

/**
 * An absolute path up to its last part: `/var/lib/cilium/` of `/var/lib/cilium/west`. Not the one of a URL or an etcd key,
 * which have something in front.
 */
const DIRECTORY = /(?<![\w:/.%-])\/(?:[^\s/:;,'"()[\]{}<>=]+\/)*(?=[^\s/])/g;

/** Texts of remotes may be part of it. */
function oneLine(text: string): string {
  // Cut first: it may be long, and most of it white.
  return text
    .slice(0, 2 * MAX_HEALTH_TEXT_LENGTH)
    .replaceAll(/\s+/g, ' ')
    .slice(0, MAX_HEALTH_TEXT_LENGTH);
}
