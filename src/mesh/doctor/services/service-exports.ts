/** ServiceExports of the MCS API: of clusters that export one Service differently, the oldest export decides. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { type JsonRecord, recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { passed, warned } from '../catalogue.ts';
import type { Member } from '../facts.ts';
import { joined, labelsOf } from '../subjects.ts';
import { keyOf, portsOf } from './global-services.ts';

/** Findings about exports. */
const MAX_FINDINGS = 20;

interface Exported {
  readonly member: Member;
  readonly service: JsonRecord;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
}

export function serviceExports(members: readonly Member[]): readonly Finding[] {
  const known = members.filter(({ services, serviceExports }) => services !== 'unread' && serviceExports !== 'unread');
  if (known.every(({ serviceExports }) => serviceExports.length === 0)) return [];
  const findings: Finding[] = [];
  const exported = new Map<string, Exported[]>();
  for (const member of known) {
    const services = new Map((member.services as readonly JsonRecord[]).map((each) => [keyOf(each), each]));
    for (const each of member.serviceExports as readonly JsonRecord[]) {
      const key = keyOf(each);
      const service = services.get(key);
      if (service === undefined) findings.push(withoutService(member, key));
      else exported.set(key, [...(exported.get(key) ?? []), { member, service, createdMs: createdMs(each) }]);
    }
  }
  for (const [key, places] of exported) findings.push(...conflicts(key, places));
  if (findings.length > 0) return findings.slice(0, MAX_FINDINGS);
  return [passed('service-export-conflict', labelsOf(known), `${exported.size} exported Services are alike`)];
}

function withoutService(member: Member, key: string): Finding {
  const [namespace, name] = key.split('/');
  return warned(
    'service-export-target',
    `${member.label}: ServiceExport ${key}`,
    'the Service that it exports does not exist',
    `create the Service, or: kubectl --context=${member.context} --namespace=${namespace} delete serviceexport ${name}`,
  );
}

/** The same creation time: the cluster whose name comes first. */
function conflicts(key: string, places: readonly Exported[]): readonly Finding[] {
  const sorted = [...places].sort((a, b) => a.createdMs - b.createdMs || (a.member.name < b.member.name ? -1 : 1));
  const [oldest, ...others] = sorted;
  if (oldest === undefined) return [];
  const fields: readonly (readonly [string, (service: JsonRecord) => string])[] = [
    ['type', typeOf],
    ['ports', portsOf],
    ['session affinity', ({ spec }) => String(recordOf(spec).sessionAffinity ?? 'None')],
  ];
  const differences = fields.flatMap(([what, read]) => {
    const differing = others.filter(({ service }) => read(service) !== read(oldest.service));
    if (differing.length === 0) return [];
    const values = differing.map(({ member, service }) => `${read(service)} in ${member.label}`);
    return [`${what}: ${read(oldest.service)} in ${oldest.member.label}, ${joined(values)}`];
  });
  if (differences.length === 0) return [];
  return [
    warned(
      'service-export-conflict',
      `${labelsOf(places.map(({ member }) => member))}: ServiceExport ${key}`,
      `${differences.join('; ')}; the export of ${oldest.member.label} is the oldest and decides`,
      `change the Service ${key} of the other clusters to that of ${oldest.member.label}`,
    ),
  ];
}

function typeOf({ spec }: JsonRecord): string {
  return recordOf(spec).clusterIP === 'None' ? 'Headless' : 'ClusterSetIP';
}

function createdMs({ metadata }: JsonRecord): number {
  const time = Date.parse(String(recordOf(metadata).creationTimestamp));
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time;
}
