import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ScopeEnded, TaskScope } from '../../src/shared/process/task-scope.ts';

const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

describe('a scope', () => {
  test('ends all of its tasks when one fails, for that reason, and waits for them', async () => {
    const scope = new TaskScope(new AbortController().signal);
    const failure = new Error('failed');
    let hasEnded = false;
    scope.run(async (signal) => {
      await untilAborted(signal).catch(() => undefined);
      await pause(5);
      hasEnded = true;
    });
    scope.run(() => Promise.reject(failure));
    expect(await scope.ended()).toBe(failure);
    expect(hasEnded).toBe(true);
  });

  test('continues when a task is done', async () => {
    const scope = new TaskScope(new AbortController().signal);
    scope.run(() => Promise.resolve());
    await pause(1);
    expect(scope.signal.aborted).toBe(false);
    await scope.end();
    expect(await scope.ended()).toBeInstanceOf(ScopeEnded);
  });

  test('ends with its parent, and leaves nothing behind at it', async () => {
    const parent = new AbortController();
    const reason = new Error('stopped');
    const scope = new TaskScope(parent.signal);
    scope.run(untilAborted);
    parent.abort(reason);
    expect(await scope.ended()).toBe(reason);
    expect(await new TaskScope(parent.signal).ended()).toBe(reason);
  });

  test('keeps the first reason', async () => {
    const scope = new TaskScope(new AbortController().signal);
    scope.abort(new Error('first'));
    scope.abort(new Error('second'));
    expect((await scope.ended()).message).toBe('first');
  });
});
