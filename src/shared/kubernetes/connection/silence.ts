/**
 * A watchdog over one request: aborts it when no data arrives for too long, or when its caller aborts.
 *
 * A peer that disappeared without closing the connection never sends an error. The kernel's keepalive
 * probes take more than ten minutes to detect this; the watchdog uses the longest silence that the protocol allows.
 */
import { LinkedAbort, unlessAborted } from '../../time/abort.ts';
import type { Clock } from '../../time/clock.ts';
import { type KubeError, KubeSilenceError } from '../errors.ts';

/** The limit can shrink during a sleep, so no sleep is longer than this. */
const LONGEST_SLEEP_MS = 30_000;

export class SilenceWatchdog {
  readonly #clock: Clock;
  readonly #controller: LinkedAbort;
  readonly #what: string;
  readonly #silence: (limitMs: number) => KubeError;
  #limitMs: number;
  #heardMs: number;

  /**
   * Starts at once. `what` names the request in the error, which `silence` makes. To be disposed of when the request has
   * ended.
   */
  constructor(
    clock: Clock,
    parent: AbortSignal,
    limitMs: number,
    what: string,
    silence: (limitMs: number) => KubeError = (ms) =>
      new KubeSilenceError(`${what}: the API server has been silent for ${Math.round(ms / 1000)} s`),
  ) {
    this.#controller = new LinkedAbort(parent);
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#what = what;
    this.#silence = silence;
    this.#heardMs = clock.monotonicMs();
    void this.#run();
  }

  /** Aborted with the parent's reason, or with the error of the silence. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something came. */
  heard(): void {
    this.#heardMs = this.#clock.monotonicMs();
  }

  /** From now on `limitMs` of silence are normal. */
  allow(limitMs: number): void {
    this.#limitMs = limitMs;
    this.heard();
  }

  /** Settles as `work` does, or as soon as the signal is aborted with its reason. */
  guard<T>(work: Promise<T>): Promise<T> {
    return unlessAborted(work, this.signal);
  }

  /** Ends the watchdog, and the request where it has not ended. Idempotent. */
  dispose(): void {
    this.#controller.abort(new KubeSilenceError(`${this.#what}: cancelled`));
  }

  async #run(): Promise<void> {
    const { signal } = this.#controller;
    while (!signal.aborted) {
      const leftMs = this.#heardMs + this.#limitMs - this.#clock.monotonicMs();
      if (leftMs <= 0) {
        this.#controller.abort(this.#silence(this.#limitMs));
      } else {
        await this.#clock.sleep(Math.min(leftMs, LONGEST_SLEEP_MS), signal).catch(() => undefined);
      }
    }
  }
}
