/** The containers of the Pods of clustermesh-apiserver. */
import { recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { containersOf } from '../../access.ts';
import { recordsOf } from '../../addresses.ts';
import type { ObjectFact } from '../facts.ts';

export function hasContainer(workload: ObjectFact, name: string): boolean {
  return typeof workload !== 'string' && containersOf(workload).some((each) => each.name === name);
}

/**
 * Whether the Pods export the cluster. Without that, kvstoremesh alone writes to another etcd. With `combined` of this project's
 * chart one container runs both daemons, and has the name of the other one.
 */
export function hasExporter(workload: ObjectFact): boolean {
  if (typeof workload === 'string') return false;
  return containersOf(workload).some(({ name, args }) => name === 'apiserver' || (Array.isArray(args) && args[0] === 'combined'));
}

/** Addresses by host name, for all containers. */
export function hostAliasesOf(workload: ObjectFact): ReadonlyMap<string, readonly string[]> {
  const aliases = new Map<string, string[]>();
  if (typeof workload === 'string') return aliases;
  const template = recordOf(recordOf(workload.spec).template);
  for (const { ip, hostnames } of recordsOf(recordOf(template.spec).hostAliases))
    for (const name of Array.isArray(hostnames) ? hostnames : [])
      aliases.set(String(name), [...(aliases.get(String(name)) ?? []), String(ip)]);
  return aliases;
}
