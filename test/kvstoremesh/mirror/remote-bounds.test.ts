import fc from 'fast-check';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { AdmitStage } from '../../../src/kvstoremesh/mirror/admit.ts';
import { type BoundExceededError, RemoteBounds, type RemoteLimits, type Usage } from '../../../src/kvstoremesh/mirror/bounds.ts';
import { Quota } from '../../../src/kvstoremesh/mirror/quota.ts';
import { RefusedKeys } from '../../../src/kvstoremesh/mirror/refused-keys.ts';
import { StoreStage } from '../../../src/kvstoremesh/mirror/store.ts';
import type { Stage } from '../../../src/kvstoremesh/stage.ts';
import { type EtcdKey, keyOf } from '../../../src/shared/etcd/types.ts';
import { REMOTE_CHANGES_BURST_SECONDS } from '../../../src/shared/limits.ts';
import { collectGarbage } from '../../../src/shared/process/garbage.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { ManualClock } from '../../support/clocks.ts';

const NONE: RemoteLimits = { keys: 0, bytes: 0, 'key-size': 0, 'value-size': 0, 'change-rate': 0 };

/** A receiver that keeps the keys, like a section. */
class Held implements Stage {
  readonly values = new Map<EtcdKey, number>();
  readonly kept: EtcdKey[] = [];
  named = new Set<EtcdKey>();

  get usage(): Usage {
    let bytes = 0;
    for (const [key, value] of this.values) bytes += key.length - 2 + value;
    return { keys: this.values.size, bytes };
  }

  liveBytes(key: EtcdKey): number | undefined {
    return this.named.has(key) ? this.values.get(key) : undefined;
  }

  upsert(key: EtcdKey, value: Uint8Array): void {
    this.values.set(key, value.length);
    this.named.add(key);
  }

  keep(key: EtcdKey): void {
    this.kept.push(key);
    this.named.add(key);
  }

  remove(key: EtcdKey): void {
    this.values.delete(key);
  }

  interrupted(): void {
    this.named = new Set();
  }

  listed(): void {
    for (const key of this.values.keys()) if (!this.named.has(key)) this.values.delete(key);
  }
}

function start(limits: Partial<RemoteLimits>, clock = new ManualClock()) {
  const bounds = new RemoteBounds({ ...NONE, ...limits }, clock);
  const sections: Held[] = [];
  const held = (): Usage => ({
    keys: sections.reduce((sum, { usage }) => sum + usage.keys, 0),
    bytes: sections.reduce((sum, { usage }) => sum + usage.bytes, 0),
  });
  const stops: BoundExceededError[] = [];
  const session = () => new Quota({ bounds, held, onExceeded: (reason) => stops.push(reason) });
  const first = session();
  const kind = () => {
    const section = new Held();
    sections.push(section);
    const refusedReasons: string[] = [];
    const refused = new RefusedKeys({ log: silentLogger, onRefused: (reason) => refusedReasons.push(reason) });
    const open = (quota = session()) => {
      const part = quota.part();
      const next = new StoreStage({ section, prefixBytes: 2, quota, part, onListed: () => undefined });
      return new AdmitStage({ quota, part, refused, next });
    };
    const sink = open(first);
    const list = (names: string[], value = 'v') => {
      sink.interrupted('a listing');
      for (const name of names) sink.upsert(keyOf(`k/${name}`), Buffer.from(value));
    };
    return { held: section, sink, open, stops, refused, refusedReasons, list };
  };
  return { bounds, clock, held, session, stops, kind };
}

const names = (count: number, tag = '') => Array.from({ length: count }, (_, i) => `${tag}${i}`);

describe('the bounds of a remote', () => {
  test('let it have exactly as many keys as allowed, of all kinds together, and change them', () => {
    const { bounds, held, kind } = start({ keys: 5 });
    const [a, b] = [kind(), kind()];
    a.list(names(3));
    a.sink.listed();
    b.list(names(2));
    b.sink.listed();
    a.sink.upsert(keyOf('k/0'), Buffer.from('changed'));
    expect(held().keys).toBe(5);
    expect([...a.stops, ...b.stops]).toEqual([]);
    b.sink.upsert(keyOf('k/one-more'), Buffer.from('v'));
    expect(b.stops.map(({ bound }) => bound)).toEqual(['keys']);
    expect(b.held.values.size).toBe(2);
    expect(bounds.exceeded('keys')).toBe(1);
  });

  test('count bytes of own parts and values, and what a value had before', () => {
    const { held, kind } = start({ bytes: 10 });
    const a = kind();
    a.list(['x'], 'four');
    a.sink.listed();
    expect(held().bytes).toBe(5);
    a.sink.upsert(keyOf('k/x'), Buffer.from('nine long'));
    expect(a.stops).toEqual([]);
    a.sink.upsert(keyOf('k/x'), Buffer.from('now it is ten'));
    expect(a.stops.map(({ bound }) => bound)).toEqual(['bytes']);
    expect(a.held.usage.bytes).toBe(10);
  });

  test('let nothing pass after a bound was exceeded, not even the end of the listing', () => {
    const { kind } = start({ keys: 3 });
    const a = kind();
    a.list(names(3));
    a.sink.listed();
    a.list(names(9, 'other'));
    a.sink.listed();
    a.sink.remove(keyOf('k/0'));
    expect(a.stops.length).toBe(1);
    expect(a.held.values.has(keyOf('k/0'))).toBe(true);
  });

  test('do not take a remote that has replaced all of its keys for one with twice as many', () => {
    const { kind } = start({ keys: 4 });
    const a = kind();
    a.list(names(4));
    a.sink.listed();
    a.list(names(4, 'new'));
    a.sink.listed();
    expect(a.stops).toEqual([]);
    expect(a.held.usage.keys).toBe(4);
  });

  test('are exceeded by what a listing announces before it names a key', () => {
    const { kind } = start({ keys: 4 });
    const a = kind();
    a.sink.interrupted('a listing');
    a.sink.announced(5);
    a.sink.upsert(keyOf('k/0'), Buffer.from('v'));
    expect(a.stops.map(({ bound }) => bound)).toEqual(['keys']);
    expect(a.held.values.size).toBe(0);
  });

  test('end listings that break off again and again, each with other keys, at twice what is allowed', () => {
    const { held, kind } = start({ keys: 10 });
    const a = kind();
    for (let round = 0; round < 20; round += 1) {
      const sink = a.open();
      sink.interrupted('a listing');
      for (let page = 0; page < 5; page += 1) {
        sink.announced(10);
        for (const name of names(2, `${round}-${page}-`)) sink.upsert(keyOf(`k/${name}`), Buffer.from('v'));
      }
      expect(held().keys).toBeLessThanOrEqual(22);
    }
    expect(a.held.usage.keys).toBeLessThanOrEqual(22);
    expect(a.stops.length).toBeGreaterThan(0);
  });

  test('lowered below what is held let it be withdrawn, but do not let it be exceeded by more than the new limit', () => {
    const { bounds, held, kind } = start({ keys: 40 });
    const [a, b] = [kind(), kind()];
    a.list(names(20));
    a.sink.listed();
    b.list(names(20));
    b.sink.listed();
    bounds.setOwn({ keys: 5, bytes: undefined, 'change-rate': undefined }, held());
    for (let round = 0; round < 20; round += 1) {
      const sink = a.open();
      sink.interrupted('a listing');
      sink.announced(5);
      for (const name of names(5, `${round}-`)) sink.upsert(keyOf(`k/${name}`), Buffer.from('v'));
      if (round === 0) expect(a.stops).toEqual([]);
    }
    expect(a.stops.length).toBeGreaterThan(0);
    expect(held().keys).toBeLessThanOrEqual(50);
  });

  test('count what was held before they were lowered no longer once it was withdrawn', () => {
    const { bounds, held, kind } = start({ keys: 40 });
    const a = kind();
    a.list(names(40));
    a.sink.listed();
    bounds.setOwn({ keys: 5, bytes: undefined, 'change-rate': undefined }, held());
    let sink = a.open();
    sink.interrupted('a listing');
    sink.announced(5);
    for (const name of names(5)) sink.upsert(keyOf(`k/${name}`), Buffer.from('v'));
    sink.listed();
    expect(held().keys).toBe(5);
    for (let round = 0; round < 20; round += 1) {
      sink = a.open();
      sink.interrupted('a listing');
      sink.announced(5);
      for (const name of names(5, `${round}-`)) sink.upsert(keyOf(`k/${name}`), Buffer.from('v'));
    }
    expect(held().keys).toBeLessThanOrEqual(15);
  });

  test('skip a key or a value that is too large, keep the last valid value, and report it until it is corrected', () => {
    const { bounds, kind } = start({ 'key-size': 8, 'value-size': 4 });
    const a = kind();
    a.list(['good', 'too-long-a-name'], 'v');
    a.sink.listed();
    expect(a.refused.problem).toMatch(/too-long-a-name.*not mirrored.*--remote-max-key-size/);
    a.sink.remove(keyOf('k/too-long-a-name'));
    expect(a.refused.problem).toBeUndefined();
    a.sink.upsert(keyOf('k/good'), Buffer.from('large'));
    expect(a.refused.problem).toMatch(/good.*its value 5.*--remote-max-value-size/);
    expect(a.held.values).toEqual(new Map([['k/good', 1]]));
    expect(a.held.kept).toEqual(['k/good']);
    a.sink.upsert(keyOf('k/good'), Buffer.from('four'));
    expect(a.refused.problem).toBeUndefined();
    expect(a.refusedReasons).toEqual(['key_too_large', 'value_too_large']);
    expect([bounds.exceeded('key-size'), bounds.exceeded('value-size')]).toEqual([1, 1]);
    expect(a.stops).toEqual([]);
  });

  test('count a key whose value is too large and which may be there from an earlier run', () => {
    const { kind } = start({ keys: 2, 'value-size': 4 });
    const a = kind();
    for (const name of names(3)) a.held.values.set(keyOf(`k/${name}`), 1);
    a.list(names(3), 'large');
    expect(a.stops.map(({ bound }) => bound)).toEqual(['keys']);
    expect(a.held.kept).toEqual(['k/0', 'k/1']);
  });

  test('let a burst of changes pass that a restart makes, but not a storm; time gives back what it took', async () => {
    const { clock, kind } = start({ 'change-rate': 10 });
    const burst = 10 * REMOTE_CHANGES_BURST_SECONDS;
    const a = kind();
    a.list(names(burst * 2));
    a.sink.listed();
    for (let i = 0; i < burst; i += 1) a.sink.upsert(keyOf('k/0'), Buffer.from(String(i)));
    expect(a.stops).toEqual([]);
    await clock.advance(1_000);
    for (let i = 0; i < 10; i += 1) a.sink.remove(keyOf(`k/${i}`));
    expect(a.stops).toEqual([]);
    a.sink.remove(keyOf('k/10'));
    expect(a.stops.map(({ bound }) => bound)).toEqual(['change-rate']);
    expect(a.held.values.has(keyOf('k/10'))).toBe(true);
  });
});

test('keys that are refused for their size are remembered, not held', () => {
  const logged: string[] = [];
  const log = pino({}, { write: (line: string) => void logged.push(line) });
  const refused = new RefusedKeys({ log, onRefused: () => undefined });
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const huge = (index: number) => keyOf(`k/${String(index).padStart(512 * 1024, 'x')}`);
  for (let index = 0; index < 200; index += 1) refused.refuse(huge(index), 1, 'key-size');
  collectGarbage();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(20 * 1024 * 1024);
  expect(refused.problem).toMatch(/^key k\/xxx.*… .*; 199 other keys are not mirrored$/);
  expect(Math.max(...logged.map(({ length }) => length))).toBeLessThan(1000);
  for (let index = 0; index < 200; index += 1) refused.forget(huge(index));
  expect(refused.problem).toBeUndefined();
});

const KINDS = [0, 1, 2] as const;
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'] as const;
const LIMITS = { keys: 7, bytes: 45 };

type Step =
  | { readonly step: 'put'; readonly kind: number; readonly name: string; readonly size: number }
  | { readonly step: 'remove'; readonly kind: number; readonly name: string }
  | { readonly step: 'remove all' | 'list again' | 'break a listing' | 'toggle'; readonly kind: number };

const kindOf = fc.constantFrom(...KINDS);
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ step: fc.constant('put'), kind: kindOf, name: fc.constantFrom(...NAMES), size: fc.nat(12) }),
  },
  { weight: 3, arbitrary: fc.record({ step: fc.constant('remove'), kind: kindOf, name: fc.constantFrom(...NAMES) }) },
  {
    weight: 3,
    arbitrary: fc.record({ step: fc.constantFrom('remove all', 'list again', 'break a listing', 'toggle'), kind: kindOf }),
  },
);

/** A remote with three kinds, with the changes `history` delivered over sessions. */
function follow(history: readonly Step[]): void {
  const { kind, session, stops } = start(LIMITS);
  const mirrors = KINDS.map(() => ({ ...kind(), remote: new Map<string, number>(), enabled: true }));
  const sinks = mirrors.map(({ open }) => open());
  const stopped = () => stops.length > 0;
  const upsert = (at: number, name: string, size: number) => sinks[at]?.upsert(keyOf(`k/${name}`), Buffer.alloc(size));
  const isTooMuch = () => {
    const live = mirrors.filter(({ enabled }) => enabled).flatMap(({ remote }) => [...remote.values()]);
    return live.length > LIMITS.keys || live.reduce((sum, size) => sum + 1 + size, 0) > LIMITS.bytes;
  };
  const list = (at: number, count = Number.POSITIVE_INFINITY) => {
    const { remote } = mirrors[at] as (typeof mirrors)[number];
    sinks[at]?.interrupted('a listing');
    sinks[at]?.announced(remote.size);
    for (const [name, size] of [...remote].slice(0, count)) upsert(at, name, size);
    if (count >= remote.size) sinks[at]?.listed();
  };
  const connect = () => {
    stops.length = 0;
    const quota = session();
    for (const [at, { enabled, held, open }] of mirrors.entries()) {
      if (enabled) sinks[at] = open(quota);
      else held.values.clear();
    }
    for (const [at, { enabled }] of mirrors.entries()) if (enabled) list(at);
  };
  const change = (step: Step) => {
    const mirror = mirrors[step.kind] as (typeof mirrors)[number];
    const { remote, enabled } = mirror;
    const sink = sinks[step.kind];
    if (step.step === 'put') {
      remote.set(step.name, step.size);
      if (enabled) upsert(step.kind, step.name, step.size);
    } else if (step.step === 'remove' || step.step === 'remove all') {
      for (const name of step.step === 'remove' ? [step.name] : [...remote.keys()]) {
        remote.delete(name);
        if (enabled) sink?.remove(keyOf(`k/${name}`));
      }
    } else if (step.step === 'toggle') {
      mirror.enabled = !enabled;
      connect();
    } else if (enabled) {
      if (step.step === 'break a listing') list(step.kind, remote.size - 1);
      list(step.kind);
    }
  };
  connect();
  for (const step of history) {
    change(step);
    expect(stopped(), JSON.stringify(step)).toBe(isTooMuch());
    if (!stopped()) continue;
    // It is tried again in vain, until the remote has become smaller.
    connect();
    expect(stopped()).toBe(true);
    for (const { remote } of mirrors) while (isTooMuch() && remote.size > 0) remote.delete([...remote.keys()][0] as string);
    connect();
    expect(stopped(), 'after it has become smaller').toBe(false);
  }
}

test('a remote is stopped exactly when its live keys exceed a limit, after any history', () => {
  const parameters = { numRuns: 500, verbose: true };
  fc.assert(fc.property(fc.array(steps, { maxLength: 60 }), follow), parameters);
});
