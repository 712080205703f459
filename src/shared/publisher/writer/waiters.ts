/** Promises that wait for one event, each until its own signal is aborted. */
export interface Waiters {
  wait(signal: AbortSignal): Promise<void>;
  /** Resolves all promises that wait now. */
  wake(): void;
}

export function waiters(): Waiters {
  const waiting = new Set<() => void>();
  return {
    wait: (signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) {
          reject(signal.reason as Error);
          return;
        }
        const onAbort = () => {
          waiting.delete(onWake);
          reject(signal.reason as Error);
        };
        const onWake = () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        };
        waiting.add(onWake);
        signal.addEventListener('abort', onAbort, { once: true });
      }),
    wake: () => {
      const all = [...waiting];
      waiting.clear();
      for (const onWake of all) onWake();
    },
  };
}

/**
 * Resolves when `begin` calls back, rejects when `signal` is aborted first. The function that `begin` returns cancels the wait;
 * it is called in either case.
 */
export async function calledBack(begin: (wake: () => void) => () => void, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const waiting = waiters();
  let isCalled = false;
  const giveUp = begin(() => {
    isCalled = true;
    waiting.wake();
  });
  // Often it is at once, and then there is no need to listen to the signal.
  if (isCalled) giveUp();
  else await waiting.wait(signal).finally(giveUp);
}
