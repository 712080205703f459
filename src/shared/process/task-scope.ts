/**
 * Tasks that start one by one and end together.
 *
 * The first one that fails ends all of them, and its error is the result of the scope. No task is running
 * when `ended` or `end` has resolved.
 */
import { asError, ProgramError } from '../errors.ts';
import { aborted, onAbort } from '../time/abort.ts';

/** The reason of a scope that was ended by its owner. */
export class ScopeEnded extends ProgramError {
  readonly code = 'SCOPE_ENDED';
  readonly retriable = false;
}

export class TaskScope {
  readonly #controller = new AbortController();
  readonly #tasks = new Set<Promise<void>>();
  readonly #unlink: () => void;

  constructor(parent: AbortSignal) {
    this.#unlink = onAbort(parent, () => this.abort(asError(parent.reason)));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  run(task: (signal: AbortSignal) => Promise<unknown>): void {
    const running = task(this.signal).then(
      () => undefined,
      (thrown: unknown) => this.abort(asError(thrown)),
    );
    this.#tasks.add(running);
    void running.then(() => this.#tasks.delete(running));
  }

  /** Aborts all tasks with `reason`. The first reason counts. */
  abort(reason: Error): void {
    this.#controller.abort(reason);
  }

  /** Resolves with the reason once the scope was aborted and every task has ended. */
  async ended(): Promise<Error> {
    const { signal } = this;
    await aborted(signal);
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    this.#unlink();
    return asError(signal.reason);
  }

  /** Aborts the scope, where that has not happened, and waits for its tasks. */
  async end(): Promise<void> {
    this.abort(new ScopeEnded('the scope has ended'));
    await this.ended();
  }
}
