import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEtcdClient, type EtcdAdminClient } from '../../../src/shared/etcd/client.ts';
import {
  AuthExistsError,
  AuthNotFoundError,
  AuthRefusedError,
  PermissionDeniedError,
  ReadOnlyError,
} from '../../../src/shared/etcd/errors.ts';
import { type EtcdClient, keyOf } from '../../../src/shared/etcd/types.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { connect, soon } from '../../support/etcd/etcd-client.ts';
import { put } from '../../support/etcd/etcd-fixture.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { type Authority, CertificateDirectory, canMakeCertificates } from '../../support/tls/certificates.ts';

const missing = canMakeCertificates() ? undefined : 'no openssl 3';

describe.each(etcdVersions())('users and roles of etcd $version', ({ version }) => {
  test('everything that is added is found, and nothing that is deleted', async () => {
    await using etcd = await startEtcd({ version });
    const { auth } = connect(etcd.endpoint);
    expect(await auth.users(soon())).toEqual([]);
    expect(await auth.roles(soon())).toEqual([]);
    await auth.addRole('reader', soon());
    await auth.grantPermission('reader', { access: 'read', key: keyOf('a/'), end: keyOf('a0') }, soon());
    await auth.grantPermission('reader', { access: 'write', key: keyOf('b\u00fc') }, soon());
    await auth.grantPermission('reader', { access: 'readwrite', key: keyOf('c') }, soon());
    await auth.grantPermission('reader', { access: 'read', key: keyOf('c') }, soon());
    expect(await auth.permissionsOf('reader', soon())).toEqual([
      { access: 'read', key: 'a/', end: 'a0' },
      { access: 'write', key: keyOf('b\u00fc') },
      { access: 'read', key: 'c' },
    ]);
    await auth.revokePermission('reader', { key: keyOf('a/'), end: keyOf('a0') }, soon());
    await auth.revokePermission('reader', { key: keyOf('c') }, soon());
    expect(await auth.permissionsOf('reader', soon())).toEqual([{ access: 'write', key: keyOf('b\u00fc') }]);
    await auth.addUser('west', soon());
    await auth.addUser('north', soon());
    expect(await auth.rolesOf('west', soon())).toEqual([]);
    await auth.grantRole('west', 'reader', soon());
    await auth.grantRole('west', 'reader', soon());
    expect(await auth.rolesOf('west', soon())).toEqual(['reader']);
    expect([...(await auth.users(soon()))].sort()).toEqual(['north', 'west']);
    await auth.revokeRole('west', 'reader', soon());
    expect(await auth.rolesOf('west', soon())).toEqual([]);
    await auth.grantRole('north', 'reader', soon());
    await auth.deleteRole('reader', soon());
    await auth.deleteUser('west', soon());
    expect(await auth.users(soon())).toEqual(['north']);
    expect(await auth.rolesOf('north', soon())).toEqual([]);
    expect(await auth.roles(soon())).toEqual([]);
  });

  test('existing and missing users and roles cause their own errors', async () => {
    await using etcd = await startEtcd({ version });
    const { auth } = connect(etcd.endpoint);
    await auth.addUser('west', soon());
    await auth.addRole('reader', soon());
    await expect(auth.addUser('west', soon())).rejects.toThrow(AuthExistsError);
    await expect(auth.addRole('reader', soon())).rejects.toThrow(AuthExistsError);
    await expect(auth.deleteUser('north', soon())).rejects.toThrow(AuthNotFoundError);
    await expect(auth.deleteRole('writer', soon())).rejects.toThrow(AuthNotFoundError);
    await expect(auth.grantRole('north', 'reader', soon())).rejects.toThrow(AuthNotFoundError);
    await expect(auth.grantRole('west', 'writer', soon())).rejects.toThrow(AuthNotFoundError);
    await expect(auth.revokeRole('west', 'reader', soon())).rejects.toThrow(AuthNotFoundError);
    await expect(auth.revokePermission('reader', { key: keyOf('a') }, soon())).rejects.toThrow(AuthNotFoundError);
    await expect(auth.enable(soon())).rejects.toThrow(AuthRefusedError);
    await auth.addUser('root', soon());
    await expect(auth.enable(soon())).rejects.toThrow('root user does not have root role');
    expect(await auth.rolesOf('north', soon())).toBeUndefined();
    expect(await auth.permissionsOf('writer', soon())).toBeUndefined();
    expect(connect(etcd.endpoint).state.lastError).toBeUndefined();
  });

  test('a client that only reads offers no users', async () => {
    expect(() => connect('http://127.0.0.1:1', { readOnly: true }).auth).toThrow(ReadOnlyError);
  });

  describe.skipIf(missing !== undefined)(`with certificates${missing === undefined ? '' : ` (${missing})`}`, () => {
    const directory = new CertificateDirectory();
    let authority: Authority;
    let etcd: EtcdProcess;
    let root: EtcdAdminClient;
    let west: EtcdAdminClient;

    const as = (name: string) =>
      createEtcdClient({
        config: { endpoints: [etcd.endpoint], caFile: authority.caFile, ...authority.issue({ name }) },
        name,
        log: silentLogger,
        clock: systemClock,
      });

    beforeAll(async () => {
      authority = directory.authority('mesh');
      const server = authority.issue({ name: 'server', alternatives: ['IP:127.0.0.1'] });
      etcd = await startEtcd({ version, tls: { ...server, clientCaFile: authority.caFile } });
      root = as('root');
      west = as('west');
    });

    afterAll(async () => {
      root?.close();
      west?.close();
      await etcd?.stop();
    });

    test('authentication is reported as enabled to every client', async () => {
      expect(await root.auth.isEnabled(soon())).toBe(false);
      await root.auth.addUser('root', soon());
      await root.auth.grantRole('root', 'root', soon());
      await root.auth.addUser('west', soon());
      await root.auth.enable(soon());
      await root.auth.enable(soon());
      for (const client of [root, west]) expect(await client.auth.isEnabled(soon())).toBe(true);
      await expect(west.auth.users(soon())).rejects.toThrow(PermissionDeniedError);
      await expect(root.auth.deleteUser('root', soon())).rejects.toThrow(AuthRefusedError);
      await expect(root.auth.revokeRole('root', 'root', soon())).rejects.toThrow(AuthRefusedError);
    });

    test('requests of all clients succeed while users change', async () => {
      const stop = new AbortController();
      let refused: unknown;
      const busy = async (client: EtcdClient) => {
        while (!stop.signal.aborted) {
          await put(client, 'busy', '1');
          await client.get(keyOf('busy'), soon());
        }
      };
      const all = Promise.all(
        Array.from({ length: 8 }, () =>
          busy(root).catch((thrown) => {
            refused ??= thrown;
          }),
        ),
      );
      for (let i = 0; i < 20; i += 1) {
        await root.auth.addUser(`u${i}`, soon());
        await root.auth.deleteUser(`u${i}`, soon());
      }
      stop.abort();
      await all;
      expect(refused).toBeUndefined();
    });

    test('authentication can be switched off again', async () => {
      await root.auth.disable(soon());
      expect(await west.auth.isEnabled(soon())).toBe(false);
      expect([...(await west.auth.users(soon()))].sort()).toEqual(['root', 'west']);
    });
  });
});
