/**
 * Policies that select the Pods and admit no connection to etcd from outside of the cluster.
 *
 * A policy that selects a Pod denies what none of the policies admits. Sources that are Pods are inside of the cluster.
 */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { type JsonRecord, recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { recordsOf } from '../../addresses.ts';
import { failed, passed } from '../catalogue.ts';
import type { Member } from '../facts.ts';
import { joined } from '../subjects.ts';

const PORT = 2379;
/** Entities of Cilium that include other clusters or addresses outside of this one. */
const OUTSIDE = ['all', 'world', 'world-ipv4', 'world-ipv6', 'remote-node'];
/** Of Cilium, in front of labels. */
const PREFIX = /^(k8s|any)[:.]/;
const NAMESPACE_LABEL = 'io.kubernetes.pod.namespace';

type Labels = Readonly<Record<string, string>>;

export function networkPolicies(member: Member): readonly Finding[] {
  const { policies, workload, label, namespace } = member;
  if (typeof workload === 'string') return [];
  const labels = labelsIn(recordOf(recordOf(workload.spec).template).metadata);
  const extended = { ...labels, [NAMESPACE_LABEL]: namespace };
  const kubernetes = listed(policies.kubernetes).filter(
    ({ spec }) => isForIngress(recordOf(spec)) && selects(recordOf(spec).podSelector, labels),
  );
  const cilium = [...listed(policies.cilium), ...listed(policies.clusterwide)].filter((policy) =>
    rulesIn(policy).some((rule) => rule.ingress !== undefined && selects(rule.endpointSelector, extended)),
  );
  const named = [
    ...kubernetes.map((policy) => `NetworkPolicy ${nameOf(policy)}`),
    ...cilium.map((policy) => `${String(policy.kind ?? 'CiliumNetworkPolicy')} ${nameOf(policy)}`),
  ];
  const subject = `${label}: Namespace ${namespace}`;
  if (named.length === 0) return [passed('network-policy', subject, 'no policy selects the Pods')];
  const isAdmitted =
    kubernetes.some(({ spec }) => recordsOf(recordOf(spec).ingress).some(admits)) ||
    cilium.some((policy) =>
      rulesIn(policy).some((rule) => selects(rule.endpointSelector, extended) && recordsOf(rule.ingress).some(admitsOfCilium)),
    );
  if (isAdmitted) return [passed('network-policy', subject, `${joined(named)} admits port ${PORT} from outside`)];
  return [
    failed(
      'network-policy',
      subject,
      `${joined(named)} selects the Pods of clustermesh-apiserver and admits no connection to port ${PORT} from outside of the cluster`,
      `add a policy for k8s-app=clustermesh-apiserver that admits TCP port ${PORT}: ingress: [{ports: [{port: ${PORT}, protocol: TCP}]}]`,
    ),
  ];
}

function isForIngress({ policyTypes }: JsonRecord): boolean {
  return !Array.isArray(policyTypes) || policyTypes.includes('Ingress');
}

function admits({ from, ports }: JsonRecord): boolean {
  const sources = recordsOf(from);
  const isFromOutside = sources.length === 0 || sources.some(({ ipBlock }) => ipBlock !== undefined);
  const all = recordsOf(ports);
  return (
    isFromOutside && (all.length === 0 || all.some(({ port, endPort, protocol }) => hasPort(port, endPort, protocol ?? 'TCP')))
  );
}

/** A rule without sources and without ports admits nothing. */
function admitsOfCilium(rule: JsonRecord): boolean {
  const { fromEndpoints, fromEntities, fromCIDR, fromCIDRSet, fromNodes, fromRequires, toPorts } = rule;
  const sources = [fromEndpoints, fromEntities, fromCIDR, fromCIDRSet, fromNodes, fromRequires];
  const isAny = sources.every((each) => each === undefined);
  const entities = Array.isArray(fromEntities) ? fromEntities : [];
  const isFromOutside =
    isAny ||
    entities.some((each) => OUTSIDE.includes(String(each))) ||
    recordsOf(fromCIDRSet).length > 0 ||
    (Array.isArray(fromCIDR) && fromCIDR.length > 0);
  const all = recordsOf(toPorts);
  if (isAny && all.length === 0) return false;
  const ports = all.flatMap((each) => recordsOf(each.ports));
  return (
    isFromOutside && (all.length === 0 || ports.some(({ port, endPort, protocol }) => hasPort(port, endPort, protocol ?? 'TCP')))
  );
}

function hasPort(port: unknown, endPort: unknown, protocol: unknown): boolean {
  if (protocol !== 'TCP' && protocol !== 'ANY') return false;
  if (port === undefined || port === '0') return true;
  // A name is that of a port of a container; which of them is not decided here.
  if (Number.isNaN(Number(port))) return true;
  const [first, last] = [Number(port), Number(endPort ?? port)];
  return first <= PORT && PORT <= last;
}

function rulesIn({ spec, specs }: JsonRecord): readonly JsonRecord[] {
  return [...(spec === undefined ? [] : [recordOf(spec)]), ...recordsOf(specs)];
}

function selects(selector: unknown, labels: Labels): boolean {
  const { matchLabels, matchExpressions } = recordOf(selector);
  const plain = (key: string) => key.replace(PREFIX, '');
  if (selector === undefined) return false;
  return (
    Object.entries(recordOf(matchLabels)).every(([key, value]) => labels[plain(key)] === value) &&
    recordsOf(matchExpressions).every(({ key, operator, values }) => {
      const value = labels[plain(String(key))];
      const isListed = Array.isArray(values) && value !== undefined && values.includes(value);
      if (operator === 'In') return isListed;
      if (operator === 'NotIn') return !isListed;
      return operator === 'Exists' ? value !== undefined : value === undefined;
    })
  );
}

function labelsIn(metadata: unknown): Labels {
  return Object.fromEntries(Object.entries(recordOf(recordOf(metadata).labels)).map(([key, value]) => [key, String(value)]));
}

function nameOf({ metadata }: JsonRecord): string {
  return String(recordOf(metadata).name);
}

function listed(fact: Member['policies']['cilium']): readonly JsonRecord[] {
  return fact === 'unread' ? [] : fact;
}
