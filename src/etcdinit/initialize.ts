/** Fills a new etcd: users, roles, and authentication enabled. */

import { builtinUsers } from '../shared/builtin-users.ts';
import type { EtcdAdminClient } from '../shared/etcd/client.ts';
import { ROOT } from '../shared/etcd/keyspace.ts';
import type { EtcdAuth } from '../shared/etcd/operations/auth.ts';
import { type EtcdClient, NO_LEASE } from '../shared/etcd/types.ts';
import { CLUSTER_CONFIG_MARKER } from '../shared/publisher/cluster-config-marker.ts';
import { ask, SERVES_INTERVAL_MS } from './etcd-run.ts';
import { meshRoles } from './roles.ts';
import type { Steps } from './steps.ts';

/** How long one check of a starting etcd may take. */
const SERVES_TIMEOUT_MS = 1_000;

/**
 * Fills the etcd of `client` for `clusterName`. It must serve and be empty. Authentication is enabled last: it
 * locks out clients without a certificate, including this one.
 */
export async function fillEtcd(client: EtcdAdminClient, clusterName: string, steps: Steps): Promise<void> {
  const { signal } = steps;
  const { key, value } = CLUSTER_CONFIG_MARKER;
  const put = { type: 'put', key, value, lease: NO_LEASE } as const;
  // Before other clients can connect: see cluster-config-marker.ts.
  await ask(steps, `writing ${key}`, async () => void (await client.txn([put], { signal })));
  await createUsers(client.auth, clusterName, steps);
  await ask(steps, 'enabling authentication', () => client.auth.enable({ signal }));
}

/** Resolves when the etcd of `client` serves requests. */
export async function untilServing(client: EtcdClient, steps: Steps): Promise<void> {
  steps.begin('waiting for etcd to serve requests');
  await steps.retry(SERVES_INTERVAL_MS, async () => {
    await client.get(ROOT, { signal: steps.signal, timeoutMs: SERVES_TIMEOUT_MS });
    return true;
  });
}

async function createUsers(auth: EtcdAuth, clusterName: string, steps: Steps): Promise<void> {
  const options = { signal: steps.signal };
  for (const { name, permissions } of meshRoles(clusterName)) {
    await ask(steps, `adding the role ${name}`, () => auth.addRole(name, options));
    for (const permission of permissions)
      await ask(steps, `granting the role ${name} access to ${permission.key}`, () =>
        auth.grantPermission(name, permission, options),
      );
  }
  for (const { name, role } of builtinUsers(clusterName)) {
    await ask(steps, `adding the user ${name}`, () => auth.addUser(name, options));
    await ask(steps, `granting ${role} to the user ${name}`, () => auth.grantRole(name, role, options));
  }
}
