/**
 * Whether the process is ready, and what is not well with it.
 *
 * Ready is a latch: agents that were served once go on with what they have, so nothing that fails
 * later takes it back. What fails later is told by the checks.
 */
import type { Registry } from './metrics.ts';

/** What is not well, in a few words; undefined while all is. */
export type Check = () => string | undefined;

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

  /** `name: what is not well`, one for each check that has something to say. */
  problems(): string[] {
    const problems: string[] = [];
    for (const [name, check] of this.#checks) {
      const problem = check();
      if (problem !== undefined) problems.push(`${name}: ${problem}`);
    }
    return problems;
  }
}
