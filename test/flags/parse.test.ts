import { describe, expect, test } from 'vitest';
import { apiserverFlagTable } from '../../src/apiserver/flags.ts';
import { kvstoremeshFlagTable } from '../../src/kvstoremesh/flags.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';
import type { FlagTable } from '../../src/shared/flags/table.ts';

type Environment = Readonly<Record<string, string>>;

function parsed<Table extends FlagTable>(table: Table, argv: readonly string[], env: Environment = {}) {
  const result = parseFlags(table, argv, env);
  if (result === 'help') throw new Error('help was not asked for');
  return result;
}

const apiserver = (argv: readonly string[], env: Environment = {}) => parsed(apiserverFlagTable, argv, env).values;
const kvstoremesh = (argv: readonly string[], env: Environment = {}) => parsed(kvstoremeshFlagTable, argv, env).values;

/** The refusal of a command line, which has to be one line. */
function refusal(argv: readonly string[], env: Environment = {}): string {
  try {
    parseFlags(kvstoremeshFlagTable, argv, env);
  } catch (thrown) {
    const { message } = thrown as Error;
    expect(message).not.toContain('\n');
    return message;
  }
  throw new Error('it was accepted');
}

describe('values', () => {
  test('an empty command line gives the defaults of the field', () => {
    expect(apiserver([])).toMatchObject({
      clusterId: 0,
      clusterName: 'default',
      maxConnectedClusters: 255,
      clusterUsersConfigPath: '/var/lib/cilium/etcd-config/users.yaml',
      clustermeshDefaultGlobalNamespace: true,
      clustermeshServiceV2: 'prefer-legacy',
      crdWaitTimeoutMs: 300_000,
      k8sClientQps: 10,
      kvstoreLeaseTtlMs: 900_000,
      prometheusServeAddr: '',
    });
    expect(kvstoremesh([])).toMatchObject({
      apiServeAddr: 'localhost:9889',
      clustermeshCacheTtlMs: 0,
      globalReadyTimeoutMs: 600_000,
      perClusterReadyTimeoutMs: 15_000,
    });
    for (const table of [apiserverFlagTable, kvstoremeshFlagTable])
      expect(parsed<FlagTable>(table, []).effective['health-port']).toBe('9880');
  });

  test('a value follows an equals sign or stands alone', () => {
    expect(apiserver(['--cluster-name=east', '--cluster-id', '7'])).toMatchObject({ clusterName: 'east', clusterId: 7 });
  });

  test('a value behind an equals sign may be empty or hold further equals signs', () => {
    expect(apiserver(['--prometheus-serve-addr=']).prometheusServeAddr).toBe('');
    expect(apiserver(['--cluster-name=a=b']).clusterName).toBe('a=b');
  });

  test('a boolean needs no value and takes those of Go', () => {
    expect(apiserver(['--debug']).debug).toBe(true);
    expect(apiserver(['-D']).debug).toBe(true);
    expect(apiserver(['-D=f']).debug).toBe(false);
    expect(apiserver(['--clustermesh-default-global-namespace=FALSE']).clustermeshDefaultGlobalNamespace).toBe(false);
  });

  test('the last of two equal flags wins', () => {
    expect(apiserver(['--cluster-id=1', '--cluster-id=2']).clusterId).toBe(2);
  });

  test('a map grows by repetition and by commas', () => {
    const { kvstoreOpt } = apiserver(['--kvstore-opt=etcd.config=/a=b,etcd.qps=5', '--kvstore-opt', 'etcd.qps=9']);
    expect([...kvstoreOpt]).toEqual([
      ['etcd.config', '/a=b'],
      ['etcd.qps', '9'],
    ]);
  });

  test('a map takes any key, those of objects too', () => {
    expect(apiserver(['--kvstore-opt=__proto__=x']).kvstoreOpt.get('__proto__')).toBe('x');
  });

  test('a list grows by repetition and by commas', () => {
    const { k8sApiServerUrls } = apiserver(['--k8s-api-server-urls=a,b', '--k8s-api-server-urls=c']);
    expect(k8sApiServerUrls).toEqual(['a', 'b', 'c']);
  });

  test('hidden flags work', () => {
    expect(kvstoremesh(['--disable-drain-on-disconnection']).disableDrainOnDisconnection).toBe(true);
  });

  test('the flags of the Go runtime are accepted and named as without effect', () => {
    const argv = ['--enable-gops=false', '--gops-port=9894', '--pprof', '--shell-sock-path=/x', '--log-opt=format=json'];
    expect(parsed(kvstoremeshFlagTable, argv).inert).toEqual(['enable-gops', 'gops-port', 'pprof', 'shell-sock-path']);
  });

  test('every effective flag can be logged as text', () => {
    const { effective } = parsed(kvstoremeshFlagTable, ['--kvstore-opt=etcd.qps=5', '--per-cluster-ready-timeout=90s']);
    expect(Object.keys(effective)).toEqual(Object.keys(kvstoremeshFlagTable).sort());
    expect(effective).toMatchObject({ 'kvstore-opt': 'etcd.qps=5', 'per-cluster-ready-timeout': '1m30s', debug: 'false' });
  });
});

describe('the environment', () => {
  test('sets what the command line leaves open', () => {
    const env = { CILIUM_CLUSTER_NAME: 'west', CILIUM_MAX_CONNECTED_CLUSTERS: '511', CILIUM_KVSTORE_OPT: 'etcd.qps=3' };
    expect(apiserver(['--cluster-name=east'], env)).toMatchObject({ clusterName: 'east', maxConnectedClusters: 511 });
    expect(apiserver(['--kvstore-opt=etcd.limit=7'], env).kvstoreOpt).toEqual(new Map([['etcd.limit', '7']]));
  });

  test('is ignored if a variable is empty or unknown', () => {
    expect(apiserver([], { CILIUM_CLUSTER_ID: '', CILIUM_AGENT_PORT: 'tcp://10.0.0.1:80' }).clusterId).toBe(0);
  });

  test('is named in the refusal of its value', () => {
    expect(refusal([], { CILIUM_CLUSTER_ID: 'x' })).toMatch(/^environment variable CILIUM_CLUSTER_ID: "x" is not a whole number/);
  });
});

describe('refusals', () => {
  test('an unknown flag is named together with the nearest known one', () => {
    expect(refusal(['--cluster-nmae=east'])).toBe(
      'unknown flag "--cluster-nmae"; did you mean --cluster-name? (--help lists all)',
    );
    expect(refusal(['--something-else'])).toBe('unknown flag "--something-else"; --help lists all');
    expect(refusal(['-x'])).toContain('unknown flag "-x"');
    expect(refusal(['-debug'])).toContain('did you mean --debug?');
  });

  test('a hidden flag is not offered', () => {
    expect(refusal(['--disable-drain-on-disconnectio'])).not.toContain('did you mean');
  });

  test.each([
    ['--cluster-id=-1', 'flag --cluster-id: "-1" is not a whole number that fits; allowed: 0 to 4294967295'],
    ['--cluster-id=4294967296', 'flag --cluster-id: "4294967296" is not a whole number that fits; allowed: 0 to 4294967295'],
    ['--cluster-id=1e3', 'flag --cluster-id: "1e3" is not a whole number that fits; allowed: 0 to 4294967295'],
    ['--health-port=65536', 'flag --health-port: "65536" is not a whole number that fits; allowed: 0 to 65535'],
    ['--debug=yes', 'flag --debug: "yes" is not a boolean; allowed: true or false'],
    ['--kvstore=consul', 'flag --kvstore: "consul" is not supported; allowed: etcd'],
    ['--kvstore-opt=etcd.qps', 'flag --kvstore-opt: "etcd.qps" is not a pair; allowed: key=value, separated by commas'],
    ['--kvstore-lease-ttl=24s', 'flag --kvstore-lease-ttl: "24s" is out of range; allowed: 25s to 24h0m0s'],
    ['--global-ready-timeout=10', 'flag --global-ready-timeout: "10" is not a duration; allowed: such as 15m, 1h30m or 500ms'],
    ['--global-ready-timeout=-1s', 'flag --global-ready-timeout: "-1s" is out of range; allowed: from 0s'],
    [
      '--clustermesh-service-v2=v3',
      'flag --clustermesh-service-v2: "v3" is not supported; allowed: prefer-legacy, prefer-endpointslice, only-endpointslice',
    ],
  ])('%s is refused with what is allowed', (argument, message) => {
    expect(refusal([argument])).toBe(message);
  });

  test('a flag without its value is refused', () => {
    expect(refusal(['--cluster-name'])).toBe('flag --cluster-name requires a value: --cluster-name=string');
  });

  test('a stray argument is refused, with a hint where a boolean came before', () => {
    expect(refusal(['east'])).toBe('unexpected argument "east"; only flags are allowed here, such as --name=value');
    expect(refusal(['--debug', 'false'])).toBe(
      'unexpected argument "false"; set a boolean flag with an equals sign: --debug=false',
    );
    expect(refusal(['--'])).toContain('unexpected argument "--"');
  });

  test('a value with line breaks or of great length stays on one line', () => {
    expect(refusal([`--cluster-id=1\n2${'3'.repeat(500)}`]).length).toBeLessThan(200);
  });

  test('names that every object has are not flags', () => {
    expect(refusal(['--constructor=1'])).toContain('unknown flag');
  });
});

test('help wins over what follows it, not over what precedes it', () => {
  expect(parseFlags(kvstoremeshFlagTable, ['--debug', '--help', '--nope'], {})).toBe('help');
  expect(parseFlags(kvstoremeshFlagTable, ['-h'], {})).toBe('help');
  expect(refusal(['--nope', '--help'])).toContain('unknown flag');
});
