import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { clustermeshDbg } from '../../../src/cli/debug/clustermesh-dbg.ts';
import { kvstoremeshDbg } from '../../../src/cli/debug/kvstoremesh-dbg.ts';
import { OPENAPI } from '../../../src/kvstoremesh/status/openapi.ts';
import { fetchStatus, StatusUnavailableError } from '../../../src/kvstoremesh/status/status-client.ts';
import { FlagError } from '../../../src/shared/flags/error.ts';
import { MAX_STATUS_BYTES } from '../../../src/shared/limits.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { ConfigDirectory, harborFlags } from '../../support/kvstoremesh/config-directory.ts';
import { type Remote, type Store, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { freePort } from '../../support/network/free-port.ts';
import { type Outcome, runChild } from '../../support/processes/child.ts';
import { type Daemon, startDaemon } from '../../support/processes/daemon.ts';
import { until } from '../../support/until.ts';
import { clusterFile, directoryForTest, split } from './mesh-directory.ts';
import { violationsOf } from './schema.ts';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

function program(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  return runChild(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args], { env });
}

describe('the command line', () => {
  test.each([[['kvstoremesh-dbg']], [['help', 'kvstoremesh-dbg']]])('%j lists what the command can do', async (args) => {
    const { status, stdout, stderr } = await program(args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('Usage:\n  clustermesh-apiserver kvstoremesh-dbg <command> [flags]\n');
    for (const command of ['doctor', 'status', 'troubleshoot']) expect(stdout).toMatch(new RegExp(`^ {2}${command} `, 'm'));
  });

  test('a subcommand has a help of its own', async () => {
    const { status, stdout } = await program(['kvstoremesh-dbg', 'troubleshoot', '--help']);
    expect(status).toBe(0);
    expect(stdout).toContain('Usage:\n  clustermesh-apiserver kvstoremesh-dbg troubleshoot [flags] [clusters...]\n');
    expect(stdout).toContain('--clustermesh-config string');
  });

  test('what is wrong with it is one line and status 255', async () => {
    const { status, stdout, stderr } = await program(['kvstoremesh-dbg', 'statsu']);
    expect(stderr).toMatch(/^clustermesh-apiserver: unknown command "statsu"; did you mean status\? [^\n]*\n$/);
    expect({ status, stdout }).toEqual({ status: 255, stdout: '' });
  });

  test.each<[readonly string[], string]>([
    [['clustermesh-dbg', 'status'], 'unknown command "status"; allowed: doctor, export-plan, troubleshoot'],
    [
      ['clustermesh-dbg', 'export-plan', '--selector=env in prod'],
      'flag --selector: "env in prod" is not a label selector: unexpected "prod" at character 8; allowed: (',
    ],
    [['clustermesh-dbg', 'export-plan', '--enable-k8s=false'], 'this command reads Kubernetes objects'],
    [['clustermesh-dbg', 'export-plan', '-o', 'table'], 'flag --output: "table" is not supported'],
    [['kvstoremesh-dbg', 'status', '--verbos'], 'unknown flag "--verbos"; did you mean --verbose?'],
    [['kvstoremesh-dbg', 'status', 'berlin'], 'unexpected argument "berlin"'],
    [['kvstoremesh-dbg', 'status', '-o', 'xml'], 'flag --output: "xml" is not supported; allowed: json, yaml, jsonpath='],
    [['kvstoremesh-dbg', 'status', '-o', 'jsonpath={[}'], 'flag --output: jsonpath "{[}": cannot parse'],
    [['kvstoremesh-dbg', 'troubleshoot', '--timeout=5'], 'flag --timeout: "5" is not a duration'],
    [['clustermesh-dbg', 'troubleshoot', 'berlin'], 'unexpected argument "berlin"'],
    [['clustermesh-dbg', 'doctor', 'berlin'], 'unexpected argument "berlin"'],
    [['kvstoremesh-dbg', 'doctor', '-o', 'xml'], 'flag --output: "xml" is not supported; allowed: json, yaml, jsonpath='],
  ])('%j is refused', async ([command, ...args], message) => {
    const run = command === 'clustermesh-dbg' ? clustermeshDbg : kvstoremeshDbg;
    const refused = run.run(args);
    await expect(refused).rejects.toThrow(FlagError);
    await expect(refused).rejects.toThrow(message);
  });
});

describe('the status of', () => {
  test('without a server it prints a question, with status 1', async () => {
    expect(await program(['kvstoremesh-dbg', 'status', '-H', 'localhost:1'])).toEqual({
      status: 1,
      stdout: 'Failed to retrieve status information: is KVStoreMesh running and serving the API on localhost:1?\n',
      stderr: '',
    });
  });

  test('another server is one line, with status 1', async () => {
    const { port } = await serve((_, answer) => answer.end('{"a":1}'));
    expect(await program(['kvstoremesh-dbg', 'status', `--host=127.0.0.1:${port}`])).toEqual({
      status: 1,
      stdout: 'Failed to output status information: the response is not the status of KVStoreMesh; check --host\n',
      stderr: '',
    });
  });

  test.each<[string, RequestListener, string]>([
    ['another status', (_, answer) => answer.writeHead(404).end('{}'), 'answered 404; is it KVStoreMesh?'],
    ['no JSON', (_, answer) => answer.end('<html>'), 'is not JSON; is it KVStoreMesh?'],
    [
      'half an answer',
      (_, answer) => void answer.writeHead(200, { 'content-length': 10 }).write('[', () => answer.destroy()),
      'aborted',
    ],
    ['no end', (_, answer) => endless(answer), `larger than ${MAX_STATUS_BYTES} bytes`],
  ])('a server with %s is unavailable', async (_, listener, message) => {
    const { port } = await serve(listener);
    const asked = fetchStatus(`http://127.0.0.1:${port}`);
    await expect(asked).rejects.toThrow(StatusUnavailableError);
    await expect(asked).rejects.toThrow(message);
  });

  test.each(['', 'https://localhost:9889', 'local host:1'])('%j is no address', async (host) => {
    await expect(fetchStatus(host)).rejects.toThrow(/is not an address; allowed: host:port, such as localhost:9889/);
  });
});

async function serve(listener: RequestListener): Promise<AddressInfo> {
  const server = createServer(listener);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  return server.address() as AddressInfo;
}

function endless(answer: ServerResponse): void {
  const chunk = Buffer.alloc(1024 * 1024, ' ');
  const write = () => {
    if (!answer.destroyed) answer.write(chunk, write);
  };
  write();
}

describe.skipIf(etcdVersions().length === 0)('of a daemon that runs (needs etcd)', () => {
  let local: Store;
  let berlin: Remote;
  let daemon: Daemon;
  let directory: ConfigDirectory;
  let host: string;

  beforeAll(async () => {
    directory = new ConfigDirectory();
    local = await startLocal();
    berlin = await startFullRemote('berlin', 7);
    directory.write('berlin', clusterFile([berlin.process.endpoint]));
    directory.write('oslo', clusterFile([`http://127.0.0.1:${await freePort()}`]));
    host = `127.0.0.1:${await freePort()}`;
    daemon = await startDaemon('kvstoremesh', [
      ...harborFlags(local, directory),
      `--api-serve-addr=${host}`,
      '--per-cluster-ready-timeout=100ms',
    ]);
    await daemon.ready();
    await until('berlin is mirrored', async () => (await answer()).some(({ ready }) => ready));
  });
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    await berlin[Symbol.asyncDispose]();
    await local[Symbol.asyncDispose]();
  });

  const answer = async () => (await (await fetch(`http://${host}/v1/cluster`)).json()) as { name: string; ready?: boolean }[];

  test('the status shows ready clusters in a line, others with their details, and why', async () => {
    const { status, stdout, stderr } = await program(['kvstoremesh-dbg', '--host', host, 'status']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const [documented, notes] = stdout.split('\nNotes:\n');
    expect(documented).toBe(
      [
        'KVStoreMesh:\t1/2 remote clusters ready',
        '   berlin: ready, 1 nodes, 1 endpoints, 1 identities, 1 services, 1 endpoint slices, 1 MCS-API service exports, 0 reconnections (last: never)',
        '   oslo: not-ready, 0 nodes, 0 endpoints, 0 identities, 0 services, 0 endpoint slices, 0 MCS-API service exports, 0 reconnections (last: never)',
        '   └  Waiting for initial connection to be established',
        '   └  remote configuration: expected=unknown, retrieved=unknown',
        '   └  synchronization status: nodes=false, endpoints=false, identities=false, services=true',
        '',
      ].join('\n'),
    );
    expect(notes).toMatch(/^ {3}oslo: .*; run "kvstoremesh-dbg troubleshoot oslo" to check the connection\n$/);
  });

  test('the status is also there for programs', async () => {
    const as = async (form: string) => (await program(['kvstoremesh-dbg', 'status', '-H', host, '-o', form])).stdout;
    expect(JSON.parse(await as('json'))).toEqual(await answer());
    expect(await as('yaml')).toMatch(/^- config:\n {4}cluster-id: 7\n/);
    expect(await as('jsonpath={[*].name}')).toBe('berlin oslo\n');
  });

  test('its responses match its description', async () => {
    const document = (await (await fetch(`http://${host}/swagger.json`)).json()) as typeof OPENAPI;
    expect(document).toEqual(JSON.parse(JSON.stringify(OPENAPI)));
    const { schema } = document.paths['/cluster'].get.responses[200];
    expect(violationsOf(await answer(), schema, document.definitions)).toEqual([]);
    const missing = await fetch(`http://${host}/v1/nodes`);
    expect(violationsOf(await missing.json(), document.definitions.Error, document.definitions)).toEqual([]);
  });

  test('troubleshooting reads the same directory, and succeeds with any findings', async () => {
    const env = { CLUSTER_NAME: 'oslo' };
    const { status, stdout, stderr } = await program(
      ['kvstoremesh-dbg', 'troubleshoot', 'oslo', 'berlin', `--clustermesh-config=${directory.path}/`],
      env,
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { documented, verdicts } = split(stdout);
    expect(documented).toContain(
      'Found 2 cluster configurations\nTroubleshooting filtered subset of clusters: oslo, berlin\n\nCluster "berlin":\n',
    );
    expect(documented).toContain(`📄 Configuration path: ${directory.path}/berlin\n`);
    expect(documented).toContain('Cluster "oslo":\nℹ️  This entry corresponds to the local cluster\n');
    expect(verdicts).toContainEqual(expect.stringContaining('oslo: http://127.0.0.1'));
  });

  test('the local etcd is checked alone by the other command', async () => {
    const path = join(directoryForTest({ 'etcd.yaml': clusterFile([local.process.endpoint]) }), 'etcd.yaml');
    const { status, stdout } = await program(['clustermesh-dbg', 'troubleshoot', `--etcd-config=${path}`]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Local etcd kvstore:\n📄 Configuration path: .*\n\n🔌 Endpoints:\n/);
    expect(stdout).toMatch(/✅ Etcd connection successfully established\n.*\n\nVerdict: no problem found\n$/);
  });

  test('a reader that closes the pipe ends the command silently', async () => {
    const shell = `"$0" "$@" | head -n 1`;
    const args = [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      main,
      'kvstoremesh-dbg',
      'troubleshoot',
      `--clustermesh-config=${directory.path}`,
    ];
    const { status, stdout, stderr } = await runChild('sh', ['-c', shell, ...args]);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'Found 2 cluster configurations\n', stderr: '' });
  });
});
