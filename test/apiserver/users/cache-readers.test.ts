import { describe, expect, test } from 'vitest';
import { meshRoles } from '../../../src/etcdinit/roles.ts';
import type { EtcdAdminClient } from '../../../src/shared/etcd/client.ts';
import { openClient, soon } from '../../support/etcd/etcd-client.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { until } from '../../support/until.ts';
import { DaemonRig } from '../clustermesh-fixture.ts';

const MIRROR = ['cilium/cache/', 'cilium/cluster-config/', 'cilium/synced/'];

/** A client of the etcd of the rig, which has the roles that etcdinit makes. */
async function clientOfRoles(rig: DaemonRig): Promise<EtcdAdminClient> {
  const client = openClient(rig.etcd.endpoint);
  for (const { name, permissions } of meshRoles('east')) {
    await client.auth.addRole(name, soon());
    for (const permission of permissions) await client.auth.grantPermission(name, permission, soon());
  }
  return client;
}

async function readablePrefixes(client: EtcdAdminClient): Promise<readonly string[]> {
  const permissions = (await client.auth.permissionsOf('remote', soon())) ?? [];
  return permissions.filter(({ end }) => end !== undefined).map(({ key }) => String(key));
}

describe.skipIf(etcdVersions().length === 0)('the role of other clusters', () => {
  test.each(['true', 'false'])('may read the mirror with the charts up to 1.17, which set a flag to %s', async (value) => {
    await using rig = await DaemonRig.start();
    const client = await clientOfRoles(rig);
    await rig.daemon(`--enable-external-workloads=${value}`);
    await until('the mirror is permitted', async () => {
      const prefixes = await readablePrefixes(client);
      return MIRROR.every((prefix) => prefixes.includes(prefix));
    });
    client.close();
  });

  test('may not read the mirror without that flag', async () => {
    await using rig = await DaemonRig.start();
    const client = await clientOfRoles(rig);
    const daemon = await rig.daemon();
    await until('the daemon is ready', async () => (await daemon.readiness()) === 'Ready');
    const prefixes = await readablePrefixes(client);
    expect(prefixes.filter((prefix) => MIRROR.includes(prefix))).toEqual([]);
    client.close();
  });
});
