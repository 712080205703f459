/** The rules that RBAC grants to the ServiceAccount of the Pods in the whole cluster. */
import { type JsonRecord, recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { recordsOf } from '../../addresses.ts';
import type { ListFact } from '../facts.ts';
import type { Reader } from './reader.ts';

/** ClusterRoles of one ServiceAccount that are read. */
const MAX_ROLES = 20;
const GROUP = 'rbac.authorization.k8s.io';
const PURPOSE = 'the rights of the ServiceAccount';

export async function boundRules(reader: Reader, account: string): Promise<ListFact> {
  const path = `/apis/${GROUP}/v1/clusterrolebindings`;
  const bindings = await reader.list({ path, resource: `clusterrolebindings.${GROUP}`, purpose: PURPOSE });
  if (bindings === 'unread') return 'unread';
  const { namespace } = reader.cluster;
  const roles = bindings.filter((each) => isBound(each, account, namespace)).map(({ roleRef }) => String(recordOf(roleRef).name));
  const read = await Promise.all(
    [...new Set(roles)].slice(0, MAX_ROLES).map((name) =>
      reader.object({
        path: `/apis/${GROUP}/v1/clusterroles/${encodeURIComponent(name)}`,
        resource: `clusterroles.${GROUP}`,
        purpose: PURPOSE,
      }),
    ),
  );
  return read.includes('unread') ? 'unread' : read.flatMap((role) => recordsOf(recordOf(role).rules));
}

function isBound({ subjects }: JsonRecord, account: string, namespace: string): boolean {
  const groups = ['system:authenticated', 'system:serviceaccounts', `system:serviceaccounts:${namespace}`];
  return recordsOf(subjects).some(({ kind, name, namespace: space }) => {
    if (kind === 'ServiceAccount') return name === account && space === namespace;
    if (kind === 'Group') return groups.includes(String(name));
    return kind === 'User' && name === `system:serviceaccount:${namespace}:${account}`;
  });
}
