import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ImportGuard } from '../../../src/kvstoremesh/import-guard/guard.ts';
import { destinationPrefix, MAPPINGS, sourcePrefix } from '../../../src/kvstoremesh/mappings.ts';
import { RemoteBounds } from '../../../src/kvstoremesh/mirror/bounds.ts';
import { mirrorPipeline } from '../../../src/kvstoremesh/mirror/pipeline.ts';
import { Quota } from '../../../src/kvstoremesh/mirror/quota.ts';
import { RefusedKeys } from '../../../src/kvstoremesh/mirror/refused-keys.ts';
import type { EtcdKey } from '../../../src/shared/etcd/types.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { ManualClock } from '../../support/clocks.ts';

const OWN = { name: 'harbor', id: 200, maxConnectedClusters: 255 };

const part = fc.constantFrom(
  '',
  '/',
  '//',
  '.',
  '../..',
  '..',
  '\0',
  '\xff',
  '%2e%2e',
  'oslo',
  '10.7.0.1',
  '/24',
  'fd00::1',
  '458753',
  '__proto__',
);
const own = fc.oneof(
  fc.array(part, { maxLength: 6 }).map((parts) => parts.join('')),
  fc.array(part, { maxLength: 6 }).map((parts) => parts.join('/')),
  fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array).toString('latin1')),
);
const value = fc.oneof(
  fc.constantFrom(
    '',
    '{"ID":9000}',
    '{"cluster":"oslo"}',
    '{"Cluster":"harbor","ClusterID":200}',
    '{"__proto__":{"ID":1}}',
    '[[[[',
  ),
  fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array).toString('latin1')),
);
const word = fc.record({ kind: fc.constantFrom('upsert', 'remove', 'interrupted', 'listed'), own, value });

test('for any bytes in the keys of a remote, nothing is written or removed outside of its own prefixes', () => {
  const input = fc.record({
    mapping: fc.constantFrom(...MAPPINGS),
    cached: fc.boolean(),
    mode: fc.constantFrom('off', 'warn', 'drop'),
    words: fc.array(word, { maxLength: 30 }),
    // A source that answers what was not asked for.
    foreign: fc.boolean(),
  });
  fc.assert(
    fc.property(input, ({ mapping, cached, mode, words, foreign }) => {
      const from = sourcePrefix(mapping, 'berlin', cached);
      const to = destinationPrefix(mapping, 'berlin');
      const touched: EtcdKey[] = [];
      const section = {
        options: { scope: mapping.scope, cluster: 'berlin', prefix: to, rank: 0, owns: 'prefix' as const },
        stats: { desired: 0, bytes: 0, pending: 0, listed: false, synced: false },
        upsert: (key: EtcdKey) => touched.push(key),
        remove: (key: EtcdKey) => touched.push(key),
        keep: (key: EtcdKey) => touched.push(key),
        listed: () => undefined,
        interrupted: () => undefined,
        liveBytes: () => undefined,
        flushed: () => Promise.resolve(),
        compare: () => undefined,
      };
      const guard = new ImportGuard(mode, OWN).remote('berlin', silentLogger);
      const refused = new RefusedKeys({ log: silentLogger, onRefused: () => undefined });
      const limits = { keys: 20, bytes: 1000, 'key-size': 60, 'value-size': 30, 'change-rate': 1 };
      const clock = new ManualClock();
      const bounds = new RemoteBounds(limits, clock);
      const quota = new Quota({ bounds, held: () => ({ keys: 0, bytes: 0 }), onExceeded: () => undefined });
      const { signal } = new AbortController();
      const [onListed, onPropagated] = [() => undefined, () => undefined];
      const sink = mirrorPipeline({ mapping, from, section, quota, refused, guard, clock, signal, onListed, onPropagated });
      for (const { kind, own: suffix, value: text } of words) {
        const key = `${foreign ? from.slice(0, -4) : from}${suffix}` as EtcdKey;
        if (kind === 'upsert') sink.upsert(key, Buffer.from(text, 'latin1'));
        else if (kind === 'remove') sink.remove(key);
        else if (kind === 'listed') sink.listed();
        else sink.interrupted('the place is lost');
      }
      for (const key of touched) {
        expect(key.startsWith(to) && key.length > to.length).toBe(true);
        expect(key.slice(to.length)).not.toMatch(/^\/|\/\/|\/$/);
      }
      expect(Object.hasOwn(Object.prototype, 'ID')).toBe(false);
    }),
    { numRuns: 1000 },
  );
});
