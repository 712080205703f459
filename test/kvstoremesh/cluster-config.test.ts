import { describe, expect, test } from 'vitest';
import {
  ClusterConfigError,
  mirroredClusterConfig,
  parseClusterConfig,
  shownClusterConfig,
} from '../../src/kvstoremesh/cluster-config.ts';
import { MAX_CLUSTER_CONFIG_BYTES } from '../../src/shared/limits.ts';

const parse = (text: string) => parseClusterConfig(Buffer.from(text, 'latin1'));
const mirrored = (text: string) => mirroredClusterConfig(parse(text)).toString();

describe('a cluster config', () => {
  test('is read with all its members', () => {
    const capabilities =
      '{"syncedCanaries":true,"cached":true,"maxConnectedClusters":511,"serviceExportsEnabled":false,"endpointSlicesExportMode":"endpointslices-only"}';
    expect(parse(`{"id":7,"capabilities":${capabilities}}`)).toEqual({
      id: 7,
      syncedCanaries: true,
      cached: true,
      maxConnectedClusters: 511,
      serviceExportsEnabled: false,
      endpointSlicesExportMode: 'endpointslices-only',
    });
  });

  test.each(['{}', 'null', '{"capabilities":null}', '{"id":null,"capabilities":{"cached":null,"serviceExportsEnabled":null}}'])(
    'has no values for absent or null members: %s',
    (text) => {
      expect(parse(text)).toEqual({
        id: 0,
        syncedCanaries: false,
        cached: false,
        maxConnectedClusters: 0,
        serviceExportsEnabled: undefined,
        endpointSlicesExportMode: '',
      });
    },
  );

  test('is read with names in any letter case, and the last of several counts', () => {
    const config = parse('{"ID":1,"id":9,"Capabilities":{"SYNCEDCANARIES":true,"syncedCanaries":false,"cAcHeD":true}}');
    expect(config).toMatchObject({ id: 9, syncedCanaries: false, cached: true });
  });

  test.each([
    '[]',
    '""',
    '',
    'x',
    '7',
    '{"id":-1}',
    '{"id":1.5}',
    '{"id":01}',
    '{"id":"7"}',
    '{"id":4294967296}',
    '{"id":1}trailing',
    '\xef\xbb\xbf{"id":1}',
    '{"id":1,"capabilities":[]}',
    '{"id":1,"capabilities":{"serviceExportsEnabled":"yes"}}',
    '{"id":1,"capabilities":{"maxConnectedClusters":-1}}',
    '{"id":1,"capabilities":{"endpointSlicesExportMode":1}}',
    `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
  ])('is refused where it cannot be one: %.60s', (text) => {
    expect(() => parse(text)).toThrow(ClusterConfigError);
  });

  test('is refused above its bound, and the value is not in the message', () => {
    const secret = 's'.repeat(MAX_CLUSTER_CONFIG_BYTES);
    expect(() => parse(`{"id":"${secret}"}`)).toThrow(/bytes; allowed/);
    expect(() => parse('{"id":"secret"}')).not.toThrow(/secret/);
  });

  test('cannot change the prototype of anything', () => {
    parse('{"__proto__":{"id":9},"capabilities":{"__proto__":{"cached":true},"constructor":{}}}');
    expect(({} as { id?: number }).id).toBeUndefined();
    expect(parse('{"capabilities":{"__proto__":{"cached":true}}}').cached).toBe(false);
  });
});

describe('the config that local agents see', () => {
  test.each([
    [
      '{"id":50,"capabilities":{"syncedCanaries":true,"maxConnectedClusters":255,"serviceExportsEnabled":false,"x":1},"y":2}',
      '{"id":50,"capabilities":{"syncedCanaries":true,"cached":true,"maxConnectedClusters":255,"serviceExportsEnabled":false}}',
    ],
    ['\n {\t"capabilities" : { } , "id" : 51 }\r\n', '{"id":51,"capabilities":{"syncedCanaries":true,"cached":true}}'],
    ['{}', '{"capabilities":{"syncedCanaries":true,"cached":true}}'],
    [
      '{"capabilities":{"endpointSlicesExportMode":"a<b>&\\u2028"}}',
      '{"capabilities":{"syncedCanaries":true,"cached":true,"endpointSlicesExportMode":"a\\u003cb\\u003e\\u0026\\u2028"}}',
    ],
  ])('has the known members only, in order and form of the original: %j', (source, expected) => {
    expect(mirrored(source)).toBe(expected);
  });

  test('is read back as what it was made from, but mirrored and with canaries', () => {
    const config = parse('{"id":5,"capabilities":{"serviceExportsEnabled":true,"endpointSlicesExportMode":"x"}}');
    expect(parseClusterConfig(mirroredClusterConfig(config))).toEqual({ ...config, cached: true, syncedCanaries: true });
  });
});

test('an export mode of any length is passed on as it is, and shown and logged up to a bound', () => {
  const mode = `a\u202e\n${'b'.repeat(50_000)}`;
  const config = parseClusterConfig(Buffer.from(JSON.stringify({ id: 7, capabilities: { endpointSlicesExportMode: mode } })));
  expect(JSON.parse(mirroredClusterConfig(config).toString('utf8')).capabilities.endpointSlicesExportMode).toBe(mode);
  expect(shownClusterConfig(config).endpointSlicesExportMode).toBe(`a  ${'b'.repeat(61)}…`);
});
