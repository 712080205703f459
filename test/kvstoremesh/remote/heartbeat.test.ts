import { describe, expect, test } from 'vitest';
import { HEARTBEAT_KEY } from '../../../src/shared/etcd/keyspace.ts';
import type { EtcdKey } from '../../../src/shared/etcd/types.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { runHeartbeat } from '../../../src/shared/publisher/heartbeat.ts';
import type { SingleKeys } from '../../../src/shared/publisher/types.ts';
import { ManualClock } from '../../support/clocks.ts';

function run(confirm: (signal: AbortSignal) => Promise<void>) {
  const clock = new ManualClock();
  const stop = new AbortController();
  const written: string[] = [];
  let givenUp = 0;
  const singles: Partial<SingleKeys> = {
    put: async (key: EtcdKey, value: Uint8Array, signal: AbortSignal) => {
      expect(key).toBe(HEARTBEAT_KEY);
      written.push(Buffer.from(value).toString());
      signal.addEventListener('abort', () => {
        givenUp += 1;
      });
      await confirm(signal);
    },
  };
  const ended = runHeartbeat(singles as SingleKeys, clock, silentLogger, stop.signal);
  return { clock, stop, written, ended, givenUp: () => givenUp };
}

const never = (signal: AbortSignal) =>
  new Promise<void>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

describe('the heartbeat', () => {
  test('is written at once, then every minute, with the time', async () => {
    const { clock, stop, written, ended } = run(() => Promise.resolve());
    await clock.advance(120_000);
    expect(written).toEqual(['2026-02-03T00:00:00Z', '2026-02-03T00:01:00Z', '2026-02-03T00:02:00Z']);
    stop.abort();
    await ended;
    expect(clock.sleeping).toBe(0);
  });

  test('that is not confirmed in time fails, and the next one is on time', async () => {
    const { clock, stop, written, ended, givenUp } = run(never);
    await clock.advance(24_999);
    expect(givenUp()).toBe(0);
    await clock.advance(1);
    expect(givenUp()).toBe(1);
    await clock.advance(35_000);
    expect(written).toEqual(['2026-02-03T00:00:00Z', '2026-02-03T00:01:00Z']);
    stop.abort(new Error('stopped'));
    await ended;
    expect(clock.sleeping).toBe(0);
  });
});
