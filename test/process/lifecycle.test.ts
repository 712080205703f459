import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type Child, startChild } from '../support/processes/child.ts';
import { until } from '../support/until.ts';

const fixture = fileURLToPath(new URL('./lifecycle-daemon.ts', import.meta.url));

function daemon(behaviour: string, shutdownTimeoutMs = 60_000): Child {
  return startChild(process.execPath, [fixture, behaviour, String(shutdownTimeoutMs)]);
}

/** Each line of the log; throws where one is not JSON. */
function lines(log: string): { level: string; msg: string; code?: string; err?: { stack: string } }[] {
  return log
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const isUp = (child: Child) => until('the daemon is up', () => child.stderrSoFar.includes('"up"'));

test.each(['SIGTERM', 'SIGINT'] as const)('%s ends a daemon that stops with status 0', async (signal) => {
  await using child = daemon('stops');
  await isUp(child);
  child.kill(signal);
  const { status, stderr } = await child.outcome;
  expect(lines(stderr).map(({ msg }) => msg)).toEqual(['up', 'stopping', 'stopped']);
  expect(status).toBe(0);
});

test('a daemon that rejects with the reason of the stop has stopped cleanly', async () => {
  await using child = daemon('stops with the reason');
  await isUp(child);
  child.kill('SIGTERM');
  expect((await child.outcome).status).toBe(0);
});

test('a failure while stopping is reported by the status', async () => {
  await using child = daemon('fails to stop');
  await isUp(child);
  child.kill('SIGTERM');
  const { status, stderr } = await child.outcome;
  expect(status).toBe(255);
  expect(lines(stderr).at(-1)).toMatchObject({ level: 'fatal', msg: 'the lease could not be released' });
});

test('a daemon that does not stop is ended when its time is over', async () => {
  await using child = daemon('ignores the signal', 50);
  await isUp(child);
  child.kill('SIGTERM');
  const { status, stderr } = await child.outcome;
  expect(status).toBe(255);
  expect(lines(stderr).at(-1)?.msg).toBe('shutdown timed out; exiting immediately');
});

test('a second signal does not wait', async () => {
  await using child = daemon('ignores the signal');
  await isUp(child);
  child.kill('SIGTERM');
  await until('the first signal has arrived', () => child.stderrSoFar.includes('stopping'));
  child.kill('SIGINT');
  expect((await child.outcome).status).toBe(130);
});

test('a daemon that ends unasked has failed', async () => {
  await using child = daemon('ends');
  const { status, stderr } = await child.outcome;
  expect(status).toBe(255);
  expect(lines(stderr).at(-1)).toMatchObject({ level: 'fatal', msg: 'exited unexpectedly' });
});

test('an error of ours is one line without a stack', async () => {
  await using child = daemon('fails');
  const { status, stderr } = await child.outcome;
  expect(status).toBe(255);
  const last = lines(stderr).at(-1);
  expect(last).toMatchObject({ level: 'fatal', code: 'FIXTURE', msg: 'flag --health-port: the port is in use' });
  expect(last?.err).toBeUndefined();
});

test('fault 42: a mistake in the program is one line with its stack', async () => {
  await using child = daemon('breaks');
  const { status, stderr } = await child.outcome;
  expect(status).toBe(255);
  expect(lines(stderr)).toHaveLength(2);
  expect(lines(stderr).at(-1)?.err?.stack).toContain('lifecycle-daemon.ts');
});

test.each([
  ['throws elsewhere', 'uncaught on purpose'],
  ['rejects elsewhere', 'not awaited on purpose'],
])('an error that %s ends the process with one line', async (behaviour, message) => {
  await using child = daemon(behaviour);
  const { status, stderr } = await child.outcome;
  expect(status).toBe(255);
  expect(lines(stderr).slice(1)).toMatchObject([{ level: 'fatal', msg: message }]);
});
