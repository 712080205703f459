/** What each user that etcdinit makes may do, by trying everything. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEtcdClient, type EtcdAdminClient } from '../../src/shared/etcd/client.ts';
import { AuthNotFoundError, PermissionDeniedError, UnauthenticatedError } from '../../src/shared/etcd/errors.ts';
import { type KeyValue, keyOf, NO_LEASE, type Revision } from '../../src/shared/etcd/types.ts';
import { type Logger, silentLogger } from '../../src/shared/process/log.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { bytes, soon } from '../support/etcd/etcd-client.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../support/etcd/etcd-process.ts';
import { ETCDCTL, etcdctlMissing } from '../support/etcd/etcdctl.ts';
import { InitRig } from '../support/processes/etcdinit-process.ts';
import { type Authority, CertificateDirectory, type CertificateFiles, canMakeCertificates } from '../support/tls/certificates.ts';

const missing = canMakeCertificates() ? etcdctlMissing() : 'no openssl 3';

/** A key of each range there is, and keys right beside the ranges; the list of each is that of everything below it. */
const KEYS = [
  'cilium/.has-cluster-config',
  'cilium/.has-cluster-config/more',
  'cilium/.heartbeat',
  'cilium/.heartbeat/more',
  'cilium/.heartbeau',
  'cilium/.initlock/a',
  'cilium/cache/nodes/v1/west/a',
  'cilium/cache0',
  'cilium/cluster-config/',
  'cilium/cluster-config/harbor',
  'cilium/cluster-config/harbor2',
  'cilium/cluster-config/west',
  'cilium/kvstoremesh-lock/a',
  'cilium/state/',
  'cilium/state/nodes/v1/harbor/a',
  'cilium/state0',
  'cilium/statement',
  'cilium/synced/',
  'cilium/synced/harbor/a',
  'cilium/synced/harbor',
  'cilium/synced/harbor2/a',
  'cilium/synced/west/a',
  'a',
];

const LOCAL = [
  'cilium/.has-cluster-config',
  'cilium/.heartbeat',
  'cilium/.heartbeat/more',
  'cilium/cache/nodes/v1/west/a',
  'cilium/cluster-config/',
  'cilium/cluster-config/harbor',
  'cilium/cluster-config/harbor2',
  'cilium/cluster-config/west',
  'cilium/synced/',
  'cilium/synced/harbor/a',
  'cilium/synced/harbor',
  'cilium/synced/harbor2/a',
  'cilium/synced/west/a',
];

const REMOTE = [
  'cilium/.has-cluster-config',
  'cilium/.heartbeat',
  'cilium/.heartbeat/more',
  'cilium/cluster-config/harbor',
  'cilium/state/',
  'cilium/state/nodes/v1/harbor/a',
  'cilium/synced/harbor/a',
];

/** False of those that only the single key is granted of. */
function isBelow(key: string): boolean {
  return key !== 'cilium/.has-cluster-config' && key !== 'cilium/cluster-config/harbor';
}

interface Rights {
  readonly get: readonly string[];
  /** Lists and watches of everything that begins with it. A single key can be read and not be listed. */
  readonly range: readonly string[];
  readonly write: readonly string[];
}

const USERS: Readonly<Record<string, Rights>> = {
  root: { get: KEYS, range: KEYS, write: KEYS },
  'admin-harbor': { get: KEYS, range: KEYS, write: KEYS },
  'local-harbor': { get: LOCAL, range: LOCAL.filter((key) => key !== 'cilium/.has-cluster-config'), write: [] },
  remote: { get: REMOTE, range: REMOTE.filter(isBelow), write: [] },
  'remote-west': { get: REMOTE, range: REMOTE.filter(isBelow), write: [] },
  stranger: { get: [], range: [], write: [] },
};

describe.skipIf(missing !== undefined).each(etcdVersions())(
  `rights on etcd $version${missing === undefined ? '' : ` (${missing})`}`,
  { timeout: 120_000 },
  (binary) => {
    const rig = new InitRig(binary);
    const directory = new CertificateDirectory();
    let authority: Authority;
    let etcd: EtcdProcess;
    /** As etcdinit has left it. */
    let prepared: KeyValue | undefined;
    const files = new Map<string, CertificateFiles>();
    const clients = new Map<string, EtcdAdminClient>();
    const logs = new Map<string, DenialLog>();

    const clientOf = (user: string) => clients.get(user) as EtcdAdminClient;
    const connect = (user: string) => {
      const certificate = authority.issue({ name: user });
      files.set(user, certificate);
      const config = { endpoints: [etcd.endpoint], caFile: authority.caFile, ...certificate };
      const denials = denialLog();
      logs.set(user, denials);
      clients.set(user, createEtcdClient({ config, name: user, log: denials.log, clock: systemClock }));
    };

    beforeAll(async () => {
      const { status, stderr } = await rig.run();
      if (status !== 0) throw new Error(stderr);
      authority = directory.authority('mesh');
      const server = authority.issue({ name: 'server', alternatives: ['IP:127.0.0.1'] });
      const { version } = binary;
      etcd = await startEtcd({ version, dataDir: rig.dataDir, tls: { ...server, clientCaFile: authority.caFile } });
      for (const user of Object.keys(USERS)) connect(user);
      prepared = await clientOf('remote').get(keyOf('cilium/.has-cluster-config'), soon());
      const root = clientOf('root');
      await root.txn(
        KEYS.map((key) => ({ type: 'put', key: keyOf(key), value: bytes('0'), lease: NO_LEASE }) as const),
        soon(),
      );
      await root.auth.addUser('remote-west', soon());
      await root.auth.grantRole('remote-west', 'remote', soon());
    }, 60_000);

    afterAll(async () => {
      for (const client of clients.values()) client.close();
      await etcd?.stop();
      directory.remove();
      rig[Symbol.dispose]();
    });

    test('authentication is on, and there are the users and roles of the original', async () => {
      const { auth } = clientOf('root');
      expect(await auth.isEnabled(soon())).toBe(true);
      const users = [...(await auth.users(soon()))].sort();
      expect(users).toEqual(['admin-harbor', 'local-harbor', 'remote', 'remote-west', 'root']);
      expect(await Promise.all(users.map((user) => auth.rolesOf(user, soon())))).toEqual([
        ['root'],
        ['local'],
        ['remote'],
        ['remote'],
        ['root'],
      ]);
      expect([...(await auth.roles(soon()))].sort()).toEqual(['local', 'remote']);
      const heartbeat = { access: 'read', key: 'cilium/.heartbeat', end: 'cilium/.heartbeau' };
      const marker = { access: 'read', key: 'cilium/.has-cluster-config' };
      expect(await auth.permissionsOf('local', soon())).toEqual([
        marker,
        heartbeat,
        { access: 'read', key: 'cilium/cache/', end: 'cilium/cache0' },
        { access: 'read', key: 'cilium/cluster-config/', end: 'cilium/cluster-config0' },
        { access: 'read', key: 'cilium/synced/', end: 'cilium/synced0' },
      ]);
      expect(await auth.permissionsOf('remote', soon())).toEqual([
        marker,
        heartbeat,
        { access: 'read', key: 'cilium/cluster-config/harbor' },
        { access: 'read', key: 'cilium/state/', end: 'cilium/state0' },
        { access: 'read', key: 'cilium/synced/harbor/', end: 'cilium/synced/harbor0' },
      ]);
    });

    test('the key that agents of 1.15 read first exists before they can connect, and stays', async () => {
      const key = keyOf('cilium/.has-cluster-config');
      expect(prepared).toMatchObject({ key, value: bytes('true'), lease: NO_LEASE });
      for (const user of ['local-harbor', 'remote', 'remote-west'])
        expect((await clientOf(user).get(key, soon()))?.key).toBe(key);
    });

    test.each(Object.entries(USERS))('%s reads and writes what it may, and nothing else', async (user, rights) => {
      const client = clientOf(user);
      const seen = {
        get: await allowed((key) => client.get(keyOf(key), soon())),
        list: await allowed((key) => first(client.list(keyOf(key), soon()))),
        watch: await allowed((key) => canWatch(client, logs.get(user) as DenialLog, key)),
        put: await allowed((key) => client.txn([{ type: 'put', key: keyOf(key), value: bytes('1'), lease: NO_LEASE }], soon())),
        create: await allowed((key) => client.putIfAbsent(keyOf(key), bytes('1'), NO_LEASE, soon())),
        delete: await allowed((key) => client.txn([{ type: 'delete', key: keyOf(key) }], soon())),
      };
      const { get, range, write } = rights;
      expect(seen).toEqual({ get, list: range, watch: range, put: write, create: write, delete: write });
    });

    test.each(Object.entries(USERS))('%s changes users and roles only with the role root', async (user, rights) => {
      const { auth } = clientOf(user);
      const isRoot = rights.write.length > 0;
      const calls: Readonly<Record<string, () => Promise<unknown>>> = {
        users: () => auth.users(soon()),
        roles: () => auth.roles(soon()),
        rolesOf: async () => found(await auth.rolesOf('root', soon())),
        permissionsOf: async () => found(await auth.permissionsOf('local', soon())),
        addUser: () => auth.addUser('new', soon()),
        grantRole: () => auth.grantRole('new', 'remote', soon()),
        revokeRole: () => auth.revokeRole('new', 'remote', soon()),
        deleteUser: () => auth.deleteUser('new', soon()),
        addRole: () => auth.addRole('new', soon()),
        grantPermission: () => auth.grantPermission('new', { access: 'readwrite', key: keyOf('a') }, soon()),
        revokePermission: () => auth.revokePermission('new', { key: keyOf('a') }, soon()),
        deleteRole: () => auth.deleteRole('new', soon()),
        enable: () => auth.enable(soon()),
      };
      const seen: Record<string, boolean> = {};
      for (const [name, call] of Object.entries(calls)) seen[name] = await isAllowed(call);
      const ownRoles = { rolesOf: isRoot, permissionsOf: isRoot || user === 'local-harbor' };
      const expected = Object.fromEntries(Object.keys(calls).map((name) => [name, isRoot]));
      expect(seen).toEqual({ ...expected, ...ownRoles });
      expect(await auth.isEnabled(soon())).toBe(true);
      if (!isRoot) expect(await isAllowed(() => auth.disable(soon()))).toBe(false);
    });

    test.each(['admin-harbor', 'local-harbor', 'remote-west', 'stranger'])(
      '%s maintains the store as far as etcd checks permissions at all',
      async (user) => {
        const seen: Record<string, string> = {};
        for (const [name, args] of Object.entries(MAINTENANCE)) seen[name] = await etcdctl(user, args);
        seen.snapshot = await etcdctl(user, ['snapshot', 'save', join(rig.directory, `snapshot-${user}`)]);
        const isRoot = user === 'admin-harbor';
        const everybody = [
          'status',
          'alarms',
          'disarm',
          'members',
          'grant',
          'leases',
          ...(binary.minor === '3.4' ? ['compaction'] : []),
        ];
        expect(seen).toEqual(
          Object.fromEntries(Object.keys(seen).map((name) => [name, isRoot || everybody.includes(name) ? 'yes' : 'no'])),
        );
      },
    );

    test('a lease with keys cannot be revoked by a user without write permission for them', async () => {
      const admin = clientOf('admin-harbor');
      const lease = await admin.grantLease(600, soon());
      await admin.txn([{ type: 'put', key: keyOf('cilium/state/leased'), value: bytes('1'), lease }], soon());
      for (const user of ['local-harbor', 'remote', 'remote-west', 'stranger'])
        expect(await isAllowed(() => clientOf(user).revokeLease(lease, soon())), user).toBe(false);
      expect(await admin.get(keyOf('cilium/state/leased'), soon())).toMatchObject({ lease });
    });

    test('a user that is deleted, or loses its role, is refused with its next request', async () => {
      const root = clientOf('root');
      const key = keyOf('cilium/state/leased');
      await root.auth.revokeRole('remote-west', 'remote', soon());
      await expect(clientOf('remote-west').get(key, soon())).rejects.toThrow(PermissionDeniedError);
      await root.auth.grantRole('remote-west', 'remote', soon());
      await clientOf('remote-west').get(key, soon());
      await root.auth.deleteUser('remote-west', soon());
      await expect(clientOf('remote-west').get(key, soon())).rejects.toThrow(PermissionDeniedError);
      await clientOf('remote').get(key, soon());
    });

    async function etcdctl(user: string, args: readonly string[]): Promise<string> {
      const { certFile, keyFile } = files.get(user) as CertificateFiles;
      const tls = [`--cacert=${authority.caFile}`, `--cert=${certFile}`, `--key=${keyFile}`];
      const env = { ...process.env, ETCDCTL_API: '3' };
      try {
        await promisify(execFile)(ETCDCTL, [...args, `--endpoints=${etcd.endpoint}`, ...tls], { env });
        return 'yes';
      } catch (thrown) {
        const { stderr } = thrown as { stderr?: string };
        // A user with permission has already compacted this.
        if (/has been compacted/.test(String(stderr))) return 'yes';
        return /permission denied|user( name)? not found/.test(String(stderr)) ? 'no' : String(stderr);
      }
    }
  },
);

const MAINTENANCE: Readonly<Record<string, readonly string[]>> = {
  compaction: ['compaction', '1'],
  defrag: ['defrag'],
  status: ['endpoint', 'status'],
  hash: ['endpoint', 'hashkv'],
  alarms: ['alarm', 'list'],
  disarm: ['alarm', 'disarm'],
  members: ['member', 'list'],
  grant: ['lease', 'grant', '60'],
  leases: ['lease', 'list'],
  addMember: ['member', 'add', 'x', '--peer-urls=http://127.0.0.1:1', '--learner'],
};

async function allowed(call: (key: string) => Promise<unknown>): Promise<readonly string[]> {
  const keys: string[] = [];
  for (const key of KEYS) if (await isAllowed(() => call(key))) keys.push(key);
  return keys;
}

/** An unknown user receives the error that the user, itself, does not exist. */
function found(answer: unknown): void {
  if (answer === undefined) throw new AuthNotFoundError('no answer');
}

const REFUSALS = [PermissionDeniedError, UnauthenticatedError, AuthNotFoundError];

async function isAllowed(call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call();
    return true;
  } catch (thrown) {
    // The last one is the error for an unknown user that requests users and roles.
    if (REFUSALS.some((refusal) => thrown instanceof refusal)) return false;
    throw thrown;
  }
}

async function first<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}

/** The history of every key starts with a put. A denied watch logs it and retries. */
async function canWatch(client: EtcdAdminClient, log: DenialLog, key: string): Promise<void> {
  const stop = new AbortController();
  log.onDenied = () => stop.abort(new PermissionDeniedError());
  const signal = AbortSignal.any([stop.signal, soon().signal]);
  for await (const batch of client.watch(keyOf(key), { from: 1 as Revision, signal })) {
    expect(batch.kind).toBe('events');
    return;
  }
  throw signal.reason;
}

interface DenialLog {
  readonly log: Logger;
  onDenied: () => void;
}

function denialLog(): DenialLog {
  const log = Object.create(silentLogger) as Logger;
  const denials: DenialLog = { log, onDenied: () => undefined };
  const warn = ({ code }: { code?: string }) => {
    if (code === 'ETCD_PERMISSION_DENIED') denials.onDenied();
  };
  return Object.assign(denials, { log: Object.assign(log, { child: () => log, warn }) });
}
