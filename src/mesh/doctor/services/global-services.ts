/** Services that are global in at least one cluster, compared in all clusters. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { type JsonRecord, recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { recordsOf } from '../../addresses.ts';
import { type CheckId, passed, undecided, warned } from '../catalogue.ts';
import type { Member } from '../facts.ts';
import { joined, labelsOf } from '../subjects.ts';

/** Findings about Services; more of them are counted only. */
const MAX_FINDINGS = 20;

/** The current name of each annotation first, as Cilium reads them. */
const GLOBAL = ['service.cilium.io/global', 'io.cilium/global-service'];
const SHARED = ['service.cilium.io/shared', 'io.cilium/shared-service'];
const AFFINITY = ['service.cilium.io/affinity', 'io.cilium/service-affinity'];

interface Place {
  readonly member: Member;
  readonly service: JsonRecord;
}

export function globalServices(members: readonly Member[]): readonly Finding[] {
  const known = members.filter(({ services }) => services !== 'unread');
  if (known.length < 2) return [];
  const places = new Map<string, Place[]>();
  for (const member of known)
    for (const service of member.services as readonly JsonRecord[]) {
      const key = keyOf(service);
      const others = places.get(key);
      if (others === undefined) places.set(key, [{ member, service }]);
      else others.push({ member, service });
    }
  const all = [...places].filter(([, each]) => each.some(({ service }) => isGlobal(service)));
  const findings = all.flatMap(([key, each]) => oneService(key, each, known));
  const shown = findings.slice(0, MAX_FINDINGS);
  if (findings.length > MAX_FINDINGS) {
    const evidence = `${findings.length - MAX_FINDINGS} more findings about global Services are not shown`;
    shown.push(
      undecided('global-service-exists', labelsOf(known), evidence, 'correct those that are shown, then run doctor again'),
    );
  }
  if (shown.length > 0) return shown;
  return [passed('global-service-ports', labelsOf(known), `${all.length} global Services are alike`)];
}

function oneService(key: string, places: readonly Place[], members: readonly Member[]): readonly Finding[] {
  const owners = places.map(({ member }) => member);
  const subject = `${labelsOf(owners)}: Service ${key}`;
  const missing = members.filter((each) => !owners.includes(each));
  const namespace = key.split('/')[0];
  if (owners.length === 1)
    return [
      warned(
        'global-service-exists',
        subject,
        `it is global and exists in no other of the clusters: ${labelsOf(missing)}`,
        `create the Service in the other clusters, in namespace ${namespace} and with ${GLOBAL[0]}=true, or remove the annotation`,
      ),
    ];
  const local = places.filter(({ service }) => !isGlobal(service)).map(({ member }) => member);
  if (local.length > 0)
    return [
      warned(
        'global-service-annotation',
        subject,
        `it is global in ${labelsOf(owners.filter((each) => !local.includes(each)))} and not in ${labelsOf(local)}`,
        `kubectl --context=${local[0]?.context} --namespace=${namespace} annotate service ${key.split('/')[1]} --overwrite ${GLOBAL[0]}=true`,
      ),
    ];
  const compare = (check: CheckId, what: string, read: (service: JsonRecord) => string, remedy: string) => {
    const values = Map.groupBy(places, ({ service }) => read(service));
    if (values.size < 2) return [];
    const evidence = [...values].map(([value, group]) => `${value} in ${labelsOf(group.map(({ member }) => member))}`);
    return [warned(check, subject, `${what}: ${joined(evidence)}`, remedy)];
  };
  return [
    ...compare('global-service-ports', 'ports', portsOf, 'give the ports the same names, numbers and protocols in all clusters'),
    ...compare(
      'global-service-affinity',
      'affinity',
      (service) => annotation(service, AFFINITY) ?? 'none',
      `set ${AFFINITY[0]} to the same value in all clusters`,
    ),
    ...compare(
      'global-service-shared',
      'shared',
      (service) => annotation(service, SHARED) ?? 'true',
      `set ${SHARED[0]} to the same value in all clusters, unless one is to use only the endpoints of the others`,
    ),
  ];
}

function isGlobal(service: JsonRecord): boolean {
  return annotation(service, GLOBAL)?.toLowerCase() === 'true';
}

function annotation({ metadata }: JsonRecord, names: readonly string[]): string | undefined {
  const annotations = recordOf(recordOf(metadata).annotations);
  const name = names.find((each) => annotations[each] !== undefined);
  return name === undefined ? undefined : String(annotations[name]);
}

export function keyOf({ metadata }: JsonRecord): string {
  const { namespace, name } = recordOf(metadata);
  return `${String(namespace)}/${String(name)}`;
}

/** `http/80/TCP`, sorted. */
export function portsOf({ spec }: JsonRecord): string {
  const ports = recordsOf(recordOf(spec).ports).map(({ name, port, protocol }) => {
    return [...(name === undefined ? [] : [String(name)]), String(port), String(protocol ?? 'TCP')].join('/');
  });
  return ports.sort().join(' ') || 'none';
}
