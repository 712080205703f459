/**
 * What the original makes of each spelling of a value, for each kind of flag, on the command line and in the environment.
 *
 * The facts were found by running the libraries it parses with: pflag 1.0.10, viper 1.21.0 and mapstructure 2.5.0, with the
 * decode hooks of cilium/hive. Spellings that this program takes besides are below, with the reason.
 */
import { describe, expect, test } from 'vitest';
import { apiserverFlagTable } from '../../src/apiserver/flags.ts';
import { etcdinitFlagTable } from '../../src/etcdinit/flags.ts';
import { kvstoremeshFlagTable } from '../../src/kvstoremesh/flags.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';
import { environmentName, type Flag, type FlagTable, valueName } from '../../src/shared/flags/table.ts';

const TABLES: readonly FlagTable[] = [apiserverFlagTable, kvstoremeshFlagTable, etcdinitFlagTable];

/** The value of a flag of the program that is set by its argument, or by its variable. */
function values(name: string, text: string): { readonly flag: unknown; readonly environment: unknown } {
  const table = TABLES.find((candidate) => Object.hasOwn(candidate, name)) ?? {};
  const own = { [name]: table[name] as Flag<unknown, string> };
  const read = (argv: readonly string[], env: Readonly<Record<string, string>>) => {
    const parsed = parseFlags(own, argv, env);
    return parsed === 'help'
      ? parsed
      : (parsed.values as Record<string, unknown>)[valueName(name, own[name] as Flag<unknown, string>)];
  };
  return {
    get flag() {
      return read([`--${name}=${text}`], {});
    },
    get environment() {
      return read([], { [environmentName(name)]: text });
    },
  };
}

function expectBoth(name: string, text: string, value: unknown): void {
  expect(values(name, text).flag).toEqual(value);
  expect(values(name, text).environment).toEqual(value);
}

function expectRefused(name: string, text: string): void {
  expect(() => values(name, text).flag).toThrow(`flag --${name}: `);
  expect(() => values(name, text).environment).toThrow(`environment variable ${environmentName(name)}: `);
}

/** What is a whole number, with and without a sign. */
const NUMBERS = [
  ['010', 8],
  ['0x1F', 31],
  ['0X1f', 31],
  ['0b11', 3],
  ['0B11', 3],
  ['0o17', 15],
  ['0O17', 15],
  ['1_000', 1000],
  ['0x_1F', 31],
  ['4294967295', 4294967295],
  ['65535', 65535],
  ['65536', 65536],
  ['0xffffffff', 4294967295],
  ['00', 0],
  ['007', 7],
] as const;

describe('whole numbers', () => {
  test.each(NUMBERS)('the cluster ID %s is %d', (text, id) => {
    expectBoth('cluster-id', text, id);
  });

  test.each('08 0_8 _1 1_ 1__0 +5 -5 -0 +0 5.0 1e1 0x 4294967296 ٣ 1,000 99999999999999999999 9223372036854775807'.split(' '))(
    '%s is no cluster ID',
    (text) => {
      expectRefused('cluster-id', text);
    },
  );

  test.each([...NUMBERS, ['+5', 5], ['-5', -5], ['-0', 0], ['+0', 0], ['4294967296', 4294967296]] as const)(
    'a number that may be negative: %s is %d',
    (text, value) => {
      expectBoth('k8s-client-burst', text, value);
    },
  );

  test.each(['08', '0_8', '_1', '1_', '1__0', '5.0', '1e1', '0x', '٣', '1,000', '99999999999999999999'])(
    'a number that may be negative: %s is none',
    (text) => {
      expectRefused('k8s-client-burst', text);
    },
  );

  test.each(['65536', '0xffffffff', '-1', '+1', '080'])('%s is no port', (text) => {
    expectRefused('health-port', text);
  });

  test('the largest number of 64 bits is taken', () => {
    expectBoth('k8s-client-burst', '9223372036854775807', 2 ** 63);
    expectBoth('remote-max-keys', '18446744073709551615', 2 ** 64);
    expectRefused('k8s-client-burst', '9223372036854775808');
  });

  test('a leading zero is explained if a digit does not fit it, and logged if all do', () => {
    expect(() => parseFlags(apiserverFlagTable, ['--cluster-id=08'], {})).toThrow(
      'flag --cluster-id: "08" is not a whole number: a leading zero makes it octal, as in all Cilium programs; allowed: 0 to 4294967295',
    );
    const parsed = parseFlags(apiserverFlagTable, ['--cluster-id=010'], { CILIUM_HEALTH_PORT: '0x2698', CILIUM_GOPS_PORT: '1' });
    expect(parsed).toMatchObject({
      values: { clusterId: 8, healthPort: 9880 },
      remarks: [
        'flag --cluster-id: "010" is 8, as in all Cilium programs',
        'environment variable CILIUM_HEALTH_PORT: "0x2698" is 9880, as in all Cilium programs',
      ],
    });
  });
});

describe('fractions', () => {
  test.each([
    ['10', 10],
    ['1e1', 10],
    ['1E1', 10],
    ['1e+1', 10],
    ['010', 10],
    ['.5', 0.5],
    ['5.', 5],
    ['-1', -1],
    ['+1', 1],
    ['0x1p4', 16],
    ['1_0', 10],
    ['inf', Number.POSITIVE_INFINITY],
    ['Inf', Number.POSITIVE_INFINITY],
    ['-inf', -Number.POSITIVE_INFINITY],
    ['infinity', Number.POSITIVE_INFINITY],
    ['1_0.5', 10.5],
    ['0x_1p4', 16],
  ])('%s is %d', (text, value) => {
    expectBoth('k8s-client-qps', text, value);
  });

  // The original takes NaN, and waits for nothing then: most likely a slip.
  test.each(['0x10', '1e400', '1,5', '0b1', '1e', 'NaN', '._5', '1_', '1__0', '1e400', '0x', '0xp1'])('%s is none', (text) => {
    expectRefused('k8s-client-qps', text);
  });
});

describe('booleans', () => {
  test.each([
    ['1', true],
    ['t', true],
    ['T', true],
    ['true', true],
    ['True', true],
    ['TRUE', true],
    ['0', false],
    ['f', false],
    ['F', false],
    ['false', false],
    ['False', false],
    ['FALSE', false],
  ])('%s is %s', (text, value) => {
    expectBoth('cluster-users-enabled', text, value);
    expectBoth('debug', text, value);
  });

  test.each(['yes', 'no', 'on', 'off', 'y', 'n', 'YES', 'tRuE', '2', '00', '01'])('%s is none', (text) => {
    expectRefused('cluster-users-enabled', text);
    expect(() => values('debug', text).flag).toThrow('flag --debug: ');
  });

  test.each([apiserverFlagTable, kvstoremeshFlagTable, etcdinitFlagTable])(
    'CILIUM_DEBUG alone accepts any word, and logs that one that is no boolean counts as false',
    (table) => {
      expect(parseFlags(table, [], { CILIUM_DEBUG: 'yes' })).toMatchObject({
        values: { debug: false },
        remarks: [
          'environment variable CILIUM_DEBUG: "yes" is not a boolean and counts as false, as in the original; allowed: true or false',
        ],
      });
    },
  );
});

describe('durations', () => {
  test.each([
    ['0', 0],
    ['1.5h', 5_400_000],
    ['1h1m1.5s', 3_661_500],
    ['.5s', 500],
    ['+5s', 5000],
    ['720h', 2_592_000_000],
    ['2562047h', 9_223_369_200_000],
  ])('%s is one', (text, ms) => {
    expectBoth('clustermesh-cache-ttl', text, ms);
    expectBoth('crd-wait-timeout', text, ms);
  });

  test.each([
    ['15', 'is not a duration'],
    ['3000000h', 'is longer than 292 years, the longest duration'],
    ['2562048h', 'is longer than 292 years, the longest duration'],
    ['1d', 'is not a duration'],
    ['1 s', 'is not a duration'],
    ['-1s', 'is out of range; allowed: from 0s'],
  ])('%s is refused: it %s', (text, reason) => {
    expectRefused('clustermesh-cache-ttl', text);
    expect(() => values('clustermesh-cache-ttl', text).flag).toThrow(`${JSON.stringify(text)} ${reason}`);
  });

  test('keepalive probes may be switched off by a negative time', () => {
    expectBoth('k8s-client-connection-keep-alive', '-1s', -1000);
  });
});

describe('lists', () => {
  test.each([
    ['a,b', ['a', 'b']],
    ['a b', ['a', 'b']],
    ['a\tb', ['a', 'b']],
    ['a b,c', ['a b', 'c']],
    ['a', ['a']],
    ['[a,b]', ['[a', 'b]']],
    // The original keeps blanks and empty parts, of which no list of this program has any use.
    ['a, b', ['a', 'b']],
    ['a,,b', ['a', 'b']],
    // The original drops what follows a line break on the command line, and takes quotes for a part of the text in the environment.
    ['a\nb', ['a', 'b']],
    ['"a,b",c', ['a,b', 'c']],
    ['"a""b"', ['a"b']],
    ['"a b"', ['a', 'b']],
  ])('%j is split', (text, items) => {
    expectBoth('k8s-api-server-urls', text, items);
    expectBoth('controller-group-metrics', text, items);
  });

  test.each(['a"b', '"a', '"a"b,c', 'a, "b"'])('%j has an unmatched quote', (text) => {
    expectRefused('k8s-api-server-urls', text);
  });

  test('an empty argument is an empty list, and each argument adds to those before', () => {
    expect(values('k8s-api-server-urls', '').flag).toEqual([]);
    const argv = ['--k8s-api-server-urls=a b', '--k8s-api-server-urls', '"c"'];
    expect(parseFlags(apiserverFlagTable, argv, {})).toMatchObject({ values: { k8sApiServerUrls: ['a', 'b', 'c'] } });
  });

  test('a list of namespaces may be separated by spaces', () => {
    expectBoth('export-namespaces', 'shop  bank', ['shop', 'bank']);
    expectRefused('export-namespaces', 'shop Bank');
  });
});

describe('maps', () => {
  const pairs = (text: string, where: 'flag' | 'environment') =>
    Object.fromEntries(values('kvstore-opt', text)[where] as Map<string, string>);

  test.each([
    ['"etcd.qps=100",etcd.limit=3', { 'etcd.qps': '100', 'etcd.limit': '3' }],
    ['"a=1,2",b=3', { a: '1,2', b: '3' }],
    ['"a=b"', { a: 'b' }],
    ['a=b,c=d', { a: 'b', c: 'd' }],
    ['a=b=c', { a: 'b=c' }],
    ['a=b,c=d=e', { a: 'b', c: 'd=e' }],
    ['a=b c=d', { a: 'b c=d' }],
    ['a=', { a: '' }],
    ['a=b,c', { a: 'b,c' }],
    ['a=[b]', { a: '[b]' }],
    ['a = b', { a: 'b' }],
    ['a=b, c=d\n', { a: 'b', c: 'd' }],
    ['{"etcd.config": "/var/lib/etcd-config/etcd.config"}', { 'etcd.config': '/var/lib/etcd-config/etcd.config' }],
    [' {"a":"b=","c":null} ', { a: 'b=', c: '' }],
    ['{"a":"b","a":"c"}', { a: 'c' }],
    ['{}', {}],
  ])('%s is read on the command line and in the environment', (text, map) => {
    expect(pairs(text, 'flag')).toEqual(map);
    expect(pairs(text, 'environment')).toEqual(map);
  });

  test('a value of a variable may have commas', () => {
    expect(pairs('a=1,2,b=3', 'environment')).toEqual({ a: '1,2', b: '3' });
  });

  test.each(['a', '{', '[]', '{"a": 1}', '{"a": {}}', '=b', 'null', '{"a":"b"} x'])('%s is refused', (text) => {
    expectRefused('kvstore-opt', text);
  });

  test('a repeated argument adds to those before, in any form; the variable is ignored then', () => {
    const argv = ['--kvstore-opt={"a":"1"}', '--kvstore-opt', 'b=2,a=3', '--kvstore-opt="c=4"'];
    const parsed = parseFlags(apiserverFlagTable, argv, { CILIUM_KVSTORE_OPT: 'd=5' });
    if (parsed === 'help') throw new Error('help was not asked for');
    expect(Object.fromEntries(parsed.values.kvstoreOpt)).toEqual({ a: '3', b: '2', c: '4' });
  });
});

/** The original refuses these, but for texts, of which the white space is a part there. The agents cut it off. */
describe('white space at the ends of a value', () => {
  test.each([
    ['cluster-id', '7\n', 7],
    ['cluster-id', ' 7 ', 7],
    ['cluster-name', 'east\r\n', 'east'],
    ['debug', 'true\n', true],
    ['k8s-client-qps', '10 ', 10],
    ['kvstore-lease-ttl', '15m\n', 900_000],
    ['kvstore', 'etcd\n', 'etcd'],
    ['prometheus-serve-addr', ':9962\n', ':9962'],
    ['cluster-users-config-path', '/users.yaml\n', '/users.yaml'],
  ])('is no part of the value of --%s', (name, text, value) => {
    expectBoth(name, text, value);
  });
});

describe('nothing', () => {
  test.each(['cluster-id', 'debug', 'k8s-client-qps', 'kvstore-lease-ttl', 'kvstore-opt', 'kvstore', 'health-port'])(
    'is no value of --%s',
    (name) => {
      for (const text of ['', ' ', '\n']) expect(() => values(name, text).flag).toThrow(`flag --${name}: "" is not`);
    },
  );

  test.each([
    'cluster-id',
    'debug',
    'k8s-client-qps',
    'kvstore-lease-ttl',
    'kvstore-opt',
    'kvstore',
    'health-port',
    'cluster-name',
  ])('in a variable leaves --%s at its default', (name) => {
    const preset = (apiserverFlagTable as FlagTable)[name]?.default;
    for (const text of ['', ' ', '\n']) expect(values(name, text).environment).toEqual(preset);
  });
});
