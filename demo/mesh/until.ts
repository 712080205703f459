/** Waiting for a condition with a deadline. */
import { setTimeout as pause } from 'node:timers/promises';
import { asError } from '../../src/shared/errors.ts';
import { NotInTimeError } from './errors.ts';

/** Far above what anything here needs, also on a busy machine. */
export const PATIENCE_MS = 60_000;

const POLL_MS = 25;

export interface UntilOptions {
  readonly signal: AbortSignal;
  readonly withinMs?: number;
}

/**
 * Calls `problem` repeatedly until it returns none; resolves with the milliseconds that took. A
 * probe that throws is a problem too. Throws NotInTimeError with the last problem after the deadline,
 * and the signal's reason when it is aborted.
 */
export async function until(problem: () => Promise<string | undefined>, options: UntilOptions): Promise<number> {
  const { signal, withinMs = PATIENCE_MS } = options;
  const startMs = performance.now();
  for (;;) {
    signal.throwIfAborted();
    const left = await problem().catch(reasonOf);
    const tookMs = performance.now() - startMs;
    if (left === undefined) return tookMs;
    if (tookMs >= withinMs) throw new NotInTimeError(`not within ${Math.round(withinMs / 1000)} s: ${left}`);
    await pause(POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** What `fetch` throws names the reason in its cause only. */
function reasonOf(thrown: unknown): string {
  const { message, cause } = asError(thrown);
  return cause === undefined ? message : `${message}: ${asError(cause).message}`;
}
