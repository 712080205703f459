/** IDs of clusters, and the maximum number of clusters. */
import { clusterIdProblem } from '../../../shared/cluster-info.ts';
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { failed, orPassed, passed, warned } from '../catalogue.ts';
import type { ClusterFacts, Member } from '../facts.ts';
import { joined, labelsOf } from '../subjects.ts';

const SIZES = [255, 511];
const DEFAULT_SIZE = '255';
/** Characters shown of a value. */
const MAX_VALUE_LENGTH = 40;

/** As Go programs read numbers of flags: a leading 0 makes them octal, 0x hexadecimal. NaN where it is no number. */
export function goNumber(text: string): number {
  const [, base = '', digits = ''] = /^(0x|0o|0b|0)?([0-9a-f]{1,9})$/i.exec(text) ?? [];
  if (digits === '') return text === '0' ? 0 : Number.NaN;
  const radix = { '': 10, '0x': 16, '0o': 8, '0b': 2, '0': 8 }[base.toLowerCase()] ?? 10;
  const isValid = [...digits.toLowerCase()].every((digit) => Number.parseInt(digit, 16) < radix);
  return isValid ? Number.parseInt(digits, radix) : Number.NaN;
}

/** Of this mesh: 255 or 511 where the setting is valid. */
export function sizeOf({ config }: ClusterFacts): number {
  return goNumber(String(config['max-connected-clusters'] ?? DEFAULT_SIZE));
}

function idText({ config }: ClusterFacts): string {
  return String(config['cluster-id'] ?? '0').slice(0, MAX_VALUE_LENGTH);
}

export function idFindings(member: Member, all: readonly Member[]): readonly Finding[] {
  const text = idText(member);
  const id = goNumber(text);
  const size = SIZES.includes(sizeOf(member)) ? sizeOf(member) : 511;
  const problem = Number.isNaN(id) ? `cluster ID "${text}" is not a number; allowed: 1 to ${size}` : clusterIdProblem(id, size);
  if (problem !== undefined) return [failed('cluster-id', member.label, problem, `set ${freeId(all, size)}`)];
  if (text !== String(id))
    return [
      warned(
        'cluster-id-notation',
        member.label,
        `cluster ID ${text} is read as ${id}`,
        `write the number in decimal form: helm upgrade cilium … --reuse-values --set cluster.id=${id}`,
      ),
    ];
  return [passed('cluster-id', member.label, `ID ${id} of 1 to ${size}`)];
}

export function uniqueIds(members: readonly Member[]): readonly Finding[] {
  const known = members.filter((each) => goNumber(idText(each)) > 0);
  const alike = Map.groupBy(known, (each) => goNumber(idText(each)));
  const findings = [...alike].flatMap(([id, group]) => {
    if (group.length < 2) return [];
    const texts = group.filter((each) => idText(each) !== String(id)).map((each) => `${each.label} writes ${idText(each)}`);
    const evidence = `all have ID ${id}${texts.length === 0 ? '' : ` (${joined(texts)})`}`;
    const remedy = `in all but one of them set ${freeId(members, sizeOf(group[0] as Member))}`;
    return [failed('unique-cluster-id', labelsOf(group), evidence, remedy)];
  });
  return orPassed(findings, 'unique-cluster-id', labelsOf(members), 'IDs differ');
}

export function sizeFindings(member: Member): readonly Finding[] {
  const text = String(member.config['max-connected-clusters'] ?? DEFAULT_SIZE).slice(0, MAX_VALUE_LENGTH);
  if (SIZES.includes(sizeOf(member))) return [passed('max-connected-clusters', member.label, `at most ${text} clusters`)];
  return [
    failed(
      'max-connected-clusters',
      member.label,
      `max-connected-clusters is ${text}; allowed: 255 or 511`,
      'set clustermesh.maxConnectedClusters of Cilium to 255, or to 511 in all clusters; it cannot change while workloads run',
    ),
  ];
}

function freeId(members: readonly Member[], size: number): string {
  const used = new Set(members.map((each) => goNumber(idText(each))));
  const limit = SIZES.includes(size) ? size : 255;
  const free = Array.from({ length: limit }, (_, index) => index + 1).find((id) => !used.has(id)) ?? 'ID';
  return `an ID that no cluster of the mesh has, such as ${free}, then restart Cilium and the workloads: helm upgrade cilium … --reuse-values --set cluster.id=${free}`;
}
