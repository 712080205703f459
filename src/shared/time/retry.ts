/** Tries again until it succeeds. */
import { errorCode } from '../errors.ts';
import type { Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import { pauseUntilRecovered, type Recoverable } from './recovery.ts';

export interface RetryOptions {
  readonly backoff: Backoff;
  readonly clock: Clock;
  /** Ends the attempts: `retry` rejects with its reason. */
  readonly signal: AbortSignal;
  /**
   * Called with what each attempt failed with, before the pause; `isNew` where its code is not that of the failure before, so that
   * a cause is logged once. What it throws ends the attempts.
   */
  readonly onFailure?: (thrown: unknown, isNew: boolean) => void;
  /** Where it recovers, the next attempt follows at once and the back-off begins again. */
  readonly recoverable?: Recoverable;
}

/** Resolves with what the first successful attempt resolves with. */
export async function retry<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { backoff, clock, signal, onFailure, recoverable } = options;
  let code: string | undefined;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (thrown) {
      signal.throwIfAborted();
      onFailure?.(thrown, errorCode(thrown) !== code);
      code = errorCode(thrown);
    }
    if (recoverable === undefined) await clock.sleep(backoff.nextMs(), signal);
    else if (await pauseUntilRecovered(recoverable, backoff.nextMs(), clock, signal)) backoff.reset();
  }
}
