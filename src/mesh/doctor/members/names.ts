/** Names of clusters. */

import { clusterNameProblem } from '../../../shared/cluster-info.ts';
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { failed, orPassed, passed } from '../catalogue.ts';
import type { ClusterFacts, Member } from '../facts.ts';
import { joined, labelsOf } from '../subjects.ts';

/** Characters shown of a name. */
const MAX_NAME_LENGTH = 63;

export function nameOf({ config }: ClusterFacts): string {
  return String(config['cluster-name'] ?? '');
}

/** What is wrong with the name of the cluster; undefined where nothing is. */
export function nameProblem(facts: ClusterFacts): string | undefined {
  const name = nameOf(facts);
  if (name === 'default') return 'the name is "default", which is reserved for clusters without a mesh';
  const problem = clusterNameProblem(name);
  return problem === undefined ? undefined : `${problem}: "${name.slice(0, MAX_NAME_LENGTH)}"`;
}

export function nameFindings(member: Member): readonly Finding[] {
  const problem = nameProblem(member);
  if (problem === undefined) return [passed('cluster-name', member.label, `the name of the cluster is ${member.name}`)];
  const remedy =
    'set cluster.name of Cilium to at most 32 of a-z, 0-9 and "-", then restart Cilium and the workloads: helm upgrade cilium … --reuse-values --set cluster.name=NAME';
  return [failed('cluster-name', member.label, problem, remedy)];
}

export function uniqueNames(members: readonly Member[]): readonly Finding[] {
  const alike = Map.groupBy(members, nameOf);
  const findings = [...alike].flatMap(([name, group]) => {
    if (group.length < 2) return [];
    const contexts = group.map(({ context }) => context);
    const uids = new Set(group.map(uidOf));
    const isOne = uids.size === 1 && !uids.has('');
    const evidence = isOne
      ? `the contexts ${joined(contexts)} are of one cluster, named ${name}`
      : `the clusters of the contexts ${joined(contexts)} are all named ${name}`;
    const remedy = isOne
      ? 'give a context of another cluster with --destination-context'
      : 'set cluster.name of Cilium to another name in all but one of them: helm upgrade cilium … --reuse-values --set cluster.name=NAME';
    return [failed('unique-cluster-name', labelsOf(group), evidence, remedy)];
  });
  return orPassed(findings, 'unique-cluster-name', labelsOf(members), 'names differ');
}

/** Of the namespace, which no two clusters share. */
function uidOf({ ownNamespace }: Member): string {
  const { metadata } = typeof ownNamespace === 'string' ? {} : ownNamespace;
  return String((metadata as { uid?: unknown } | undefined)?.uid ?? '');
}
