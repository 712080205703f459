import { expect, test, vi } from 'vitest';
import { aborted, LinkedAbort, onAbort, unlessAborted, withDeadline } from '../../src/shared/time/abort.ts';
import { systemClock } from '../../src/shared/time/clock.ts';

const never = new Promise<never>(() => undefined);

test.each([
  ['now', () => AbortSignal.abort(new Error('gone'))],
  [
    'later',
    () => {
      const controller = new AbortController();
      setImmediate(() => controller.abort(new Error('gone')));
      return controller.signal;
    },
  ],
])('a signal that is aborted %s ends everything that depends on it', async (_, signalOf) => {
  await aborted(signalOf());
  await expect(unlessAborted(never, signalOf())).rejects.toThrow('gone');
  const linked = new LinkedAbort(signalOf());
  await aborted(linked.signal);
  expect(linked.signal.reason).toMatchObject({ message: 'gone' });
  const options = { ms: 60_000, late: () => new Error('late'), clock: systemClock, signal: signalOf() };
  await expect(withDeadline((signal) => unlessAborted(never, signal), options)).rejects.toThrow('gone');
});

test('work that ends first leaves no listener behind', async () => {
  const { signal } = new AbortController();
  const added = vi.spyOn(signal, 'addEventListener');
  const removed = vi.spyOn(signal, 'removeEventListener');
  await expect(unlessAborted(Promise.resolve(1), signal)).resolves.toBe(1);
  const options = { ms: 60_000, late: () => new Error('late'), clock: systemClock, signal };
  await expect(withDeadline(async () => 2, options)).resolves.toBe(2);
  new LinkedAbort(signal).abort();
  onAbort(signal, () => undefined)();
  expect(removed).toHaveBeenCalledTimes(added.mock.calls.length);
});

test('work that is late is aborted with the error for that', async () => {
  const options = { ms: 1, late: () => new Error('late'), clock: systemClock, signal: new AbortController().signal };
  await expect(withDeadline((signal) => unlessAborted(never, signal), options)).rejects.toThrow('late');
});

test('what aborts a linked controller does not abort its parent', () => {
  const parent = new AbortController();
  const linked = new LinkedAbort(parent.signal);
  linked.abort(new Error('own'));
  parent.abort(new Error('of the parent'));
  expect(linked.signal.reason).toMatchObject({ message: 'own' });
});
