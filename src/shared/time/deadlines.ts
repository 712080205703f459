/**
 * Deadlines of many short operations: a timer for each would cost more than to look at all of them now and then.
 */

/** How often the deadlines of requests to etcd are checked: a request may fail by so much later. */
export const DEADLINE_CHECK_MS = 20;

interface Deadline {
  readonly dueMs: number;
  readonly late: () => void;
}

export class Deadlines {
  readonly #pending = new Set<Deadline>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * Calls `late` after `ms`, at most DEADLINE_CHECK_MS late. Returns a function that prevents it, which may be called at any time. The
   * process is not kept running for it.
   */
  add(ms: number, late: () => void): () => void {
    const deadline = { dueMs: performance.now() + ms, late };
    this.#pending.add(deadline);
    this.#timer ??= setInterval(() => this.#check(), DEADLINE_CHECK_MS).unref();
    return () => this.#remove(deadline);
  }

  #check(): void {
    const nowMs = performance.now();
    for (const deadline of this.#pending) {
      if (deadline.dueMs > nowMs) continue;
      this.#remove(deadline);
      deadline.late();
    }
  }

  #remove(deadline: Deadline): void {
    this.#pending.delete(deadline);
    if (this.#pending.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Those of the process. */
export const deadlines = new Deadlines();
