/** Addresses that two clusters use: those of Pods and nodes must be unique in the mesh. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { recordsOf } from '../../addresses.ts';
import { type CheckId, failed, passed, warned } from '../catalogue.ts';
import { remoteEntries } from '../connections/entries.ts';
import type { Member } from '../facts.ts';
import { joined, labelsOf, pairsOf } from '../subjects.ts';
import { overlaps, type Range, rangeOf } from './cidr.ts';

/** Overlaps of two clusters that are found; the evidence has the first ones. */
const MAX_OVERLAPS = 3;

interface Networks {
  /** Of nodes; 'unread' is an empty list here, and a finding of its own. */
  readonly pods: readonly Range[];
  readonly pools: readonly Range[];
  readonly nodes: readonly Range[];
  readonly services: readonly Range[];
}

const NEW_CIDR =
  'Pod CIDRs cannot change in a running cluster: install one of the clusters again with another ipam.operator.clusterPoolIPv4PodCIDRList of Cilium';

export function networkOverlaps(members: readonly Member[]): readonly Finding[] {
  if (members.length < 2) return [];
  const networks = new Map(members.map((member) => [member, networksOf(member)]));
  const findings = pairsOf(members).flatMap(([one, other]) => {
    const [a, b] = [networks.get(one), networks.get(other)];
    return a === undefined || b === undefined ? [] : pairFindings([one, other], a, b);
  });
  const found = new Set(findings.map(({ check }) => check));
  const counts = members.map((each) => `${networks.get(each)?.pods.length ?? 0} of ${each.label}`);
  const sound: readonly (readonly [CheckId, string])[] = [
    ['pod-cidr-overlap', `no Pod CIDR overlaps another one (${joined(counts)})`],
    ['node-address-overlap', 'no two nodes have the same address'],
    ['service-cidr-overlap', 'no Service CIDR conflicts with an address of another cluster'],
  ];
  return [
    ...findings,
    ...sound.filter(([check]) => !found.has(check)).map(([check, text]) => passed(check, labelsOf(members), text)),
  ];
}

function pairFindings(pair: readonly [Member, Member], a: Networks, b: Networks): readonly Finding[] {
  const [one, other] = pair;
  const subject = joined([one.label, other.label]);
  const between = (some: readonly Range[], others: readonly Range[]) => overlaps(some, others, MAX_OVERLAPS);
  const tell = (check: CheckId, found: readonly (readonly [Range, Range])[], remedy: string, how = failed) =>
    found.length === 0 ? [] : [how(check, subject, described(found), remedy)];
  const pods = between(a.pods, b.pods);
  return [
    ...tell('pod-cidr-overlap', pods, NEW_CIDR),
    ...(pods.length > 0
      ? []
      : tell(
          'pod-pool-overlap',
          between(a.pools, b.pools),
          `nodes that are added may get a CIDR of the other cluster; ${NEW_CIDR}`,
          warned,
        )),
    ...tell(
      'node-address-overlap',
      between(a.nodes, b.nodes),
      'give the nodes of one cluster other addresses; tunnels and policies tell nodes apart by them',
    ),
    ...tell('pod-node-overlap', [...between(a.pods, b.nodes), ...between(a.nodes, b.pods)], NEW_CIDR),
    ...tell(
      'service-cidr-overlap',
      [...between(a.services, [...b.pods, ...b.nodes]), ...between([...a.pods, ...a.nodes], b.services)],
      'addresses of Services hide the Pods or nodes of the other cluster: install one of the clusters again with another service-cluster-ip-range',
    ),
    ...serviceAddresses(pair, a, b),
  ];
}

/** Service CIDRs may be equal, unless a cluster reaches the other one at an address of a Service. */
function serviceAddresses([one, other]: readonly [Member, Member], a: Networks, b: Networks): readonly Finding[] {
  const shared = overlaps(a.services, b.services, MAX_OVERLAPS);
  if (shared.length === 0) return [];
  return [[one, other, a] as const, [other, one, b] as const].flatMap(([client, server, own]) => {
    const addresses = remoteEntries(client)
      .filter(({ name }) => name === server.name)
      .flatMap(({ endpoints }) => endpoints.flatMap((each) => each.addresses ?? []));
    const hidden = addresses.filter((each) => {
      const range = rangeOf(each, server.label);
      return range !== undefined && overlaps([range], own.services, 1).length > 0;
    });
    if (hidden.length === 0) return [];
    const evidence = `${client.label} reaches ${server.label} at ${joined(hidden)}, which is an address of its own Services (${described(shared)})`;
    const remedy = `use a Service of type LoadBalancer or NodePort in ${server.label}, then connect again`;
    return [failed('service-cidr-overlap', joined([one.label, other.label]), evidence, remedy)];
  });
}

function described(found: readonly (readonly [Range, Range])[]): string {
  return joined(found.map(([a, b]) => `${a.text} of ${a.owner} and ${b.text} of ${b.owner}`));
}

function networksOf(member: Member): Networks {
  const { ciliumNodes, config, serviceCidrs, label } = member;
  const nodes = ciliumNodes === 'unread' ? [] : ciliumNodes;
  const ranges = (texts: readonly unknown[], owner: string) => texts.flatMap((text) => rangeOf(String(text), owner) ?? []);
  const perNode = nodes.map(({ metadata, spec }) => {
    const owner = `${label} (node ${String(recordOf(metadata).name)})`;
    const ipam = recordOf(recordOf(spec).ipam);
    const pooled = recordsOf(recordOf(ipam.pools).allocated).flatMap(({ cidrs }) => listOf(cidrs));
    const addresses = recordsOf(recordOf(spec).addresses).filter(({ type }) => type === 'InternalIP' || type === 'ExternalIP');
    return {
      pods: ranges([...listOf(ipam.podCIDRs), ...pooled], owner),
      nodes: ranges(
        addresses.map(({ ip }) => ip),
        owner,
      ),
    };
  });
  const isPooled = config.ipam === 'cluster-pool';
  const pools = ['cluster-pool-ipv4-cidr', 'cluster-pool-ipv6-cidr'].flatMap((key) => String(config[key] ?? '').split(/[\s,]+/));
  return {
    pods: perNode.flatMap(({ pods }) => pods),
    pools: isPooled ? ranges(pools, label) : [],
    nodes: perNode.flatMap((each) => each.nodes),
    services: serviceCidrs === 'unread' ? [] : ranges(serviceCidrs, label),
  };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
