/**
 * Audits that read many sections with one list. Their watch on deletions is blind here, so that only audits find anything.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type EtcdClient, type EtcdKey, keyOf, NO_LEASE, type TxnOperation } from '../../src/shared/etcd/types.ts';
import { MAX_SHARED_AUDIT_KEYS } from '../../src/shared/limits.ts';
import { sharedRanges } from '../../src/shared/publisher/audit-ranges.ts';
import type { Publisher, Section } from '../../src/shared/publisher/types.ts';
import { bytes, listAll } from '../support/etcd/etcd-client.ts';
import { until } from '../support/until.ts';
import { type Meddling, startMeddled } from './meddling.ts';
import { publisherFixture, signal, sync } from './publisher-fixture.ts';

const fixture = publisherFixture();

/** As the mirror has them: those of identities have one part more. */
const prefixOf = (cluster: string, kind = 'nodes') =>
  keyOf(`cilium/cache/${kind}/v1/${cluster}/${kind === 'identities' ? 'id/' : ''}`);

/** A publisher without events, and the lists that it asks for to audit sections. */
function startBlind(meddling: Meddling = () => ({})) {
  const lists: EtcdKey[] = [];
  const blind: Meddling = (real) => {
    const meddled = { ...real, ...meddling(real) };
    return {
      ...meddling(real),
      watch: async function* (_, options) {
        await new Promise((resolve) => options.signal.addEventListener('abort', resolve));
      },
      list: (prefix, options) => {
        if (options.keysOnly === true && prefix.startsWith('cilium/cache/')) lists.push(prefix);
        return (meddled.list ?? real.list).call(real, prefix, options);
      },
    };
  };
  return { ...startMeddled(fixture.etcd.endpoint, blind, { auditIntervalMs: 20 }), lists };
}

function open(publisher: Publisher, cluster: string, kind = 'nodes'): Section {
  const prefix = prefixOf(cluster, kind);
  return publisher.section({ scope: `${kind}/v1`, cluster, prefix, rank: 0, owns: 'prefix' });
}

const put = (key: EtcdKey, value: string): TxnOperation => ({ type: 'put', key, value: bytes(value), lease: NO_LEASE });

async function heldBy(client: EtcdClient): Promise<Record<string, string>> {
  const found = await listAll(client, 'cilium/cache/');
  return Object.fromEntries(found.map(({ key, value }) => [key, value.toString()]));
}

const NAMES = ['a', 'b', 'c'];
const cluster = fc.record({
  name: fc.constantFrom('a', 'ab', 'b', 'c', 'c-1', 'c.1', 'd', 'zz'),
  kind: fc.constantFrom('nodes', 'identities'),
  names: fc.subarray(NAMES),
  /** Whether there is a section, and whether the source has named all of its keys. */
  state: fc.constantFrom('complete', 'complete', 'incomplete', 'none'),
});
type Cluster = typeof cluster extends fc.Arbitrary<infer Each> ? Each : never;
const trouble = fc.record({
  at: fc.nat(),
  name: fc.constantFrom(...NAMES, 'x', 'y'),
  how: fc.constantFrom('write', 'write', 'delete'),
});
const prefixOfCluster = ({ name, kind }: Cluster) => prefixOf(name, kind);

test('any mix of sections: what others write and delete is found in those, and nothing else is touched', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(cluster, { selector: prefixOfCluster, minLength: 1, maxLength: 12 }),
      fc.array(trouble, { minLength: 1, maxLength: 20 }),
      async (clusters, troubles) => {
        const { real, publisher, lists, stop } = startBlind();
        const held = new Map<string, string>();
        for (const each of clusters) {
          const section = each.state === 'none' ? undefined : open(publisher, each.name, each.kind);
          for (const name of each.names) {
            const key = keyOf(prefixOfCluster(each) + name);
            held.set(key, 'own');
            if (section === undefined) await real.txn([put(key, 'own')], { signal: signal() });
            else section.upsert(key, bytes('own'));
          }
          if (each.state === 'complete') await sync(section as Section);
          else await section?.flushed(signal());
        }
        await until('etcd holds it', async () => Object.keys(await heldBy(real)).length === held.size);
        const expected = new Map(held);
        const operations = new Map<EtcdKey, TxnOperation>();
        for (const { at, name, how } of troubles) {
          const { names, state, ...each } = clusters[at % clusters.length] as Cluster;
          const key = keyOf(prefixOf(each.name, each.kind) + name);
          operations.set(key, how === 'write' ? put(key, 'foreign') : { type: 'delete', key });
          const isOwn = names.includes(name) && state !== 'none';
          if (isOwn) continue;
          if (how === 'write' && state !== 'complete') expected.set(key, 'foreign');
          else expected.delete(key);
        }
        await real.txn([...operations.values()], { signal: signal() });
        const isAsExpected = async () => {
          const found = await heldBy(real);
          return JSON.stringify(Object.entries(found)) === JSON.stringify([...expected].sort(([a], [b]) => (a < b ? -1 : 1)));
        };
        await until('etcd holds what is desired, and what is of no section', isAsExpected, {
          withinMs: 20_000,
          status: async () => ({ expected: [...expected], found: await heldBy(real) }),
        });
        // A full audit later nothing else has changed.
        const before = lists.length;
        if (clusters.some(({ state }) => state !== 'none')) await until('more audits', () => lists.length > before + 25);
        expect(await isAsExpected()).toBe(true);
        await stop();
        const outside = fixture.outside();
        await outside.txn([{ type: 'delete', key: keyOf('cilium/'), end: keyOf('cilium0') }], { signal: signal() });
        outside.close();
      },
    ),
    { numRuns: 12 },
  );
}, 120_000);

test.each(['nodes', 'identities'])('many small sections of %s share a list', async (kind) => {
  const { real, publisher, lists } = startBlind();
  const clusters = Array.from({ length: 200 }, (_, at) => `remote-${at}`);
  await Promise.all(
    clusters.map((name) => {
      const section = open(publisher, name, kind);
      section.upsert(keyOf(`${prefixOf(name, kind)}a`), bytes('1'));
      return sync(section);
    }),
  );
  const before = lists.length;
  for (const name of ['remote-0', 'remote-77', 'remote-199']) {
    const foreign = keyOf(`${prefixOf(name, kind)}foreign`);
    await real.txn([put(foreign, 'x')], { signal: signal() });
    await until('it is gone', async () => (await real.get(foreign, { signal: signal() })) === undefined);
  }
  expect(lists.length - before).toBeLessThan(clusters.length);
});

test('a section that is released while an audit reads is left alone, and one that is added is audited later', async () => {
  const foreign = keyOf(`${prefixOf('b')}foreign`);
  const planted = keyOf(`${prefixOf('bb')}foreign`);
  let leave: (() => void) | undefined;
  const { real, publisher } = startBlind((etcd) => ({
    list: async function* (prefix, options) {
      for await (const page of etcd.list(prefix, options)) {
        if (options.keysOnly === true && page.keyValues.some(({ key }) => key === foreign)) {
          leave?.();
          leave = undefined;
        }
        yield page;
      }
    },
  }));
  const sections = new Map(['a', 'b', 'c'].map((name) => [name, open(publisher, name)]));
  for (const [name, section] of sections) {
    section.upsert(keyOf(`${prefixOf(name)}a`), bytes('1'));
    await sync(section);
  }
  const left = Promise.withResolvers<void>();
  leave = () => {
    sections.get('b')?.release();
    open(publisher, 'bb').listed();
    left.resolve();
  };
  const junk = ['a', 'c'].map((name) => keyOf(`${prefixOf(name)}foreign`));
  await real.txn(
    [...junk, foreign].map((key) => put(key, 'x')),
    { signal: signal() },
  );
  await left.promise;
  await real.txn([put(planted, 'x')], { signal: signal() });
  const rest = [`${prefixOf('a')}a`, `${prefixOf('b')}a`, foreign, `${prefixOf('c')}a`];
  await until('only what is of no section is left', async () => {
    return JSON.stringify(Object.keys(await heldBy(real))) === JSON.stringify(rest);
  });
});

test('a range has sections of one scope in the order of their keys, and a bound', () => {
  const auditable = fc.record({
    name: fc.string({ unit: fc.constantFrom('a', 'b', '-', '.', '0', 'z'), minLength: 1, maxLength: 4 }),
    kind: fc.constantFrom('nodes', 'identities'),
    keys: fc.oneof(fc.nat(100), fc.nat(2 * MAX_SHARED_AUDIT_KEYS)),
  });
  const sections = fc.uniqueArray(auditable, { selector: ({ name, kind }) => `${kind}/${name}`, maxLength: 40 });
  fc.assert(
    fc.property(sections, (all) => {
      const described = all.map(({ name, kind, keys }) => ({ scope: kind, prefix: prefixOf(name, kind), keys }));
      const ranges = [...sharedRanges(described, (each) => each)];
      const byPrefix = (each: readonly { readonly prefix: EtcdKey }[]) => each.map(({ prefix }) => prefix).sort();
      expect(byPrefix(ranges.flat())).toEqual(byPrefix(described));
      for (const range of ranges) {
        const prefixes = range.map(({ prefix }) => prefix);
        expect(prefixes).toEqual(prefixes.toSorted());
        expect(new Set(prefixes.map((prefix) => prefix.split('/')[2])).size).toBe(1);
        const keys = range.reduce((sum, each) => sum + each.keys, 0);
        expect(range.length === 1 || keys <= MAX_SHARED_AUDIT_KEYS).toBe(true);
      }
    }),
  );
});
