/** Faults of the local etcd `harbor`, each with the finding that names it. */
import { writeFileSync } from 'node:fs';
import { NoLeaderError } from '../../src/shared/etcd/errors.ts';
import { HEARTBEAT_KEY } from '../../src/shared/etcd/keyspace.ts';
import { keyOf, prefixEnd } from '../../src/shared/etcd/types.ts';
import { connect, openClient, revisionOf, soon } from '../support/etcd/etcd-client.ts';
import { EtcdCluster } from '../support/etcd/etcd-cluster.ts';
import { startEtcd } from '../support/etcd/etcd-process.ts';
import { etcd3Client } from '../support/etcd/etcd-users.ts';
import { freePort } from '../support/network/free-port.ts';
import { until } from '../support/until.ts';
import { type ExamineOptions, type Mesh, MeshEtcd } from './mesh.ts';
import type { Fault } from './remote-faults.ts';

const at = (mesh: Mesh, endpoint: string) => writeFileSync(mesh.localConfig, `endpoints: ["${endpoint}"]\n`);

/** What the client of the program has no call for, as root. */
async function asRoot<T>(mesh: Mesh, work: (root: ReturnType<typeof etcd3Client>) => Promise<T>): Promise<T> {
  // The package sends the host as the server name, which must not be an address.
  const endpoint = mesh.of('harbor').process.endpoint.replace('127.0.0.1', 'localhost');
  const root = etcd3Client(endpoint, { authority: mesh.pki.authority, user: 'root' });
  try {
    return await work(root);
  } finally {
    root.close();
  }
}

const alarmed = (alarm: 'Nospace' | 'Corrupt') => async (mesh: Mesh) => {
  await asRoot(mesh, async (root) => {
    const { header } = await root.maintenance.status();
    await root.maintenance.alarm({ action: 'Activate', alarm, memberID: header.member_id });
  });
  mesh.onHeal(() =>
    asRoot(mesh, async (root) => {
      const { alarms } = await root.maintenance.alarm({ action: 'Get' });
      for (const each of alarms) await root.maintenance.alarm({ ...each, action: 'Deactivate' });
    }),
  );
};

/** Of the etcds whose database is filled. */
const MIB = 1024 * 1024;
const QUOTA_BYTES = 32 * MIB;

/** Another etcd of harbor, with a small quota, takes the place of the local one; so many MiB are put into its database. */
async function filled(mesh: Mesh, mebibytes: number): Promise<{ readonly etcd: MeshEtcd; readonly options: ExamineOptions }> {
  const tls = { ...mesh.pki.server, clientCaFile: mesh.pki.authority.caFile };
  const etcd = await MeshEtcd.start('harbor', 200, mesh.pki, { tls, args: [`--quota-backend-bytes=${QUOTA_BYTES}`] });
  mesh.onHeal(() => etcd[Symbol.asyncDispose]());
  const { endpoint, metricsEndpoint } = etcd.process;
  writeFileSync(mesh.localConfig, mesh.file('harbor', { endpoints: [endpoint], files: mesh.pki.client('admin-harbor') }));
  // Pages with larger values are rewritten when a neighbour is added: the database would have more than these bytes.
  for (let index = 0; index < 4 * mebibytes; index += 1) await etcd.put(`unrelated/${index}`, Buffer.alloc(MIB / 4, 'x'));
  // The size is that of the last commit.
  const isCommitted = async () => (await etcd.admin.maintenance.status(soon())).dbSize > mebibytes * MIB;
  await until('the database has its size', isCommitted);
  return { etcd, options: { metricsUrl: `${metricsEndpoint}/metrics` } };
}

/** Nothing of what was filled is in use any more, and the file keeps its size. */
async function emptied(etcd: MeshEtcd, mesh: Mesh): Promise<void> {
  const {
    admin,
    process: { endpoint },
  } = etcd;
  const key = keyOf('unrelated/');
  await admin.txn([{ type: 'delete', key, end: prefixEnd(key) }], soon());
  const root = etcd3Client(endpoint.replace('127.0.0.1', 'localhost'), { authority: mesh.pki.authority, user: 'root' });
  try {
    await root.kv.compact({ revision: String(await revisionOf(admin)), physical: true });
  } finally {
    root.close();
  }
  let last: unknown;
  // Pages are free after the next write.
  const isFree = async () => {
    await etcd.beat();
    const { dbSize, dbSizeInUse } = await admin.maintenance.status(soon());
    last = { dbSize, dbSizeInUse };
    return dbSizeInUse < dbSize / 2;
  };
  await until('the space is free', isFree, { status: () => last });
}

export const LOCAL_FAULTS: readonly Fault[] = [
  {
    name: 'a local etcd that does not run',
    finding: 'tcp-refused error local etcd',
    says: /nothing listens on/,
    async plant(mesh) {
      at(mesh, `https://127.0.0.1:${await freePort()}`);
    },
  },
  { name: 'the alarm of a full database', finding: 'etcd-alarm error local etcd', says: /NOSPACE/, plant: alarmed('Nospace') },
  { name: 'the alarm of different members', finding: 'etcd-alarm error local etcd', says: /CORRUPT/, plant: alarmed('Corrupt') },
  {
    name: 'a database near its quota',
    finding: 'etcd-quota warning local etcd',
    says: /\d\d % of the quota: .* of a quota of 32\.0 MiB/,
    plant: async (mesh) => (await filled(mesh, 27)).options,
  },
  {
    name: 'a fragmented database',
    finding: 'etcd-fragmentation warning local etcd',
    says: /in use of .*defrag/,
    async plant(mesh) {
      const { etcd, options } = await filled(mesh, 12);
      await emptied(etcd, mesh);
      return options;
    },
  },
  {
    name: 'a member without a leader',
    finding: 'etcd-leader error local etcd',
    says: /no leader/,
    async plant(mesh) {
      const cluster = await EtcdCluster.start();
      mesh.onHeal(() => cluster[Symbol.asyncDispose]());
      await Promise.all([cluster.member(1).kill(), cluster.member(2).kill()]);
      const { endpoint } = cluster.member(0);
      const client = connect(endpoint);
      const isMissed = () =>
        client.get(HEARTBEAT_KEY, soon()).then(
          () => false,
          (thrown) => thrown instanceof NoLeaderError,
        );
      await until('the leader is missed', isMissed);
      at(mesh, endpoint);
      return { timeoutMs: 2_000 };
    },
  },
  {
    name: 'a member without a vote',
    finding: 'etcd-learner error local etcd',
    says: /learner/,
    async plant(mesh) {
      const [first, second] = [await freePort(), await freePort()].map((port) => `http://127.0.0.1:${port}`);
      const member = (name: string, peers: Readonly<Record<string, string>>) => ({
        name,
        peerListenUrl: peers[name] ?? '',
        peers,
      });
      const clusterToken = 'learner';
      const voter = await startEtcd({ clusterToken, member: member('a', { a: first ?? '' }) });
      mesh.onHeal(() => voter.stop());
      const client = openClient(voter.endpoint);
      await client.members.addLearner(second ?? '', soon());
      client.close();
      const peers = { a: first ?? '', b: second ?? '' };
      const args = ['--initial-cluster-state=existing'];
      const learner = await startEtcd({ clusterToken, member: member('b', peers), args });
      mesh.onHeal(() => learner.stop());
      at(mesh, learner.endpoint);
      return { timeoutMs: 2_000 };
    },
  },
  {
    name: 'authentication that is off',
    finding: 'etcd-auth error local etcd',
    says: /every client .* may write/,
    async plant(mesh) {
      const { auth } = mesh.of('harbor').admin;
      mesh.onHeal(() => auth.enable(soon()));
      await auth.disable(soon());
    },
  },
  {
    name: 'a user that is missing',
    finding: 'etcd-users error local etcd',
    says: /the user local-harbor does not exist/,
    async plant(mesh) {
      const { auth } = mesh.of('harbor').admin;
      mesh.onHeal(async () => {
        await auth.addUser('local-harbor', soon());
        await auth.grantRole('local-harbor', 'local', soon());
      });
      await auth.deleteUser('local-harbor', soon());
    },
  },
  {
    name: 'a user without its role',
    finding: 'etcd-users error local etcd',
    says: /the user remote does not have the role remote/,
    async plant(mesh) {
      const { auth } = mesh.of('harbor').admin;
      mesh.onHeal(() => auth.grantRole('remote', 'remote', soon()));
      await auth.revokeRole('remote', 'remote', soon());
    },
  },
  {
    name: 'a role without a permission',
    finding: 'etcd-roles error local etcd',
    says: /the role remote may not read cilium\/\.heartbeat/,
    async plant(mesh) {
      const { auth } = mesh.of('harbor').admin;
      const range = { key: HEARTBEAT_KEY, end: prefixEnd(HEARTBEAT_KEY) };
      mesh.onHeal(() => auth.grantPermission('remote', { access: 'read', ...range }, soon()));
      await auth.revokePermission('remote', range, soon());
    },
  },
  {
    name: 'a certificate of the daemon that has expired',
    finding: 'certificate-expired error local etcd',
    says: /client certificate CN=admin-harbor expired/,
    plant(mesh) {
      const files = mesh.pki.authority.issueExpired({ name: 'admin-harbor' });
      writeFileSync(mesh.localConfig, mesh.file('harbor', { files }));
    },
  },
  {
    name: 'a user of the daemon that may not list users',
    finding: 'etcd-users unknown local etcd',
    says: /may not list users/,
    plant(mesh) {
      writeFileSync(mesh.localConfig, mesh.file('harbor', { files: mesh.pki.client('local-harbor') }));
    },
  },
];
