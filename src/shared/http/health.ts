/**
 * Whether the process is ready, and what is not well with it.
 *
 * Ready is a latch: agents that were served once go on with what they have, so nothing that fails
 * later takes it back. What fails later is told by the checks. None of it is mended by a restart, which
 * would only forget what is remembered of clusters that are away: whether the process is alive is
 * another question, answered by whether it answers.
 *
 * The answers go to all addresses of the machine; what is for the operator alone, such as paths, stands in the log.
 */
import { MAX_HEALTH_TEXT_LENGTH } from '../limits.ts';
import type { Registry } from './metrics.ts';

/** What is not well, in a few words each; undefined or empty while all is. Never a secret. */
export type Check = () => string | readonly string[] | undefined;

export class Health {
  readonly #checks = new Map<string, Check>();
  readonly #onReady: () => void;
  #ready = false;

  /** Registers `bootstrap_seconds`, the time from the start of the process until it was ready. */
  constructor(metrics: Registry) {
    const bootstrap = metrics.gauge('bootstrap_seconds', 'Seconds from the start of the process until it was ready');
    this.#onReady = () => bootstrap.set(process.uptime());
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** Idempotent. */
  markReady(): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#onReady();
  }

  /** `check` is asked at each probe until the returned function is called. Names are unique. */
  addCheck(name: string, check: Check): () => void {
    this.#checks.set(name, check);
    return () => {
      if (this.#checks.get(name) === check) this.#checks.delete(name);
    };
  }

  /** `problems` as all who reach the port may read them: files are named without their directories. */
  publicProblems(): string[] {
    return this.problems().map((problem) => problem.replaceAll(DIRECTORY, ''));
  }

  /** `name: what is not well`, a line for each thing that a check has to say. */
  problems(): string[] {
    const problems: string[] = [];
    for (const [name, check] of this.#checks) {
      const found = check() ?? [];
      for (const problem of typeof found === 'string' ? [found] : found) problems.push(oneLine(`${name}: ${problem}`));
    }
    return problems;
  }
}

/**
 * An absolute path up to its last part: `/var/lib/cilium/` of `/var/lib/cilium/west`. Not the one of a URL or an etcd key,
 * which have something in front.
 */
const DIRECTORY = /(?<![\w:/.%-])\/(?:[^\s/:;,'"()[\]{}<>=]+\/)*(?=[^\s/])/g;

/** What others have said may be part of it. */
function oneLine(text: string): string {
  // Cut first: it may be long, and most of it white.
  return text
    .slice(0, 2 * MAX_HEALTH_TEXT_LENGTH)
    .replaceAll(/\s+/g, ' ')
    .slice(0, MAX_HEALTH_TEXT_LENGTH);
}
