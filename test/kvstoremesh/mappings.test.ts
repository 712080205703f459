import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ClusterConfig, parseClusterConfig } from '../../src/kvstoremesh/cluster-config.ts';
import {
  destinationCanary,
  destinationPrefix,
  drainPrefixes,
  MAPPINGS,
  type MappingName,
  rekey,
  type ServiceFormat,
  sourceCanary,
  sourcePrefix,
} from '../../src/kvstoremesh/mappings.ts';
import { type EtcdKey, keyOf } from '../../src/shared/etcd/types.ts';

const config = (capabilities: object): ClusterConfig => parseClusterConfig(Buffer.from(JSON.stringify({ id: 7, capabilities })));

function enabled(capabilities: object, format: ServiceFormat = 'prefer-legacy'): MappingName[] {
  return MAPPINGS.filter((mapping) => mapping.enabled(config(capabilities), format)).map(({ name }) => name);
}

describe('the six kinds', () => {
  test.each([
    ['nodes', 'cilium/state/nodes/v1/berlin/', 'cilium/cache/nodes/v1/berlin/', 'nodes/v1', 0],
    ['identities', 'cilium/state/identities/v1/id/', 'cilium/cache/identities/v1/berlin/id/', 'identities/v1', 0],
    ['endpoints', 'cilium/state/ip/v1/default/', 'cilium/cache/ip/v1/berlin/', 'ip/v1', 1],
    ['services', 'cilium/state/services/v1/berlin/', 'cilium/cache/services/v1/berlin/', 'services/v1', 2],
    [
      'endpoint slices',
      'cilium/state/endpointslices/v1/berlin/',
      'cilium/cache/endpointslices/v1/berlin/',
      'endpointslices/v1',
      2,
    ],
    [
      'service exports',
      'cilium/state/serviceexports/v1/berlin/',
      'cilium/cache/serviceexports/v1/berlin/',
      'serviceexports/v1',
      2,
    ],
  ])('%s are read, written and announced where the agents expect it', (name, state, cache, base, rank) => {
    const mapping = MAPPINGS.find((each) => each.name === name);
    if (mapping === undefined) throw new Error(`no mapping ${name}`);
    expect(sourcePrefix(mapping, 'berlin', false)).toBe(state);
    expect(sourcePrefix(mapping, 'berlin', true)).toBe(cache);
    expect(destinationPrefix(mapping, 'berlin')).toBe(cache);
    expect(sourceCanary(mapping, 'berlin', false)).toBe(`cilium/synced/berlin/cilium/state/${base}`);
    expect(sourceCanary(mapping, 'berlin', true)).toBe(`cilium/synced/berlin/cilium/cache/${base}`);
    expect(destinationCanary(mapping, 'berlin')).toBe(`cilium/synced/berlin/cilium/cache/${base}`);
    expect(mapping.rank).toBe(rank);
  });

  test('what a removed cluster leaves goes in the order of the original, old forms of the identities too', () => {
    expect(drainPrefixes('berlin')).toEqual([
      'cilium/synced/berlin/',
      'cilium/cache/endpointslices/v1/berlin/',
      'cilium/cache/ip/v1/berlin/',
      'cilium/cache/identities/v1/berlin/',
      'cilium/cache/nodes/v1/berlin/',
      'cilium/cache/serviceexports/v1/berlin/',
      'cilium/cache/services/v1/berlin/',
    ]);
  });
});

describe('which kinds are mirrored', () => {
  const basic: MappingName[] = ['nodes', 'identities', 'endpoints'];

  test.each([
    ['nothing said', {}, [...basic, 'services']],
    ['service exports unknown (null)', { serviceExportsEnabled: null }, [...basic, 'services']],
    ['service exports off', { serviceExportsEnabled: false }, [...basic, 'services', 'service exports']],
    ['service exports on', { serviceExportsEnabled: true }, [...basic, 'services', 'service exports']],
    ['both formats', { endpointSlicesExportMode: 'services-and-endpointslices' }, [...basic, 'services', 'endpoint slices']],
    ['slices only', { endpointSlicesExportMode: 'endpointslices-only' }, [...basic, 'endpoint slices']],
    ['an unknown mode', { endpointSlicesExportMode: 'in-future' }, [...basic, 'services', 'endpoint slices']],
  ])('follows the cluster config of the remote: %s', (_, capabilities, kinds) => {
    expect(enabled(capabilities)).toEqual(kinds);
  });

  test('leaves services out where the local agents read slices only', () => {
    expect(enabled({}, 'only-endpointslice')).toEqual(basic);
    expect(enabled({}, 'prefer-endpointslice')).toEqual([...basic, 'services']);
  });
});

describe('a key under its new prefix', () => {
  const from = keyOf('cilium/state/nodes/v1/berlin/');
  const to = keyOf('cilium/cache/nodes/v1/berlin/');
  const rekeyed = (own: string) => rekey(from, to, `${from}${own}` as EtcdKey);

  test.each([
    ['10.7.0.0/24', '10.7.0.0/24'],
    ['fd00::1', 'fd00::1'],
    ['semi;colon=equals 100%', 'semi;colon=equals 100%'],
    ['..', '..'],
    ['../up', '../up'],
    ['x/./y', 'x/./y'],
    ['\0\xff\xc3(', '\0\xff\xc3('],
    ['double//slash', 'double/slash'],
    ['/leading', 'leading'],
    ['trailing/', 'trailing'],
    ['deep///x//', 'deep/x'],
  ])('keeps its own part: %j', (own, expected) => {
    expect(rekeyed(own)).toBe(`${to}${expected}`);
  });

  test.each(['', '/', '////'])('cannot be formed from %j', (own) => {
    expect(rekeyed(own)).toBeUndefined();
  });

  test('cannot be formed from a key of another prefix', () => {
    expect(rekey(from, to, keyOf('cilium/state/nodes/v1/berlin-2/x'))).toBeUndefined();
  });

  test('is never outside of the new prefix, for any key of the remote', () => {
    const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array).toString('latin1'));
    const slashes = fc.array(fc.constantFrom('/', '.', '..', 'a'), { maxLength: 12 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(bytes, slashes), (own) => {
        const key = rekeyed(own);
        if (key === undefined) expect(own).toMatch(/^\/*$/);
        else expect(key.startsWith(to) && key.length > to.length && !key.slice(to.length).includes('//')).toBe(true);
      }),
    );
  });
});
