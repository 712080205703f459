/**
 * The background work of a daemon, as named jobs.
 *
 * A job runs until its signal is aborted and restarts by itself if necessary. If one ends or
 * throws before that, the daemon cannot continue without it: the others are stopped, and the
 * daemon exits with an error, to be restarted by its supervisor. A partially working daemon is worse
 * than none.
 */
import { asError, isAbort, ProgramError } from '../errors.ts';
import { aborted } from '../time/abort.ts';
import type { Logger } from './log.ts';

/** A job ended unexpectedly. */
export class JobEndedError extends ProgramError {
  readonly code = 'JOB_ENDED';
  readonly retriable = false;
}

export class JobGroup {
  /** Aborted when the daemon is to stop, or when a job has ended unexpectedly. */
  readonly signal: AbortSignal;

  readonly #log: Logger;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #failure: Error | undefined;

  constructor(options: { readonly signal: AbortSignal; readonly log: Logger }) {
    this.signal = AbortSignal.any([options.signal, this.#stop.signal]);
    this.#log = options.log;
  }

  /** Starts `run`, unless the group is stopping already. The job has ended when its promise settles. */
  startJob(name: string, run: (signal: AbortSignal) => Promise<void>): void {
    if (this.signal.aborted) return;
    const job = this.#supervise(name, run).finally(() => this.#running.delete(job));
    this.#running.add(job);
  }

  /**
   * Resolves when the signal was aborted from outside and every job has ended. Rejects, after every job
   * has ended, where one ended or failed unexpectedly.
   */
  async done(): Promise<void> {
    await aborted(this.signal);
    while (this.#running.size > 0) await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Never rejects. */
  async #supervise(name: string, run: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await run(this.signal);
      if (!this.signal.aborted) this.#fail(new JobEndedError(`job ${name} ended unexpectedly`));
    } catch (thrown) {
      const cause = asError(thrown);
      if (!(thrown instanceof ProgramError) && !isAbort(thrown, this.signal))
        this.#log.error({ job: name, err: cause }, 'job failed');
      if (!this.signal.aborted) this.#fail(new JobEndedError(`job ${name} failed: ${cause.message}`, { cause }));
    }
  }

  #fail(failure: Error): void {
    this.#failure = failure;
    this.#stop.abort(failure);
  }
}
