/** Faults of names, IDs, settings and versions. */
import { apps, type Fault, image } from './fault.ts';

/** One of `cilium-config` of a cluster. */
function setting(
  title: string,
  data: Readonly<Record<string, string | null>>,
  line: string,
  evidence: RegExp,
  remedy: RegExp,
): Fault {
  const keys = Object.keys(data);
  // What depends on the name is not judged without a valid one.
  const touches = keys.includes('cluster-name') ? ['name', 'entries', 'certificate names'] : [`config ${keys.join(' ')}`];
  return { title, plant: (p) => p.config('west', data), lines: [line], evidence, remedy, touches };
}

export const MEMBER_FAULTS: readonly Fault[] = [
  setting('the name is default', { 'cluster-name': 'default' }, 'error cluster-name: context west', /"default"/, /cluster\.name/),
  setting('the name is missing', { 'cluster-name': null }, 'error cluster-name: context west', /empty/, /cluster\.name/),
  setting('the name is too long', { 'cluster-name': 'w'.repeat(33) }, 'error cluster-name: context west', /33/, /32/),
  setting('the name is invalid', { 'cluster-name': 'West_1' }, 'error cluster-name: context west', /a-z/, /a-z/),
  setting(
    'both have one name',
    { 'cluster-name': 'east' },
    'error unique-cluster-name: context east and context west',
    /named east/,
    /cluster\.name/,
  ),
  setting('the ID is 0', { 'cluster-id': '0' }, 'error cluster-id: west', /ID 0 is reserved/, /cluster\.id=2/),
  setting('the ID is no number', { 'cluster-id': 'two' }, 'error cluster-id: west', /"two" is not a number/, /cluster\.id=2/),
  setting('the ID is above the maximum', { 'cluster-id': '256' }, 'error cluster-id: west', /1 to 255/, /cluster\.id=2/),
  setting(
    'the ID is written in octal',
    { 'cluster-id': '010' },
    'warning cluster-id-notation: west',
    /read as 8/,
    /cluster\.id=8/,
  ),
  setting('both have one ID', { 'cluster-id': '1' }, 'error unique-cluster-id: east and west', /all have ID 1/, /cluster\.id=2/),
  {
    ...setting('both have one ID, written differently', { 'cluster-id': '0x1' }, '', /west writes 0x1/, /cluster\.id=2/),
    lines: ['error unique-cluster-id: east and west', 'warning cluster-id-notation: west'],
  },
  {
    ...setting('the maximum is neither 255 nor 511', { 'max-connected-clusters': '100' }, '', /100/, /511/),
    lines: ['error max-connected-clusters: west', 'error equal-max-connected-clusters: east and west'],
  },
  setting(
    'the maximum differs',
    { 'max-connected-clusters': '511' },
    'error equal-max-connected-clusters: east and west',
    /255 in east and 511 in west/,
    /maxConnectedClusters/,
  ),
  {
    ...setting(
      'identities are in an etcd',
      { 'identity-allocation-mode': 'kvstore' },
      '',
      /kvstore/,
      /identityAllocationMode=crd/,
    ),
    lines: ['error identity-allocation-mode: west', 'warning equal-identity-allocation-mode: east and west'],
  },
  setting(
    'the routing mode differs',
    { 'routing-mode': 'native' },
    'error equal-routing-mode: east and west',
    /tunnel in east and native in west/,
    /routingMode/,
  ),
  setting(
    'the tunnel protocol differs',
    { 'tunnel-protocol': 'geneve' },
    'error equal-tunnel-protocol: east and west',
    /geneve in west/,
    /tunnelProtocol/,
  ),
  setting(
    'the datapath mode differs',
    { 'datapath-mode': 'netkit' },
    'warning equal-datapath-mode: east and west',
    /netkit in west/,
    /datapathMode/,
  ),
  setting(
    'IPv6 is enabled in one cluster only',
    { 'enable-ipv6': 'true' },
    'warning equal-ip-families: east and west',
    /IPv4 and IPv6 in west/,
    /ipv6\.enabled/,
  ),
  setting(
    'encryption is enabled in one cluster only',
    { 'enable-wireguard': 'true' },
    'warning equal-encryption: east and west',
    /wireguard in west/,
    /encryption\.type/,
  ),
  {
    title: 'Cilium is two minor versions apart',
    async plant(p) {
      for (const [plural, name] of [
        ['daemonsets', 'cilium'],
        ['deployments', 'cilium-operator'],
      ] as const)
        await p.patch(
          'west',
          apps(p, plural, name),
          image(name === 'cilium' ? 'cilium-agent' : name, '1.17.3'),
          'strategic-merge-patch',
        );
    },
    lines: ['warning version-skew: east and west'],
    evidence: /1\.19\.6 in east and 1\.17\.3 in west/,
    remedy: /1\.18/,
    touches: ['versions'],
  },
  {
    title: 'an upgrade of Cilium is not complete',
    plant: (p) =>
      p.patch('west', apps(p, 'deployments', 'cilium-operator'), image('cilium-operator', '1.20.0'), 'strategic-merge-patch'),
    lines: ['warning cluster-versions: west'],
    evidence: /agents 1\.19\.6 and operator 1\.20\.0/,
    remedy: /helm upgrade/,
    touches: ['versions'],
  },
];
