/**
 * Work in slices: a long run over decoded objects gives the event loop a turn every few milliseconds,
 * so that health checks are answered and leases kept alive while a hundred thousand objects come in.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../time/clock.ts';
import { KUBE_SLICE_MS } from '../limits.ts';

export class WorkSlice {
  readonly #clock: Clock;
  #startedMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
  }

  /** True when `turn` is due. Called after each object; costs almost nothing. */
  isOver(): boolean {
    return this.#clock.monotonicMs() - this.#startedMs >= KUBE_SLICE_MS;
  }

  /** Runs other tasks, then starts a new slice. Throws the signal's reason if it was aborted. */
  async turn(signal: AbortSignal): Promise<void> {
    await nextTurn();
    signal.throwIfAborted();
    this.#startedMs = this.#clock.monotonicMs();
  }
}
