/** Waits that end as soon as a lost connection returns. */
import { LinkedAbort } from './abort.ts';
import type { Clock } from './clock.ts';

export interface Recoverable {
  /** `listener` is called when a lost connection returns, or when a retry may succeed for another reason. Returns a function that removes it. */
  onRecovered(listener: () => void): () => void;
}

/** Resolves after `ms` with false, or with true when `recoverable` has recovered. Rejects with the signal's reason when it is aborted. */
export async function pauseUntilRecovered(
  recoverable: Recoverable,
  ms: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  signal.throwIfAborted();
  const awake = new LinkedAbort(signal);
  const forget = recoverable.onRecovered(() => awake.abort());
  try {
    await clock.sleep(ms, awake.signal);
    return false;
  } catch (thrown) {
    signal.throwIfAborted();
    if (!awake.signal.aborted) throw thrown;
    return true;
  } finally {
    forget();
    awake.abort();
  }
}
