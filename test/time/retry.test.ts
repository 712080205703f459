import { expect, test } from 'vitest';
import { ProgramError } from '../../src/shared/errors.ts';
import { Backoff } from '../../src/shared/time/backoff.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { retry } from '../../src/shared/time/retry.ts';

class Failure extends ProgramError {
  readonly code: string;
  readonly retriable = true;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

const failure = (code: string) => new Failure(code);

function attempts(...outcomes: (string | Error)[]) {
  const rest = [...outcomes];
  return async () => {
    const next = rest.shift() as string | Error;
    if (typeof next !== 'string') throw next;
    return next;
  };
}

const options = () => ({
  backoff: new Backoff({ minMs: 1, maxMs: 2 }),
  clock: systemClock,
  signal: new AbortController().signal,
});

test('tries again until it succeeds, and reports each cause once', async () => {
  const seen: (readonly [unknown, boolean])[] = [];
  const onFailure = (thrown: unknown, isNew: boolean) => seen.push([thrown, isNew]);
  const [a, b] = [failure('A'), failure('B')];
  await expect(retry(attempts(a, a, b, a, 'done'), { ...options(), onFailure })).resolves.toBe('done');
  expect(seen).toEqual([
    [a, true],
    [a, false],
    [b, true],
    [a, true],
  ]);
});

test('ends with what the listener throws', async () => {
  const onFailure = (thrown: unknown) => {
    throw thrown;
  };
  await expect(retry(attempts(failure('A'), 'never'), { ...options(), onFailure })).rejects.toThrow('A');
});

test('ends with the reason of the signal, in an attempt and in a pause', async () => {
  const controller = new AbortController();
  const { backoff, clock } = { ...options(), backoff: new Backoff({ minMs: 60_000, maxMs: 60_000 }) };
  const onFailure = () => void setImmediate(() => controller.abort(new Error('stopped')));
  await expect(retry(attempts(failure('A')), { backoff, clock, signal: controller.signal, onFailure })).rejects.toThrow(
    'stopped',
  );
  await expect(retry(attempts('never'), { backoff, clock, signal: controller.signal })).rejects.toThrow('stopped');
});

test('what recovers shortens the pause', async () => {
  let recover: () => void = () => undefined;
  const recoverable = {
    onRecovered: (listener: () => void) => {
      recover = listener;
      return () => undefined;
    },
  };
  const backoff = new Backoff({ minMs: 3_600_000, maxMs: 3_600_000 });
  const onFailure = () => void setImmediate(() => recover());
  await expect(retry(attempts(failure('A'), 'done'), { ...options(), backoff, recoverable, onFailure })).resolves.toBe('done');
});
