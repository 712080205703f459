/** Versions of Cilium, from the tags of its images. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { containersOf } from '../../access.ts';
import { passed, warned } from '../catalogue.ts';
import type { Member, ObjectFact } from '../facts.ts';
import { joined, labelsOf } from '../subjects.ts';

export interface CiliumVersion {
  /** `1.19.6` */
  readonly text: string;
  readonly minor: number;
}

/** Clusters of a mesh may be one minor version apart. */
const MAX_SKEW = 1;

const TAG = /:v?(1\.(\d{1,3})\.[0-9A-Za-z.-]{1,40})(?:@|$)/;

/** Of the first container; undefined where it cannot be read or has no tag of a release. */
export function versionOf(workload: ObjectFact): CiliumVersion | undefined {
  if (typeof workload === 'string') return undefined;
  const image = String(recordOf(containersOf(workload)[0]).image ?? '');
  const [, text, minor] = TAG.exec(image) ?? [];
  return text === undefined ? undefined : { text, minor: Number(minor) };
}

/** Agents and operator of one cluster, and clustermesh-apiserver where its image is Cilium's. */
export function clusterVersions(member: Member): readonly Finding[] {
  const apiserver = typeof member.workload === 'string' ? undefined : ciliumImage(member.workload);
  const parts = [
    ['agents', versionOf(member.agents)],
    ['operator', versionOf(member.operator)],
    ['clustermesh-apiserver', apiserver],
  ] as const;
  const known = parts.flatMap(([what, version]) => (version === undefined ? [] : [{ what, version }]));
  if (known.length === 0) return [];
  const text = joined(known.map(({ what, version }) => `${what} ${version.text}`));
  if (new Set(known.map(({ version }) => version.minor)).size === 1) return [passed('cluster-versions', member.label, text)];
  const remedy =
    'complete the upgrade of Cilium in this cluster, so that all parts have one version: helm upgrade cilium … --reuse-values --version VERSION';
  return [warned('cluster-versions', member.label, text, remedy)];
}

export function versionSkew(members: readonly Member[]): readonly Finding[] {
  const known = members.flatMap((member) => {
    const version = versionOf(member.agents) ?? versionOf(member.operator);
    return version === undefined ? [] : [{ member, version }];
  });
  if (known.length < 2) return [];
  const minors = known.map(({ version }) => version.minor);
  const subject = labelsOf(known.map(({ member }) => member));
  const text = joined(known.map(({ member, version }) => `${version.text} in ${member.label}`));
  if (Math.max(...minors) - Math.min(...minors) <= MAX_SKEW) return [passed('version-skew', subject, text)];
  return [
    warned(
      'version-skew',
      subject,
      `${text}: more than one minor version apart, which Cilium does not support`,
      `upgrade the older clusters one minor version at a time, to 1.${Math.max(...minors) - 1} at least`,
    ),
  ];
}

function ciliumImage(workload: Exclude<ObjectFact, string>): CiliumVersion | undefined {
  const image = String(recordOf(containersOf(workload)[0]).image ?? '');
  return /(^|\/)cilium\/clustermesh-apiserver[:@]/.test(image) ? versionOf(workload) : undefined;
}
