/** From the facts of all clusters to findings, in the order of the report. Pure. */
import type { Finding } from '../../shared/diagnosis/finding.ts';
import { CHECKS } from './catalogue.ts';
import { certificateFindings } from './certificates/judgement.ts';
import { mutualTrust } from './certificates/trust.ts';
import { nodePorts } from './connections/node-ports.ts';
import { ownEntries } from './connections/own-entries.ts';
import { bothSides, entryFindings } from './connections/remote-entries.ts';
import type { ClusterFacts, Member, Moment } from './facts.ts';
import { clockSkew, equalClocks } from './members/clocks.ts';
import { identityCount } from './members/identities.ts';
import { idFindings, sizeFindings, uniqueIds } from './members/ids.ts';
import { nameFindings, nameOf, nameProblem, uniqueNames } from './members/names.ts';
import { allocationFindings, settingFindings } from './members/settings.ts';
import { clusterVersions, versionSkew } from './members/versions.ts';
import { networkOverlaps } from './networks/overlaps.ts';
import { globalServices } from './services/global-services.ts';
import { serviceExports } from './services/service-exports.ts';
import { deploymentFindings, referenceFindings } from './workload/deployment.ts';
import { networkPolicies } from './workload/network-policies.ts';
import { podSecurity } from './workload/pod-security.ts';
import { resourceFindings, rightFindings } from './workload/rights.ts';
import { serviceFindings } from './workload/service.ts';

type ClusterCheck = (member: Member, moment: Moment, all: readonly Member[]) => readonly Finding[];
/** Of several clusters. */
type MeshCheck = (members: readonly Member[]) => readonly Finding[];

const CLUSTER_CHECKS: readonly ClusterCheck[] = [
  clockSkew,
  nameFindings,
  (member, _, all) => idFindings(member, all),
  sizeFindings,
  allocationFindings,
  identityCount,
  clusterVersions,
  certificateFindings,
  ownEntries,
  deploymentFindings,
  referenceFindings,
  podSecurity,
  serviceFindings,
  resourceFindings,
  rightFindings,
  networkPolicies,
];

const MESH_CHECKS: readonly MeshCheck[] = [
  equalClocks,
  uniqueNames,
  uniqueIds,
  settingFindings,
  versionSkew,
  mutualTrust,
  entryFindings,
  bothSides,
  nodePorts,
  networkOverlaps,
  globalServices,
  serviceExports,
];

export function findingsOf(members: readonly Member[], moment: Moment): readonly Finding[] {
  const findings = [
    ...members.flatMap((member) => CLUSTER_CHECKS.flatMap((check) => check(member, moment, members))),
    ...(members.length < 2
      ? members.flatMap((member) => serviceExports([member]))
      : MESH_CHECKS.flatMap((check) => check(members))),
  ];
  return inOrder(findings);
}

/** By check, in the order of the catalogue. */
export function inOrder(findings: readonly Finding[]): readonly Finding[] {
  const order = new Map(Object.keys(CHECKS).map((check, index) => [check, index]));
  const placeOf = ({ check }: Finding) => order.get(check) ?? order.size;
  return [...findings].sort((a, b) => placeOf(a) - placeOf(b));
}

/** Clusters of the same name are told apart by their contexts. */
export function membersOf(all: readonly ClusterFacts[]): readonly Member[] {
  return all.map((facts) => {
    const name = nameOf(facts);
    const isUnique = all.filter((each) => nameOf(each) === name).length === 1;
    const isNamed = nameProblem(facts) === undefined && isUnique;
    return { ...facts, name, isNamed, label: isNamed ? name : `context ${facts.context}` };
  });
}
