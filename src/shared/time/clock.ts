/**
 * The clock of the program, which tests can replace.
 *
 * Durations, leases and back-off use `monotonicMs`: the wall clock may jump by hours.
 * Only displayed timestamps use `nowMs`.
 *
 * A lint rule restricts timers of a variable delay to this file: a value of a flag or a file may be too long for one.
 */
export interface Clock {
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonicMs(): number;
  /**
   * Resolves after `ms` of any length; rejects with the signal's reason as soon as it is aborted. Clears its timer
   * and listener.
   */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The longest delay of a timer, 24.8 days: Node keeps it in 32 bits, and a timer with a longer one fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      };
      const dueMs = performance.now() + ms;
      const wake = () => {
        const leftMs = dueMs - performance.now();
        if (leftMs >= 1) {
          timer = setTimeout(wake, Math.min(leftMs, MAX_TIMER_MS));
          return;
        }
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      let timer = setTimeout(wake, Math.min(ms, MAX_TIMER_MS));
      signal.addEventListener('abort', onAbort, { once: true });
    }),
};

/** RFC 3339 in UTC with seconds, the form every canary and heartbeat carries. */
export function rfc3339Seconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
