/**
 * The progress of one run: the current step, the time that is left, and why the run cannot succeed any more.
 */

import { EtcdError } from '../shared/etcd/errors.ts';
import type { Logger } from '../shared/process/log.ts';
import type { Clock } from '../shared/time/clock.ts';
import { formatDuration } from '../shared/time/duration.ts';
import { EtcdinitTimeoutError } from './errors.ts';

export interface StepsOptions {
  readonly log: Logger;
  readonly clock: Clock;
  /** Aborts the whole run. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** The error of a run whose time is over during a step. */
export type Late = (timeout: string, lastProblem: string) => Error;

export class Steps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Aborted with the reason when the run cannot succeed any more. */
  readonly signal: AbortSignal;
  readonly #giveUp = new AbortController();
  readonly #done = new AbortController();
  #current = '';
  #late: Late | undefined;
  /** Of the current step; empty where there was none. */
  #lastProblem = '';

  constructor({ log, clock, signal, timeoutMs }: StepsOptions) {
    this.log = log;
    this.clock = clock;
    this.timeoutMs = timeoutMs;
    this.signal = AbortSignal.any([signal, this.#giveUp.signal]);
    void this.#expire();
  }

  get current(): string {
    return this.#current;
  }

  get timeout(): string {
    return formatDuration(this.timeoutMs);
  }

  /** Aborted when the run is over, in any way. */
  get done(): AbortSignal {
    return this.#done.signal;
  }

  /** `late` is the error if the time is over during this step. Throws the reason where the run cannot succeed any more. */
  begin(step: string, late?: Late): void {
    this.signal.throwIfAborted();
    this.#current = step;
    this.#late = late;
    this.#lastProblem = '';
    this.log.debug({ step }, 'next step');
  }

  /** For the message of a run whose time is over, and for the log, where it is another one than before. */
  note(problem: string): void {
    if (problem === this.#lastProblem) return;
    this.#lastProblem = problem;
    // A step with an error of its own may take minutes.
    this.log[this.#late === undefined ? 'debug' : 'info']({ step: this.#current, reason: problem }, 'waiting');
  }

  /**
   * The first answer of `attempt` that is not undefined, tried every `intervalMs`. An EtcdError is noted, and the attempt repeated.
   * Rejects with any other error, or with the signal's reason.
   */
  async retry<T>(intervalMs: number, attempt: () => Promise<T | undefined>): Promise<T> {
    for (;;) {
      try {
        const answer = await attempt();
        if (answer !== undefined) return answer;
      } catch (thrown) {
        this.signal.throwIfAborted();
        if (!(thrown instanceof EtcdError)) throw thrown;
        this.note(thrown.message);
      }
      await this.clock.sleep(intervalMs, this.signal);
    }
  }

  giveUp(error: Error): void {
    this.#giveUp.abort(error);
  }

  /** Clears its timers. */
  end(): void {
    this.#done.abort();
  }

  async #expire(): Promise<void> {
    await this.clock.sleep(this.timeoutMs, this.#done.signal).catch(() => undefined);
    const late = this.#late?.(this.timeout, this.#lastProblem);
    this.giveUp(late ?? new EtcdinitTimeoutError(this.timeout, this.#current, this.#lastProblem));
  }
}
