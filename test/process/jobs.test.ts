import { expect, test } from 'vitest';
import { JobEndedError, JobGroup } from '../../src/shared/process/jobs.ts';
import { silentLogger } from '../../src/shared/process/log.ts';

const setup = () => {
  const stop = new AbortController();
  return { stop, jobs: new JobGroup({ signal: stop.signal, log: silentLogger }) };
};

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

test('the group is done when it was stopped and every job has ended', async () => {
  const { stop, jobs } = setup();
  const ended: string[] = [];
  for (const name of ['reflector', 'publisher']) {
    jobs.startJob(name, async (signal) => {
      await aborted(signal);
      ended.push(name);
    });
  }
  stop.abort();
  await jobs.done();
  expect(ended).toEqual(['reflector', 'publisher']);
});

test('a job that fails stops the others and names itself', async () => {
  const { jobs } = setup();
  let otherEnded = false;
  jobs.startJob('publisher', async (signal) => {
    await aborted(signal);
    otherEnded = true;
  });
  jobs.startJob('reflector', () => Promise.reject(new RangeError('no such revision')));
  const failure = await jobs.done().catch((thrown: unknown) => thrown);
  expect(failure).toBeInstanceOf(JobEndedError);
  expect(failure).toMatchObject({ message: 'job reflector failed: no such revision', cause: expect.any(RangeError) });
  expect(otherEnded).toBe(true);
});

test('a job that ends unasked has failed', async () => {
  const { jobs } = setup();
  jobs.startJob('heartbeat', () => Promise.resolve());
  await expect(jobs.done()).rejects.toThrow('job heartbeat ended unexpectedly');
});

test('the first failure is reported', async () => {
  const { jobs } = setup();
  jobs.startJob('first', () => Promise.reject(new Error('cause')));
  jobs.startJob('second', async (signal) => {
    await aborted(signal);
    throw new Error('consequence');
  });
  await expect(jobs.done()).rejects.toThrow('job first failed: cause');
});

test('a job that throws when it is stopped has stopped', async () => {
  const { stop, jobs } = setup();
  jobs.startJob('watch', async (signal) => {
    await aborted(signal);
    throw signal.reason;
  });
  stop.abort(new Error('stopping'));
  await expect(jobs.done()).resolves.toBeUndefined();
});

test('a job may start further jobs, also while the group is stopping', async () => {
  const { stop, jobs } = setup();
  let late = false;
  jobs.startJob('parent', async (signal) => {
    jobs.startJob('child', aborted);
    await aborted(signal);
    jobs.startJob('late', async () => {
      late = true;
    });
  });
  stop.abort();
  await jobs.done();
  expect(late).toBe(false);
});
