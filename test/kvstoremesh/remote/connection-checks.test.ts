import { describe, expect, test } from 'vitest';
import { ConnectionLostError, SourceReplacedError } from '../../../src/kvstoremesh/errors.ts';
import { RemoteBounds } from '../../../src/kvstoremesh/mirror/bounds.ts';
import { CanaryGate, CanaryStage } from '../../../src/kvstoremesh/mirror/canary-gate.ts';
import { Quota } from '../../../src/kvstoremesh/mirror/quota.ts';
import {
  ConfigChanges,
  clusterConfigReadings,
  READINGS_TIMING,
} from '../../../src/kvstoremesh/remote/cluster-config-readings.ts';
import { checkHeartbeat, Heartbeat } from '../../../src/kvstoremesh/remote/heartbeat-check.ts';
import { ClusterChangedError, PermissionDeniedError, UnavailableError } from '../../../src/shared/etcd/errors.ts';
import { HEARTBEAT_KEY } from '../../../src/shared/etcd/keyspace.ts';
import { type KeyValue, keyOf } from '../../../src/shared/etcd/types.ts';
import type { Clock } from '../../../src/shared/time/clock.ts';
import { ManualClock } from '../../support/clocks.ts';
import { keyValue, scriptedClient } from '../scripted-client.ts';

describe('the readings of a cluster config', () => {
  /** Answers the reads with `answers` in turn, the last one for ever. */
  function readings(answers: readonly (string | undefined | Error)[], remotes = 1) {
    const clock = new ManualClock();
    const stop = new AbortController();
    let reads = 0;
    const client = scriptedClient({
      get: (key) => {
        const answer = answers[Math.min(reads, answers.length - 1)];
        reads += 1;
        if (answer instanceof Error) return Promise.reject(answer);
        return Promise.resolve(answer === undefined ? undefined : keyValue(key, answer));
      },
    });
    const seen: string[] = [];
    const changes = new ConfigChanges();
    const found: boolean[] = [];
    const onRead = (isFound: boolean) => found.push(isFound);
    const options = { client, cluster: 'berlin', timing: READINGS_TIMING, changes, remotes: () => remotes, onRead };
    const ended = (async () => {
      try {
        for await (const reading of clusterConfigReadings({ ...options, clock, signal: stop.signal })) {
          seen.push(reading.kind === 'present' ? `id ${reading.config.id}` : reading.reason);
        }
        return undefined;
      } catch (thrown) {
        return thrown;
      }
    })();
    return { clock, stop, seen, found, ended, changes, reads: () => reads };
  }

  test('yield only changes', async () => {
    const { clock, stop, seen } = readings(['{"id":7}', '{"id":7}', undefined, undefined, '{"id":8}', 'x']);
    await clock.advance(60_000);
    expect(seen).toEqual([
      'id 7',
      expect.stringMatching(/^the remote has no cilium\/cluster-config\/berlin; check/),
      'id 8',
      'the cluster config is not JSON',
    ]);
    stop.abort();
    await clock.advance(0);
    expect(clock.sleeping).toBe(0);
  });

  test('report for each read whether it succeeded', async () => {
    const { clock, stop, found } = readings(['{"id":7}', '{"id":7}', undefined, 'x', new UnavailableError('away'), '{"id":8}']);
    await clock.advance(20_000);
    expect(found.slice(0, 6)).toEqual([true, true, false, false, false, true]);
    stop.abort();
    await clock.advance(0);
  });

  test('come at once after a change, but not more often than they should', async () => {
    const { clock, seen, changes, reads } = readings(['{"id":7}', '{"id":8}', '{"id":9}']);
    await clock.advance(1_000);
    expect(seen).toEqual(['id 7']);
    changes.upsert();
    await clock.advance(0);
    expect(seen).toEqual(['id 7', 'id 8']);
    for (let i = 0; i < 100; i += 1) {
      changes.remove();
      await clock.advance(10);
    }
    expect(seen).toEqual(['id 7', 'id 8', 'id 9']);
    expect(reads()).toBeLessThanOrEqual(4);
  });

  test('report a denied read with its remedy, and count it as a response', async () => {
    const { clock, seen } = readings([new PermissionDeniedError()]);
    await clock.advance(600_000);
    expect(seen).toEqual([expect.stringMatching(/^the remote does not permit reading .*which client certificate/)]);
  });

  test('survive a short silence, and end with a long one', async () => {
    const away = new UnavailableError('gone');
    const { clock, seen, ended } = readings(['{"id":7}', away, away, away, '{"id":7}', away]);
    await clock.advance(20_000);
    expect(seen).toEqual(['id 7']);
    await clock.advance(60_000);
    expect(await ended).toBeInstanceOf(ConnectionLostError);
  });

  test('are fewer in a mesh of many remotes, but a silence ends them as soon', async () => {
    const away = new UnavailableError('gone');
    const { clock, ended, reads, changes } = readings(['{"id":7}', '{"id":7}', '{"id":7}', '{"id":7}', '{"id":7}', away], 511);
    await clock.advance(60_000);
    expect(reads()).toBe(4);
    changes.upsert();
    await clock.advance(0);
    expect(reads()).toBe(5);
    await clock.advance(15_400);
    expect(reads()).toBe(6);
    await clock.advance(8_000);
    expect(await Promise.race([ended, Promise.resolve('still reading')])).toBe('still reading');
    await clock.advance(3_000);
    expect(await ended).toBeInstanceOf(ConnectionLostError);
  });

  test('end at once when another store answers', async () => {
    const { clock, ended } = readings(['{"id":7}', new ClusterChangedError(1n, 2n)]);
    await clock.advance(5_000);
    expect(await ended).toBeInstanceOf(SourceReplacedError);
  });
});

describe('the check of a heartbeat', () => {
  function check(stored: () => KeyValue | undefined | Error, slept = (ms: number) => ms) {
    const clock = new ManualClock();
    const sleeping: Clock = {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      sleep: (ms, signal) => clock.sleep(slept(ms), signal),
    };
    const stop = new AbortController();
    const heartbeat = new Heartbeat(clock);
    const said: string[] = [];
    const client = scriptedClient({
      get: () => {
        const answer = stored();
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
    });
    const ended = checkHeartbeat({
      client,
      heartbeat,
      clock: sleeping,
      signal: stop.signal,
      onSilent: () => void said.push('silent'),
      onBeating: () => void said.push('beating'),
    }).catch((thrown: unknown) => thrown);
    return { clock, stop, heartbeat, said, ended };
  }

  test('ends a connection whose events are lost', async () => {
    const { clock, ended, said } = check(() => keyValue(HEARTBEAT_KEY, String(Date.now())));
    await clock.advance(200_000);
    expect(await ended).toBeInstanceOf(ConnectionLostError);
    expect(said).toEqual([]);
  });

  test.each<[string, KeyValue | undefined]>([
    ['that is no longer written', keyValue(HEARTBEAT_KEY, 'then')],
    ['that was never written', undefined],
  ])('report one %s every two minutes, and keep the connection', async (_, stored) => {
    const { clock, stop, heartbeat, said, ended } = check(() => stored);
    if (stored !== undefined) heartbeat.upsert(stored.key, stored.value);
    await clock.advance(365_000);
    expect(said).toEqual(['silent', 'silent', 'silent']);
    heartbeat.upsert(HEARTBEAT_KEY, Buffer.from('now'));
    await clock.advance(120_000);
    expect(said.slice(3)).toEqual(['beating']);
    const reason = new Error('stopped');
    stop.abort(reason);
    expect(await ended).toBe(reason);
  });

  test('takes a sleep that ends a moment early for no sign of life', async () => {
    const { clock, stop, said, ended } = check(
      () => undefined,
      (ms) => ms - 0.5,
    );
    await clock.advance(600_000);
    expect(new Set(said)).toEqual(new Set(['silent']));
    stop.abort();
    await ended;
  });

  test('report nothing for one that arrives, arrives late, or cannot be read', async () => {
    let answer: KeyValue | Error = keyValue(HEARTBEAT_KEY, 'late');
    const { clock, heartbeat, said, stop } = check(() => answer);
    await clock.advance(121_000);
    heartbeat.upsert(HEARTBEAT_KEY, Buffer.from('late'));
    await clock.advance(60_000);
    answer = new UnavailableError('gone');
    await clock.advance(600_000);
    expect(said).toEqual([]);
    stop.abort();
    await clock.advance(0);
    expect(clock.sleeping).toBe(0);
  });
});

describe('a gate of canaries', () => {
  const canary = keyOf('cilium/synced/berlin/cilium/state/nodes/v1');
  const never = new AbortController().signal;

  test('opens for those who wait and for those who come later', async () => {
    const gate = new CanaryGate([canary]);
    const limits = { keys: 0, bytes: 0, 'key-size': 0, 'value-size': 0, 'change-rate': 0 };
    const bounds = new RemoteBounds(limits, new ManualClock());
    const quota = new Quota({ bounds, held: () => ({ keys: 0, bytes: 0 }), onExceeded: () => undefined });
    const stage = new CanaryStage({ gate, prefixBytes: 0, quota, part: quota.part() });
    const waiting = gate.open(canary, never);
    stage.upsert(keyOf('cilium/synced/berlin/other'), Buffer.from('1'));
    stage.upsert(canary, Buffer.from('1'));
    await waiting;
    stage.remove();
    await gate.open(canary, never);
  });

  test('stays closed until it is cancelled', async () => {
    const stop = new AbortController();
    const gate = new CanaryGate([canary]);
    const waiting = gate.open(canary, stop.signal);
    const reason = new Error('stopped');
    stop.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(gate.open(canary, stop.signal)).rejects.toBe(reason);
  });
});
