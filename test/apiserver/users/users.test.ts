import { describe, expect, test } from 'vitest';
import { openClient, soon } from '../../support/etcd/etcd-client.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { until } from '../../support/until.ts';
import { BUILTIN, UsersFile, UsersRun, usersText } from './users-fixture.ts';

/** An etcd with the roles of a mesh and the users it begins with. */
async function etcdWithRoles(version?: string): Promise<EtcdProcess> {
  const etcd = await startEtcd(version === undefined ? {} : { version });
  await setUp(etcd);
  return etcd;
}

async function setUp(etcd: EtcdProcess): Promise<void> {
  const client = openClient(etcd.endpoint);
  for (const role of ['local', 'remote']) await client.auth.addRole(role, soon());
  for (const [user, role] of Object.entries(BUILTIN)) {
    await client.auth.addUser(user, soon());
    await client.auth.grantRole(user, role, soon());
  }
  client.close();
}

describe.skipIf(etcdVersions().length === 0)('the users of etcd', { timeout: 90_000 }, () => {
  test.each(etcdVersions())('are those of the file, also when it changes, on etcd $version', async ({ version }) => {
    await using etcd = await etcdWithRoles(version);
    const file = new UsersFile();
    file.writeUsers({ 'remote-a': 'remote', 'remote-b': 'remote' });
    await using run = new UsersRun(etcd.endpoint, file);
    await run.has({ 'remote-a': 'remote', 'remote-b': 'remote' });
    file.writeUsers({ 'remote-a': 'local', 'remote-c': 'remote' });
    await run.has({ 'remote-a': 'local', 'remote-c': 'remote' });
    file.write('users: []\n');
    await run.has({});
  });

  test('follow a file that is swapped, replaced, and missing at the start', async () => {
    await using etcd = await etcdWithRoles();
    const file = new UsersFile();
    await using run = new UsersRun(etcd.endpoint, file);
    await until('the missing file is counted', async () => (await run.failures('file')) === 1);
    file.project(usersText({ 'remote-a': 'remote' }));
    await run.has({ 'remote-a': 'remote' });
    file.project(usersText({ 'remote-b': 'remote' }));
    await run.has({ 'remote-b': 'remote' });
    file.replace(usersText({ 'remote-c': 'remote' }));
    await run.has({ 'remote-c': 'remote' });
  });

  test.each([
    ['broken', (file: UsersFile) => file.write('users: [oops')],
    ['empty', (file: UsersFile) => file.write('')],
    ['gone', (file: UsersFile) => file.remove()],
    ['no list of users', (file: UsersFile) => file.write('users: {remote-z: remote}\n')],
  ])('stay as they are while the file is %s, which is counted', async (_, spoil) => {
    await using etcd = await etcdWithRoles();
    const file = new UsersFile();
    file.writeUsers({ 'remote-a': 'remote' });
    await using run = new UsersRun(etcd.endpoint, file);
    await run.has({ 'remote-a': 'remote' });
    spoil(file);
    await until('it is counted', async () => (await run.failures('file')) > 0);
    expect(run.runs.at(-1)).toBe(false);
    expect(run.health.problems()).toEqual([expect.stringMatching(/^users: USERS_FILE_INVALID: users file .*users\.yaml/)]);
    await run.has({ 'remote-a': 'remote' });
    file.writeUsers({ 'remote-b': 'remote' });
    await run.has({ 'remote-b': 'remote' });
    await until('the run succeeds', () => run.runs.at(-1));
    expect(run.health.problems()).toEqual([]);
  });

  test('lose only the entry whose role etcd does not have, and have it when the role comes', async () => {
    await using etcd = await etcdWithRoles();
    const file = new UsersFile();
    file.writeUsers({ 'remote-old': 'remote', 'remote-a': 'remote' });
    await using run = new UsersRun(etcd.endpoint, file);
    await run.has({ 'remote-old': 'remote', 'remote-a': 'remote' });
    file.writeUsers({ 'remote-x': 'auditor', 'remote-a': 'auditor', 'remote-b': 'remote' });
    await run.has({ 'remote-a': 'remote', 'remote-b': 'remote' });
    await until('both entries are counted', async () => (await run.failures('unknown_role')) === 2);
    expect(run.runs.at(-1)).toBe(false);
    expect(run.health.problems()).toEqual(
      ['remote-x', 'remote-a'].map((user) => expect.stringContaining(`users: ${user}: etcd has no role "auditor"; allowed: `)),
    );
    await run.client.auth.addRole('auditor', soon());
    await run.has({ 'remote-a': 'auditor', 'remote-b': 'remote', 'remote-x': 'auditor' });
    expect(await run.failures('unknown_role')).toBe(2);
    await until('the run succeeds', () => run.runs.at(-1));
    expect(run.health.problems()).toEqual([]);
  });

  test('lose only the entry that cannot be read, and its user stays', async () => {
    await using etcd = await etcdWithRoles();
    const file = new UsersFile();
    file.writeUsers({ 'remote-a': 'remote', 'remote-b': 'remote', 'remote-c': 'remote' });
    await using run = new UsersRun(etcd.endpoint, file);
    await run.has({ 'remote-a': 'remote', 'remote-b': 'remote', 'remote-c': 'remote' });

    file.write('users:\n- name: remote-a\n- {name: remote-b, role: local}\n- {name: remote-d, role: remote}\n');
    await run.has({ 'remote-a': 'remote', 'remote-b': 'local', 'remote-d': 'remote' });
    await until('the entry is counted', async () => (await run.failures('entry')) === 1);
    const entry = 'users: users.yaml:2: users[0].role: allowed: a non-empty string';
    await until('it is told', () => run.health.publicProblems().join() === entry, { status: () => run.health.problems() });
    expect(run.runs.at(-1)).toBe(false);

    // The first entry may be that of remote-b as well as that of another.
    file.write('users:\n- {nam: remote-b, role: local}\n- {name: remote-e, role: remote}\n');
    await run.has({ 'remote-a': 'remote', 'remote-b': 'local', 'remote-d': 'remote', 'remote-e': 'remote' });

    file.writeUsers({ 'remote-b': 'local', 'remote-e': 'remote' });
    await run.has({ 'remote-b': 'local', 'remote-e': 'remote' });
    await until('all is well', () => run.runs.at(-1) && run.health.problems().length === 0);
    expect(await run.failures('entry')).toBe(2);
  });

  test('of the cluster itself cannot be changed or removed by the file', async () => {
    await using etcd = await etcdWithRoles();
    const file = new UsersFile();
    file.writeUsers({ root: 'remote', 'admin-east': 'remote', 'local-east': 'remote', remote: 'local', 'remote-a': 'remote' });
    await using run = new UsersRun(etcd.endpoint, file);
    await run.has({ 'remote-a': 'remote' });
    await until('each of them is counted', async () => (await run.failures('builtin')) === 4);
    file.writeUsers({ remote: 'remote', 'remote-b': 'remote' });
    await run.has({ 'remote-b': 'remote' });
    expect(await run.failures('builtin')).toBe(4);
  });

  test('from an earlier run or another program are kept if the file does not contain them', async () => {
    await using etcd = await etcdWithRoles();
    const file = new UsersFile();
    file.writeUsers({ 'remote-a': 'remote', 'remote-b': 'remote' });
    await using first = new UsersRun(etcd.endpoint, file);
    await first.has({ 'remote-a': 'remote', 'remote-b': 'remote' });
    await first.stop();
    file.writeUsers({ 'remote-b': 'remote', 'remote-c': 'remote' });
    await using second = new UsersRun(etcd.endpoint, file);
    await second.has({ 'remote-a': 'remote', 'remote-b': 'remote', 'remote-c': 'remote' });
    file.write('users:\n');
    await second.has({ 'remote-a': 'remote' });
  });

  test('lose roles that the file does not give them when the file is gone through again', async () => {
    await using etcd = await etcdWithRoles();
    const file = new UsersFile();
    file.writeUsers({ 'remote-a': 'remote' });
    await using run = new UsersRun(etcd.endpoint, file);
    await run.has({ 'remote-a': 'remote' });
    await run.client.auth.grantRole('remote-a', 'local', soon());
    file.writeUsers({ 'remote-a': 'remote', 'remote-b': 'remote' });
    await run.has({ 'remote-a': 'remote', 'remote-b': 'remote' });
  });

  test('are set up again in an etcd that was away and came back empty', async () => {
    await using etcd = await etcdWithRoles();
    const file = new UsersFile();
    file.writeUsers({ 'remote-a': 'remote' });
    await using run = new UsersRun(etcd.endpoint, file);
    await run.has({ 'remote-a': 'remote' });
    await etcd.kill();
    file.writeUsers({ 'remote-a': 'remote', 'remote-b': 'remote' });
    await until('the attempt is counted', async () => (await run.failures('etcd')) > 0, { withinMs: 45_000 });
    expect(run.health.problems()).toEqual([expect.stringMatching(/^users: ETCD_/)]);
    await etcd.restart({ wipe: true });
    await setUp(etcd);
    await run.has({ 'remote-a': 'remote', 'remote-b': 'remote' });
  });
});
