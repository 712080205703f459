/** Settings of Cilium that must be equal in all clusters, or may differ only with a cost. */
import type { Finding } from '../../../shared/diagnosis/finding.ts';
import { type CheckId, failed, passed, warned } from '../catalogue.ts';
import type { ClusterFacts, Member } from '../facts.ts';
import { joined, labelsOf } from '../subjects.ts';
import { hasExporter } from '../workload/containers.ts';
import { sizeOf } from './ids.ts';

/** Characters shown of a value. */
const MAX_VALUE_LENGTH = 60;

interface Setting {
  readonly check: CheckId;
  readonly what: string;
  /** Undefined where it does not apply to the cluster. */
  readonly read: (facts: ClusterFacts) => string | undefined;
  readonly isError: boolean;
  readonly remedy: string;
}

const SETTINGS: readonly Setting[] = [
  {
    check: 'equal-max-connected-clusters',
    what: 'max-connected-clusters',
    read: (facts) => String(sizeOf(facts)),
    isError: true,
    remedy: 'set clustermesh.maxConnectedClusters of Cilium to the same number; it cannot change while workloads run',
  },
  {
    check: 'equal-identity-allocation-mode',
    what: 'identity-allocation-mode',
    read: allocationMode,
    isError: false,
    remedy: 'set identityAllocationMode of Cilium to crd in all clusters',
  },
  {
    check: 'equal-routing-mode',
    what: 'routing-mode',
    read: routingMode,
    isError: true,
    remedy:
      'set routingMode of Cilium to the same value in all clusters: helm upgrade cilium … --reuse-values --set routingMode=tunnel',
  },
  {
    check: 'equal-tunnel-protocol',
    what: 'tunnel-protocol',
    read: (facts) => (routingMode(facts) === 'tunnel' ? tunnelProtocol(facts) : undefined),
    isError: true,
    remedy:
      'set tunnelProtocol of Cilium to the same value in all clusters: helm upgrade cilium … --reuse-values --set tunnelProtocol=vxlan',
  },
  {
    check: 'equal-datapath-mode',
    what: 'datapath-mode',
    read: ({ config }) => text(config['datapath-mode'], 'veth'),
    isError: false,
    remedy: 'set bpf.datapathMode of Cilium to the same value in all clusters, unless you migrate them one by one',
  },
  {
    check: 'equal-ip-families',
    what: 'IP families',
    read: ({ config }) => {
      const families = [
        ...(text(config['enable-ipv4'], 'true') === 'true' ? ['IPv4'] : []),
        ...(text(config['enable-ipv6'], 'false') === 'true' ? ['IPv6'] : []),
      ];
      return families.join(' and ') || 'none';
    },
    isError: false,
    remedy:
      'set ipv4.enabled and ipv6.enabled of Cilium to the same values; Pods reach each other only over a family that both have',
  },
  {
    check: 'equal-encryption',
    what: 'encryption',
    read: ({ config }) => {
      if (text(config['enable-ipsec'], 'false') === 'true') return 'ipsec';
      return text(config['enable-wireguard'], 'false') === 'true' ? 'wireguard' : 'none';
    },
    isError: false,
    remedy:
      'set encryption.enabled and encryption.type of Cilium to the same values; traffic between clusters is unencrypted or dropped otherwise',
  },
];

/** Of all members together. */
export function settingFindings(members: readonly Member[]): readonly Finding[] {
  return SETTINGS.flatMap(({ check, what, read, isError, remedy }) => {
    const applicable = members.filter((each) => read(each) !== undefined);
    if (applicable.length < 2) return [];
    const values = Map.groupBy(applicable, (each) => read(each) ?? '');
    if (values.size === 1) return [passed(check, labelsOf(applicable), `${what}: ${[...values.keys()].join('')} in all`)];
    const evidence = [...values].map(([value, group]) => `${value} in ${labelsOf(group)}`);
    return [(isError ? failed : warned)(check, labelsOf(applicable), `${what}: ${joined(evidence)}`, remedy)];
  });
}

/** Identities in etcd are not exported by clustermesh-apiserver, which reads custom resources. */
export function allocationFindings(member: Member): readonly Finding[] {
  const mode = allocationMode(member);
  if (mode !== 'kvstore' || !hasExporter(member.workload))
    return [passed('identity-allocation-mode', member.label, `identities are allocated with mode ${mode}`)];
  return [
    failed(
      'identity-allocation-mode',
      member.label,
      'identities are allocated in an etcd (kvstore), but clustermesh-apiserver exports custom resources',
      'set identityAllocationMode=crd of Cilium, or use kvstoremesh alone with that etcd (clustermesh.apiserver.kvstoremesh.kvstoreMode=external)',
    ),
  ];
}

function allocationMode({ config }: ClusterFacts): string {
  return text(config['identity-allocation-mode'], 'crd');
}

/** Up to Cilium 1.13 `tunnel` had both. */
function routingMode({ config }: ClusterFacts): string {
  const { tunnel } = config;
  const preset = tunnel === 'disabled' ? 'native' : 'tunnel';
  return text(config['routing-mode'], preset);
}

function tunnelProtocol({ config }: ClusterFacts): string {
  const { tunnel } = config;
  return text(config['tunnel-protocol'], typeof tunnel === 'string' && tunnel !== 'disabled' ? tunnel : 'vxlan');
}

function text(value: unknown, preset: string): string {
  return typeof value === 'string' && value !== '' ? value.slice(0, MAX_VALUE_LENGTH) : preset;
}
