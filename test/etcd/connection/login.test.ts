/** Clients that authenticate with a password, as etcd's own clients do. */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseEtcdConfig } from '../../../src/shared/etcd/config.ts';
import { PermissionDeniedError, UnauthenticatedError } from '../../../src/shared/etcd/errors.ts';
import { keyOf } from '../../../src/shared/etcd/types.ts';
import { hurriedClock } from '../../support/clocks.ts';
import { connect, listAll, soon } from '../../support/etcd/etcd-client.ts';
import { put, record, seen } from '../../support/etcd/etcd-fixture.ts';
import { callEtcd } from '../../support/etcd/etcd-gateway.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { recordingLogger } from '../../support/recording-logger.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { canMakeCertificates } from '../../support/tls/certificates.ts';
import { until } from '../../support/until.ts';

/** With authentication, and the users `root` and `mesh`, each of whose password is its name and `-secret`. */
async function start(version: string, args: readonly string[] = []): Promise<EtcdProcess> {
  const etcd = await startEtcd({ version, args });
  onTestFinished(() => etcd.stop());
  for (const name of ['root', 'mesh']) {
    await callEtcd(etcd.endpoint, 'auth/role/add', { name });
    await callEtcd(etcd.endpoint, 'auth/user/add', { name, password: `${name}-secret` });
    await callEtcd(etcd.endpoint, 'auth/user/grant', { user: name, role: name });
  }
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const perm = { permType: 'READWRITE', key: base64('open/'), range_end: base64('open0') };
  await callEtcd(etcd.endpoint, 'auth/role/grant', { name: 'mesh', perm });
  await callEtcd(etcd.endpoint, 'auth/enable', {});
  return etcd;
}

function config(etcd: EtcdProcess, password = 'mesh-secret') {
  return parseEtcdConfig(`endpoints: ["${etcd.endpoint}"]\nusername: mesh\npassword: ${password}\n`, 'east');
}

describe.each(etcdVersions())('etcd $version', ({ version }) => {
  test('case 20: username and password of the file let a client in, for calls, lists, watches and leases', async () => {
    const etcd = await start(version);
    const { log, lines } = recordingLogger();
    const client = connect([], { config: config(etcd), log });
    const watch = record(client, 'open/', 1);
    const from = await put(client, 'open/a', 'v');
    expect((await client.get(keyOf('open/a'), soon()))?.value.toString()).toBe('v');
    expect((await listAll(client, 'open/')).map(({ key }) => key)).toEqual(['open/a']);
    await seen(record(client, 'open/', from), 1);
    await seen(watch, 1);
    const lease = await client.grantLease(5, soon());
    client.keepLease(lease, 5, () => expect.fail('the lease is not lost'));
    await expect(put(client, 'closed/a')).rejects.toThrow(PermissionDeniedError);
    expect(JSON.stringify(lines)).not.toContain('mesh-secret');
  });

  test('a token that etcd has forgotten is replaced, for calls and for watches', async () => {
    const etcd = await start(version, ['--auth-token-ttl=1']);
    const client = connect([], { config: config(etcd), clock: hurriedClock(50) });
    await put(client, 'open/a');
    // etcd forgets a token that was not used for a second; each call here comes later than that.
    for (let round = 0; round < 2; round += 1) {
      const forgotten = Date.now() + 2_500;
      await until('the token has ended', () => Date.now() > forgotten);
      await put(client, 'open/b');
    }
    const forgotten = Date.now() + 2_500;
    await until('the token has ended', () => Date.now() > forgotten);
    const watch = record(client, 'open/', 1);
    await seen(watch, 3);
  });

  test('a wrong password is reported by name, without the password, and retried only after a delay', async () => {
    const etcd = await start(version);
    const { log, lines } = recordingLogger();
    const client = connect([], { config: config(etcd, 'wrong-secret'), log });
    const error = await put(client, 'open/a').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UnauthenticatedError);
    expect(String(error)).toMatch(/correct username and password/);
    expect(await put(client, 'open/a').catch((thrown: unknown) => thrown)).toBe(error);
    expect(JSON.stringify([lines, String(error), client.state])).not.toContain('wrong-secret');
  });
});

test('a password for an etcd without authentication does no harm', async () => {
  const etcd = await startEtcd();
  onTestFinished(() => etcd.stop());
  await put(connect([], { config: config(etcd) }), 'open/a');
});

test.skipIf(!canMakeCertificates())(
  'a JWT is replaced after a change of users, which makes it worthless (needs the openssl command)',
  async () => {
    const directory = temporaryDirectory('jwt');
    const key = join(directory, 'key');
    execFileSync('openssl', ['genrsa', '-out', key, '2048'], { stdio: 'ignore' });
    execFileSync('openssl', ['rsa', '-in', key, '-pubout', '-out', `${key}.pub`], { stdio: 'ignore' });
    const token = `--auth-token=jwt,pub-key=${key}.pub,priv-key=${key},sign-method=RS256,ttl=10m`;
    const etcd = await start(etcdVersions()[0]?.version ?? '', [token]);
    const client = connect([], { config: config(etcd), clock: hurriedClock(50) });
    await put(client, 'open/a');
    const root = parseEtcdConfig(`endpoints: ["${etcd.endpoint}"]\nusername: root\npassword: root-secret\n`, 'root');
    await connect([], { config: root }).auth.addUser('another', soon());
    await until('it is let in again', () => put(client, 'open/b'));
  },
);
