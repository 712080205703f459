import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type Outcome, runChild } from '../support/processes/child.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

function program(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  return runChild(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args], { env });
}

const ADDRESS = '--kvstore-opt=etcd.address=http://127.0.0.1:1';

test.each<[string, string[], string]>([
  ['an unknown flag', ['clustermesh', '--cluster-nam=east'], 'unknown flag "--cluster-nam"; did you mean --cluster-name?'],
  ['a value that does not fit', ['kvstoremesh', '--cluster-id=x'], 'flag --cluster-id: "x" is not a whole number'],
  [
    'a reserved ID',
    ['clustermesh', '--cluster-name=east', ADDRESS],
    'flag --cluster-id: cluster ID 0 is reserved; allowed: 1 to 255',
  ],
  [
    'a bad name',
    ['kvstoremesh', '--cluster-name=East', '--cluster-id=1', ADDRESS],
    'flag --cluster-name: "East": a cluster name',
  ],
  ['no etcd', ['clustermesh', '--cluster-name=east', '--cluster-id=1'], 'flag --kvstore-opt: no etcd address'],
  [
    'an unknown option of the store',
    ['kvstoremesh', '--cluster-name=east', '--cluster-id=1', '--kvstore-opt=etcd.conf=/x'],
    'flag --kvstore-opt: unknown option "etcd.conf"; did you mean etcd.config?',
  ],
  ['Kubernetes switched off', ['clustermesh', '--enable-k8s=false'], 'flag --enable-k8s: false is not supported'],
  [
    'a flag of the second daemon that does not exist',
    ['combined', '--cluster-name=east', '--cluster-id=1', ADDRESS, '--', '--cluster-nam=east'],
    'kvstoremesh: unknown flag "--cluster-nam"; did you mean --cluster-name?',
  ],
  [
    'one list of flags for two daemons',
    ['combined', '--cluster-name=east', '--cluster-id=1', ADDRESS],
    'the flags of kvstoremesh are missing; put them behind --',
  ],
  [
    'a lease of the leader that is too short',
    ['clustermesh', '--leader-election-lease-duration=4s'],
    '"4s" is out of range; allowed: 5s to 5m0s',
  ],
  ['an unknown command', ['kvstoremehs'], 'unknown command "kvstoremehs"; did you mean kvstoremesh? allowed: clustermesh, '],
])('%s ends the program with one line and status 255', async (_, args, message) => {
  const { status, stdout, stderr } = await program(args);
  expect(stderr).toMatch(/^clustermesh-apiserver: [^\n]*\n$/);
  expect(stderr).toContain(message);
  expect({ status, stdout }).toEqual({ status: 255, stdout: '' });
});

test('values are parsed as by the agents, and unexpected ones are logged', async () => {
  const args = ['--cluster-name=east', '--cluster-id=010', '--k8s-client-qps=1e1', '--k8s-kubeconfig-path=/nonexistent'];
  const { status, stderr } = await program(['clustermesh', ...args], {
    CILIUM_DEBUG: 'yes',
    CILIUM_K8S_API_SERVER_URLS: 'https://127.0.0.1:1 https://127.0.0.1:2',
    CILIUM_KVSTORE_OPT: '{"etcd.address": "http://127.0.0.1:1", "etcd.qps": "100"}',
    CILIUM_MAX_CONNECTED_CLUSTERS: '511\n',
  });
  const lines = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string; code?: string; flags?: object });
  expect(lines[0]?.flags).toMatchObject({
    'cluster-id': '8',
    debug: 'false',
    'k8s-api-server-urls': '[https://127.0.0.1:1,https://127.0.0.1:2]',
    'k8s-client-qps': '10',
    'kvstore-opt': 'etcd.address=http://127.0.0.1:1,etcd.qps=100',
    'max-connected-clusters': '511',
  });
  expect(lines.map(({ msg }) => msg)).toEqual(
    expect.arrayContaining([
      'flag --cluster-id: "010" is 8, as in all Cilium programs',
      expect.stringMatching(/^environment variable CILIUM_DEBUG: "yes" is not a boolean and counts as false/),
    ]),
  );
  expect({ status, code: lines.at(-1)?.code }).toEqual({ status: 255, code: 'KUBE_CONFIG' });
});

test('a value from the environment is refused in the name of its variable', async () => {
  const { status, stderr } = await program(['kvstoremesh'], { CILIUM_HEALTH_PORT: '99999' });
  expect(stderr).toContain('environment variable CILIUM_HEALTH_PORT: "99999" is not a whole number');
  expect(status).toBe(255);
});

test.each(['clustermesh', 'kvstoremesh'])('the help of %s goes to standard output', async (command) => {
  const { status, stdout, stderr } = await program([command, '--help']);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toContain(`Usage:\n  clustermesh-apiserver ${command} [flags]`);
  expect(stdout).toContain('--cluster-name string');
  expect(stdout).not.toContain('--clustermesh-service-v2');
  expect(await program(['help', command])).toEqual({ status, stdout, stderr });
});

test.each([[[]], [['--help']]])('the commands are listed for %j', async (args) => {
  const { status, stdout, stderr } = await program(args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  for (const command of ['clustermesh', 'kvstoremesh', 'version', 'help'])
    expect(stdout).toMatch(new RegExp(`^ {2}${command} `, 'm'));
});

test('the version is one line', async () => {
  const { status, stdout } = await program(['version']);
  expect(stdout).toMatch(/^clustermesh-apiserver \d+\.\d+\.\d+ \S+ node \d+\.\d+\.\d+ \S+\/\S+\n$/);
  expect(status).toBe(0);
});
