/**
 * The order in which the kinds of one remote lose what the policy withdraws: that of a load reversed, services first, then
 * endpoints, then identities and nodes. An identity is there as long as an endpoint that uses it.
 *
 * A kind has its turn when the kinds before it are complete and the local etcd has confirmed that. A kind that cannot be read
 * delays the others for a while only.
 */
import { onAbort } from '../../shared/time/abort.ts';
import type { Clock } from '../../shared/time/clock.ts';
import type { Mapping } from '../mappings.ts';
import { WITHDRAWAL_ORDER_MS } from './limits.ts';

export class WithdrawalOrder {
  readonly #clock: Clock;
  readonly #left: Set<Mapping>;
  readonly #waiting = new Set<() => void>();

  constructor(kinds: readonly Mapping[], clock: Clock) {
    this.#clock = clock;
    this.#left = new Set(kinds);
  }

  /** Resolves when the turn of `kind` has come; rejects when `signal` is aborted first. */
  async turn(kind: Mapping, signal: AbortSignal): Promise<void> {
    if (!this.#isBehind(kind)) return;
    const late = this.#clock.sleep(WITHDRAWAL_ORDER_MS, signal);
    await Promise.race([late, this.#changed(kind, signal)]);
    signal.throwIfAborted();
  }

  /** Everything that `kind` loses is gone. */
  done(kind: Mapping): void {
    this.#left.delete(kind);
    for (const wake of [...this.#waiting]) wake();
  }

  #isBehind({ rank }: Mapping): boolean {
    return [...this.#left].some((other) => other.rank > rank);
  }

  #changed(kind: Mapping, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        if (!signal.aborted && this.#isBehind(kind)) return;
        this.#waiting.delete(wake);
        unlink();
        resolve();
      };
      const unlink = onAbort(signal, wake);
      this.#waiting.add(wake);
    });
  }
}
