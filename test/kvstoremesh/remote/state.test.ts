import { describe, expect, test } from 'vitest';
import type { ClusterConfig } from '../../../src/kvstoremesh/cluster-config.ts';
import {
  attemptResult,
  INITIAL_STATE,
  nextState,
  type RemoteEvent,
  type RemotePhase,
  type RemoteState,
} from '../../../src/kvstoremesh/remote/state.ts';

const config: ClusterConfig = {
  id: 7,
  syncedCanaries: true,
  cached: false,
  maxConnectedClusters: 255,
  serviceExportsEnabled: true,
  endpointSlicesExportMode: '',
};
const other: ClusterConfig = { ...config, id: 8 };
const etcdClusterId = 'cafe';

const phases: { readonly [Kind in RemotePhase['kind']]: RemotePhase } = {
  connecting: { kind: 'connecting', reason: 'refused' },
  waiting: { kind: 'waiting', etcdClusterId, reason: 'missing' },
  retrieved: { kind: 'retrieved', etcdClusterId, config },
  refused: { kind: 'refused', etcdClusterId, config, reason: 'in use' },
  mirroring: { kind: 'mirroring', etcdClusterId, config, reason: undefined },
  stopped: { kind: 'stopped', etcdClusterId, config, bound: 'keys', reason: 'too many' },
};

const events: { readonly [Kind in RemoteEvent['kind']]: RemoteEvent } = {
  connected: { kind: 'connected', etcdClusterId: 'beef' },
  absent: { kind: 'absent', reason: 'gone' },
  restored: { kind: 'restored' },
  retrieved: { kind: 'retrieved', config: other },
  refused: { kind: 'refused', config: other, reason: 'zero' },
  mirroring: { kind: 'mirroring' },
  stopped: { kind: 'stopped', bound: 'bytes', reason: 'too much' },
  silent: { kind: 'silent', nowMs: 5 },
  beating: { kind: 'beating' },
  lost: { kind: 'lost', reason: 'silent', counts: true, nowMs: 5 },
};

const newConnection: RemotePhase = { kind: 'waiting', etcdClusterId: 'beef', reason: undefined };
const waiting: RemotePhase = { kind: 'waiting', etcdClusterId, reason: 'gone' };
const retrieved: RemotePhase = { kind: 'retrieved', etcdClusterId, config: other };
const refused: RemotePhase = { kind: 'refused', etcdClusterId, config: other, reason: 'zero' };
const stopped: RemotePhase = { kind: 'stopped', etcdClusterId, config, bound: 'bytes', reason: 'too much' };
const lost: RemotePhase = { kind: 'connecting', reason: 'silent' };

type Row = Record<RemoteEvent['kind'], RemotePhase | 'same'>;

/** Of an event that does not fit a phase. */
const UNCHANGED: Row = {
  connected: newConnection,
  absent: 'same',
  restored: 'same',
  retrieved: 'same',
  refused: 'same',
  mirroring: 'same',
  stopped: 'same',
  silent: 'same',
  beating: 'same',
  lost,
};
const mirroring: RemotePhase = { kind: 'mirroring', etcdClusterId, config, reason: undefined };

/** Every phase and every event; `same` for an event that does not fit. */
const table: Record<RemotePhase['kind'], Row> = {
  connecting: UNCHANGED,
  waiting: { ...UNCHANGED, absent: waiting, retrieved, refused },
  retrieved: { ...UNCHANGED, absent: waiting, retrieved, refused, mirroring },
  refused: { ...UNCHANGED, absent: waiting, retrieved, refused },
  mirroring: {
    ...UNCHANGED,
    absent: { kind: 'mirroring', etcdClusterId, config, reason: 'gone' },
    restored: mirroring,
    retrieved,
    refused,
    stopped,
  },
  stopped: { ...UNCHANGED, retrieved, refused, mirroring, stopped },
};

describe('the state of a remote cluster', () => {
  for (const phase of Object.values(phases)) {
    test.each(Object.values(events))(`goes from ${phase.kind} by $kind according to the table`, (event) => {
      const before: RemoteState = { ...INITIAL_STATE, phase };
      const expected = table[phase.kind][event.kind];
      expect(nextState(before, event).phase).toEqual(expected === 'same' ? phase : expected);
    });
  }

  test('counts a lost connection, but neither a failed attempt nor one that was ended on purpose', () => {
    const counted = nextState(INITIAL_STATE, { kind: 'lost', reason: 'silent', counts: true, nowMs: 1_000 });
    expect(counted).toMatchObject({ failures: 1, lastFailureMs: 1_000 });
    const attempt = nextState(counted, { kind: 'lost', reason: 'refused', counts: false, nowMs: 2_000 });
    expect(attempt).toMatchObject({ failures: 1, lastFailureMs: 1_000 });
  });

  test('counts a missing heartbeat, and reports it until it returns or the connection ends', () => {
    const connected = nextState(INITIAL_STATE, events.connected);
    const silent = nextState(connected, events.silent);
    expect(silent).toMatchObject({ failures: 1, lastFailureMs: 5, isSilent: true });
    expect(nextState(silent, events.beating)).toMatchObject({ failures: 1, isSilent: false });
    expect(nextState(silent, events.lost)).toMatchObject({ failures: 2, isSilent: false });
    expect(nextState(INITIAL_STATE, events.silent)).toEqual(INITIAL_STATE);
  });

  test('remembers that the first load has begun, through every loss', () => {
    const steps: RemoteEvent[] = [events.connected, events.refused];
    const before = steps.reduce(nextState, INITIAL_STATE);
    expect(before.hasBegun).toBe(false);
    expect([events.retrieved, events.lost, events.connected].reduce(nextState, before).hasBegun).toBe(true);
  });

  test('does not wait for the first load of one that exceeds a bound, until it is mirrored again', () => {
    const stoppedState = [events.connected, events.retrieved, events.mirroring, events.stopped].reduce(nextState, INITIAL_STATE);
    expect(stoppedState).toMatchObject({ hasBegun: false, phase: { kind: 'stopped', bound: 'bytes' } });
    expect(nextState(stoppedState, events.mirroring)).toMatchObject({ hasBegun: true, phase: { kind: 'mirroring' } });
  });
});

test('an attempt to mirror ends when it is mirrored, refused, or lost before that by no wish of ours', () => {
  const results = (Object.keys(phases) as RemotePhase['kind'][]).map((phase) => {
    const ending = (Object.keys(events) as RemoteEvent['kind'][]).flatMap((kind) => {
      const result = attemptResult({ ...INITIAL_STATE, phase: phases[phase] }, events[kind]);
      return result === undefined ? [] : [`${kind}: ${result}`];
    });
    return [phase, ending.join()];
  });
  expect(Object.fromEntries(results)).toEqual({
    connecting: 'refused: false,lost: false',
    waiting: 'refused: false,lost: false',
    retrieved: 'refused: false,mirroring: true,lost: false',
    refused: 'refused: false,lost: false',
    mirroring: 'refused: false',
    stopped: 'refused: false',
  });
  expect(attemptResult(INITIAL_STATE, { kind: 'lost', reason: undefined, counts: false, nowMs: 0 })).toBeUndefined();
});
