import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { etcdinitFlagTable } from '../../src/etcdinit/flags.ts';
import { runEtcdinit } from '../../src/etcdinit/run.ts';
import type { EtcdAdminClient } from '../../src/shared/etcd/client.ts';
import { keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { bytes, connect, openClient, soon } from '../support/etcd/etcd-client.ts';
import { etcdVersions, startEtcd } from '../support/etcd/etcd-process.ts';
import { etcdPid, InitRig, isAlive, parentOf, reached, unstoppable } from '../support/processes/etcdinit-process.ts';
import { CertificateDirectory } from '../support/tls/certificates.ts';
import { until } from '../support/until.ts';

const [oldest] = etcdVersions();

/** Every step but emptying the directory, which comes before there is anything to leave behind. */
const STEPS = [
  'starting etcd',
  'waiting for etcd to serve requests',
  'adding the role local',
  'granting the role remote access to cilium/cluster-config/harbor',
  'adding the user root',
  'granting local to the user local-harbor',
  'enabling authentication',
  'stopping etcd',
];

describe.skipIf(oldest === undefined)('etcdinit', { timeout: 120_000 }, () => {
  test('that was killed at any step leaves no etcd behind and can be repeated', async () => {
    using rig = new InitRig(oldest);
    for (const step of STEPS) {
      await using child = rig.start();
      await reached(child, step);
      child.kill('SIGKILL');
      await child.outcome;
      const pid = etcdPid(child.stderrSoFar);
      if (pid !== undefined) await until(`the etcd of step "${step}" is gone`, () => !isAlive(pid));
    }
    const { status, stderr } = await rig.run();
    expect(status, stderr).toBe(0);
    await expectUsers(rig.dataDir);
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('ends on %s with status %i, and its etcd with it', async (signal, expected) => {
    using rig = new InitRig(oldest);
    await using child = rig.start();
    await reached(child, 'waiting for etcd to serve requests');
    child.kill(signal);
    expect((await child.outcome).status).toBe(expected);
    expect(isAlive(etcdPid(child.stderrSoFar) ?? 0)).toBe(false);
  });

  test('whose guard is killed stops its etcd itself, and reports it', async () => {
    using rig = new InitRig();
    rig.fakeEtcd('exec sleep 60');
    await using child = rig.start();
    await reached(child, 'waiting for etcd to serve requests');
    const pid = etcdPid(child.stderrSoFar) ?? 0;
    process.kill(parentOf(pid), 'SIGKILL');
    const { status, stderr } = await child.outcome;
    expect({ status, alive: isAlive(pid) }, stderr).toEqual({ status: 4, alive: false });
  });

  test('removes what is in the data directory, hidden files too, and keeps the directory', async () => {
    using rig = new InitRig(oldest);
    for (const name of ['left', '.hidden']) writeFileSync(join(rig.dataDir, name), '');
    const { status, stderr } = await rig.run();
    expect(status, stderr).toBe(0);
    expect(readdirSync(rig.dataDir)).toEqual(['member']);
  });

  test('gives users their plain names where the cluster has none', async () => {
    using rig = new InitRig(oldest);
    const { status, stderr } = await rig.run('--cluster-name=');
    expect(status, stderr).toBe(0);
    await using etcd = await startEtcd({ version: oldest?.version ?? '', dataDir: rig.dataDir });
    expect(await connect(etcd.endpoint).auth.isEnabled(soon())).toBe(true);
  });
});

/** Where a run with --etcd-keep-data records what it has initialized. */
const recordIn = (rig: InitRig) => join(rig.dataDir, 'member/clustermesh-apiserver.json');

describe.skipIf(oldest === undefined).each(etcdVersions())(
  'etcdinit --etcd-keep-data with etcd $version',
  { timeout: 120_000 },
  (binary) => {
    test('keeps the data of a run that was complete', async () => {
      using rig = new InitRig(binary);
      expect(await rig.run('--etcd-keep-data')).toMatchObject({ status: 0 });
      await putKey(rig, binary.version);
      const { status, stderr } = await rig.run('--etcd-keep-data');
      expect(status, stderr).toBe(0);
      expect(stderr).toContain('its data are kept');
      expect(await hasKey(rig, binary.version)).toBe(true);
      expect((await rig.run()).status).toBe(0);
      expect(await hasKey(rig, binary.version)).toBe(false);
    });
  },
);

describe.skipIf(oldest === undefined)('etcdinit --etcd-keep-data', { timeout: 120_000 }, () => {
  test('begins from an empty directory where a run was killed before etcd had stopped', async () => {
    using rig = new InitRig();
    rig.fakeEtcd(unstoppable(oldest?.path ?? ''));
    await using child = rig.start('--etcd-keep-data');
    await reached(child, 'stopping etcd');
    child.kill('SIGKILL');
    await child.outcome;
    await until('its etcd is gone', () => !isAlive(etcdPid(child.stderrSoFar) ?? 0));
    rig.fakeEtcd(`exec ${oldest?.path} "$@"`);
    const { status, stderr } = await rig.run('--etcd-keep-data');
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('removed the contents of the data directory');
    await expectUsers(rig.dataDir);
  });

  test('removes what another program left in the directory', async () => {
    using rig = new InitRig(oldest);
    writeFileSync(join(rig.dataDir, 'left'), '');
    expect(await rig.run('--etcd-keep-data')).toMatchObject({ status: 0 });
    expect(readdirSync(rig.dataDir)).toEqual(['member']);
  });

  test('refuses the data of another cluster, and deletes nothing', async () => {
    using rig = new InitRig(oldest);
    expect(await rig.run('--etcd-keep-data')).toMatchObject({ status: 0 });
    await putKey(rig, oldest?.version ?? '');
    const { status, stderr } = await rig.run('--etcd-keep-data', '--cluster-name=west');
    expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringContaining('has the data of cluster') });
    expect(stderr).toContain('nothing was changed; empty it, or set another directory');
    expect(await hasKey(rig, oldest?.version ?? '')).toBe(true);
  });

  test('refuses a directory whose record cannot be read', async () => {
    using rig = new InitRig(oldest);
    expect(await rig.run('--etcd-keep-data')).toMatchObject({ status: 0 });
    writeFileSync(recordIn(rig), '{');
    const { status, stderr } = await rig.run('--etcd-keep-data');
    expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringContaining('has an unknown origin') });
  });
});

describe('etcdinit refuses', () => {
  test.each([
    ['a data directory that is not there', '--etcd-data-dir=/none/of/it', 2, 'does not exist; create it'],
    ['a file for a data directory', `--etcd-data-dir=${process.execPath}`, 2, 'is not a directory'],
    ['to empty the file system', '--etcd-data-dir=/tmp/..', 2, 'is the root of the file system'],
    ['no data directory', '--etcd-data-dir=', 2, 'is not a path'],
    ['a bad name of the cluster', '--cluster-name=Harbor', undefined, 'flag --cluster-name: "Harbor"'],
  ])('%s, by a message of its own', async (_, flag, status, message) => {
    const flags = parseFlags(etcdinitFlagTable, [flag], {});
    if (flags === 'help') throw new Error('help was not requested');
    const run = runEtcdinit(flags.values, { log: silentLogger, clock: systemClock, ...soon() });
    await expect(run).rejects.toThrow(message);
    if (status !== undefined) await expect(run).rejects.toMatchObject({ status });
  });
});

describe('etcdinit reports an etcd that', { timeout: 120_000 }, () => {
  const etcd = oldest?.path ?? 'etcd';
  test.each<[string, string, number, string, string]>([
    ['ends by itself', 'echo "no room for the log" >&2; exit 3', 4, 'ETCDINIT_ENDED', 'with status 3'],
    [
      'never serves',
      'exec sleep 60',
      5,
      'ETCDINIT_TIMEOUT',
      'not done within 3s, current step: waiting for etcd to serve requests',
    ],
    [
      'refuses a role',
      `exec ${etcd} "$@" --max-request-bytes=60`,
      6,
      'ETCDINIT_REFUSED',
      'etcd rejected this step: granting the role local access to cilium/.heartbeat',
    ],
    [
      'does not end in order',
      `${etcd} "$@" & pid=$!; trap 'kill -9 $pid; exit 9' TERM; wait`,
      7,
      'ETCDINIT_STOP',
      'with status 9',
    ],
  ])('%s', async (_, script, expected, code, message) => {
    using rig = new InitRig();
    rig.fakeEtcd(script);
    const { status, stderr } = await rig.run(...(expected === 5 ? ['--timeout=3s'] : []));
    expect({ status, stderr }).toMatchObject({ status: expected, stderr: expect.stringContaining(code) });
    expect(stderr).toContain(message);
    expect(isAlive(etcdPid(stderr) ?? 0)).toBe(false);
  });

  test('cannot be started', async () => {
    using rig = new InitRig();
    rig.fakeEtcd('exit 0', 0o644);
    rig.isolated = true;
    const { status, stderr } = await rig.run('--timeout=5s');
    expect({ status, stderr }).toMatchObject({ status: 3, stderr: expect.stringContaining('etcd cannot be started') });
  });
});

/** Of a data directory that the oldest etcd has prepared. */
async function expectUsers(dataDir: string): Promise<void> {
  await using etcd = await startEtcd({ version: oldest?.version ?? '', dataDir });
  expect(await connect(etcd.endpoint).auth.isEnabled(soon())).toBe(true);
}

const KEY = keyOf('cilium/kept');

async function putKey(rig: InitRig, version: string): Promise<void> {
  await withRoot(rig, version, (client) => client.txn([{ type: 'put', key: KEY, value: bytes('1'), lease: NO_LEASE }], soon()));
}

async function hasKey(rig: InitRig, version: string): Promise<boolean> {
  return withRoot(rig, version, async (client) => (await client.get(KEY, soon())) !== undefined);
}

/** A client with all rights, of an etcd on the data directory that ends afterwards. */
async function withRoot<T>(rig: InitRig, version: string, task: (client: EtcdAdminClient) => Promise<T>): Promise<T> {
  const directory = new CertificateDirectory();
  try {
    const authority = directory.authority('mesh');
    const server = authority.issue({ name: 'server', alternatives: ['IP:127.0.0.1'] });
    await using etcd = await startEtcd({ version, dataDir: rig.dataDir, tls: { ...server, clientCaFile: authority.caFile } });
    const config = { endpoints: [etcd.endpoint], caFile: authority.caFile, ...authority.issue({ name: 'root' }) };
    const client = openClient([], { config });
    try {
      return await task(client);
    } finally {
      client.close();
    }
  } finally {
    directory.remove();
  }
}
