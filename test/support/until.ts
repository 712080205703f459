/**
 * Waiting in tests: for a condition, with a deadline, never for a time.
 */
import { setTimeout as pause } from 'node:timers/promises';

export interface UntilOptions {
  /** Defaults to 45 seconds: far above what any of the conditions needs, also on a busy machine. */
  readonly withinMs?: number;
  /** An addition to the description when the deadline passes, such as the last status seen. */
  readonly status?: () => unknown;
}

/**
 * Resolves with the first truthy answer of `probe`. A probe that throws has not answered yet.
 * When the deadline passes the error names `what`, the last answer or error, and `status`.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  options: UntilOptions = {},
): Promise<Exclude<T, undefined | null | false | 0 | ''>> {
  const { withinMs = 45_000, status } = options;
  const deadline = performance.now() + withinMs;
  let last: unknown;
  let waitMs = 1;
  for (;;) {
    try {
      const answer = await probe();
      if (answer) return answer as Exclude<T, undefined | null | false | 0 | ''>;
      last = answer;
    } catch (thrown) {
      last = thrown;
    }
    if (performance.now() >= deadline) {
      const seen = status === undefined ? '' : `; status: ${text(status())}`;
      throw new Error(`not within ${withinMs} ms: ${what}; last answer: ${text(last)}${seen}`);
    }
    await pause(waitMs);
    waitMs = Math.min(waitMs * 2, 25);
  }
}

/** The promise's outcome, or an error naming `what` when there is none in time. */
export async function within<T>(what: string, promise: Promise<T>, withinMs = 45_000): Promise<T> {
  const giveUp = new AbortController();
  const late = pause(withinMs, undefined, { signal: giveUp.signal }).then(() => {
    throw new Error(`not within ${withinMs} ms: ${what}`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    late.catch(() => undefined);
    giveUp.abort();
  }
}

function text(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part)) ?? String(value);
}
