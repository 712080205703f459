/** Rules of checks on facts that are hard to plant: numbers, ranges, clocks, policies and Pod security. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findingsOf, membersOf } from '../../../src/mesh/doctor/checks.ts';
import type { ClusterFacts, Member } from '../../../src/mesh/doctor/facts.ts';
import { equalClocks } from '../../../src/mesh/doctor/members/clocks.ts';
import { identityCount } from '../../../src/mesh/doctor/members/identities.ts';
import { goNumber } from '../../../src/mesh/doctor/members/ids.ts';
import { overlaps, type Range, rangeOf } from '../../../src/mesh/doctor/networks/cidr.ts';
import { networkPolicies } from '../../../src/mesh/doctor/workload/network-policies.ts';
import { podSecurity } from '../../../src/mesh/doctor/workload/pod-security.ts';

const member = (facts: Partial<Member>) => ({ label: 'east', name: 'east', namespace: 'mesh', config: {}, ...facts }) as Member;

test.each([
  ['7', 7],
  ['007', 7],
  ['010', 8],
  ['0x1F', 31],
  ['0b11', 3],
  ['0o17', 15],
  ['0', 0],
  ['08', Number.NaN],
  ['1e1', Number.NaN],
  ['', Number.NaN],
  ['-1', Number.NaN],
])('%s is the number that agents read', (text, number) => {
  expect(goNumber(text)).toBe(number);
});

describe('ranges', () => {
  const cidr = fc
    .tuple(fc.nat(0xffff), fc.integer({ min: 16, max: 32 }))
    .map(([bits, length]) => `10.1.${bits >>> 8}.${bits & 0xff}/${length}`);
  const ranges = fc.array(cidr, { maxLength: 12 }).map((all) => all.flatMap((text) => rangeOf(text, 'x') ?? []));
  const isShared = (a: Range, b: Range) => a.first <= b.last && b.first <= a.last;

  test('an overlap is found if there is one, and each that is found is one', () => {
    fc.assert(
      fc.property(ranges, ranges, (some, others) => {
        const found = overlaps(some, others, 5);
        expect(found.every(([a, b]) => some.includes(a) && others.includes(b) && isShared(a, b))).toBe(true);
        expect(found.length > 0).toBe(some.some((a) => others.some((b) => isShared(a, b))));
      }),
    );
  });

  test('families are apart, and what is no CIDR has no range', () => {
    const all = ['0.0.0.0/0', '::/0', '10.0.0.1', '10.0.0.0/33', '10.0.0.0/8/8', 'east', '10.0.0.0/'].map((each) =>
      rangeOf(each, 'x'),
    );
    expect(all.map((range) => range?.bits)).toEqual([32, 128, 32, undefined, undefined, undefined, undefined]);
    expect(overlaps([all[0] as Range], [all[1] as Range], 1)).toEqual([]);
  });
});

test('clocks of two clusters that differ by more than the error of the measurement', () => {
  const at = (label: string, offsetMs: number) => member({ label, clock: { offsetMs, errorMs: 700 } });
  expect(equalClocks([at('east', 0), at('west', 31_000)])[0]?.verdict).toBe('ok');
  expect(equalClocks([at('east', -20_000), at('north', 0), at('west', 15_000)])[0]).toMatchObject({
    verdict: 'warning',
    check: 'equal-clocks',
    subject: 'east and west',
    evidence: 'the clock of west is 35.0 s ahead of that of east',
  });
});

test.each([
  [50_000, '255', 'ok'],
  [53_000, '255', 'warning'],
  [30_000, '511', 'warning'],
  [32_767, '511', 'error'],
])('%i identities with at most %s clusters: %s', (identities, size, verdict) => {
  const [finding] = identityCount(member({ identities, config: { 'max-connected-clusters': size } }));
  expect(finding?.verdict).toBe(verdict);
});

const POD = { 'k8s-app': 'clustermesh-apiserver' };
const workload = (spec: object) => ({ spec: { template: { metadata: { labels: POD }, spec } } });
const SELECTED = { matchLabels: POD };

test.each<[string, object, object, 'ok' | 'error']>([
  ['no ports, any source', { podSelector: {}, ingress: [{}] }, {}, 'ok'],
  ['a range of ports', { podSelector: SELECTED, ingress: [{ ports: [{ port: 2000, endPort: 3000 }] }] }, {}, 'ok'],
  ['another port', { podSelector: SELECTED, ingress: [{ ports: [{ port: 443 }] }] }, {}, 'error'],
  ['UDP', { podSelector: SELECTED, ingress: [{ ports: [{ port: 2379, protocol: 'UDP' }] }] }, {}, 'error'],
  ['a block of addresses', { podSelector: SELECTED, ingress: [{ from: [{ ipBlock: { cidr: '0.0.0.0/0' } }] }] }, {}, 'ok'],
  ['nothing', { podSelector: SELECTED, policyTypes: ['Ingress'] }, {}, 'error'],
  ['egress only', { podSelector: SELECTED, policyTypes: ['Egress'] }, {}, 'ok'],
  ['other Pods', { podSelector: { matchLabels: { app: 'shop' } } }, {}, 'ok'],
  ['Cilium: entity world', {}, { ingress: [{ fromEntities: ['world'] }] }, 'ok'],
  ['Cilium: ports of any source', {}, { ingress: [{ toPorts: [{ ports: [{ port: '2379', protocol: 'TCP' }] }] }] }, 'ok'],
  ['Cilium: Pods only', {}, { ingress: [{ fromEndpoints: [{}] }] }, 'error'],
  ['Cilium: an empty rule', {}, { ingress: [{}] }, 'error'],
  ['Cilium: labels of the namespace', {}, { labels: { 'k8s:io.kubernetes.pod.namespace': 'mesh' }, ingress: [{}] }, 'error'],
  ['Cilium: labels of another namespace', {}, { labels: { 'k8s:io.kubernetes.pod.namespace': 'shop' }, ingress: [{}] }, 'ok'],
])('a policy that admits %s', (_, kubernetes, { labels, ...rule }: { labels?: object }, verdict) => {
  const metadata = { name: 'policy' };
  const cilium = {
    metadata,
    kind: 'CiliumNetworkPolicy',
    spec: { endpointSelector: { matchLabels: { ...POD, ...labels } }, ...rule },
  };
  const policies = {
    kubernetes: Object.keys(kubernetes).length === 0 ? [] : [{ metadata, spec: kubernetes }],
    cilium: Object.keys(rule).length === 0 ? [] : [cilium],
    clusterwide: [],
  };
  expect(networkPolicies(member({ policies, workload: workload({}) }))[0]?.verdict).toBe(verdict);
});

const STRICT = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

test.each<[string, string | undefined, object, RegExp]>([
  ['restricted', 'restricted', { securityContext: { runAsNonRoot: true } }, /admits/],
  ['restricted', 'restricted', {}, /runAsNonRoot is not true in container etcd/],
  ['restricted', 'restricted', { hostNetwork: true, securityContext: { runAsNonRoot: true } }, /hostNetwork/],
  ['baseline', 'baseline', { volumes: [{ name: 'data', hostPath: {} }] }, /hostPath of volume data/],
  ['baseline', 'baseline', {}, /admits/],
  ['no label', undefined, { hostNetwork: true }, /not enforced/],
  ['privileged', 'privileged', { hostNetwork: true }, /admits/],
])('Pod security %s', (_, level, spec, evidence) => {
  const ownNamespace = { metadata: { labels: level === undefined ? {} : { 'pod-security.kubernetes.io/enforce': level } } };
  const containers = [{ name: 'etcd', securityContext: STRICT }];
  const [finding] = podSecurity(member({ ownNamespace, workload: workload({ containers, ...spec }) }));
  expect(finding?.evidence).toMatch(evidence);
});

describe('objects of any form', () => {
  const FIELDS = [
    'addresses',
    'affinity',
    'allocated',
    'annotations',
    'args',
    'cidrs',
    'clusterIPs',
    'conditions',
    'containers',
    'containerStatuses',
    'data',
    'endpoints',
    'env',
    'from',
    'hostAliases',
    'ingress',
    'ip',
    'ipam',
    'labels',
    'lastState',
    'matchExpressions',
    'matchLabels',
    'metadata',
    'name',
    'namespace',
    'nodePort',
    'podCIDRs',
    'podSelector',
    'pools',
    'port',
    'ports',
    'resources',
    'securityContext',
    'spec',
    'state',
    'status',
    'subjects',
    'template',
    'tls.crt',
    'tls.key',
    'ca.crt',
    'toPorts',
    'type',
    'verbs',
    'volumes',
    'waiting',
  ];
  const TEXTS = [
    'east',
    'clustermesh-apiserver',
    'apiserver',
    'kvstoremesh',
    'NodePort',
    'LoadBalancer',
    '10.0.0.0/8',
    'fd00::1',
    '2379',
  ];
  const { json } = fc.letrec((tie) => ({
    json: fc.oneof(
      { maxDepth: 6 },
      fc.constantFrom(...TEXTS),
      fc.constantFrom(null, true, 0, 2379, -1),
      fc.string(),
      fc.array(tie('json'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...FIELDS), tie('json'), { maxKeys: 6, noNullPrototype: true }),
    ),
  }));
  const record = fc.dictionary(fc.constantFrom(...FIELDS), json, { maxKeys: 8, noNullPrototype: true });
  const object = fc.oneof(record, fc.constantFrom('absent' as const, 'unread' as const));
  const list = fc.oneof(fc.array(record, { maxLength: 3 }), fc.constant('unread' as const));
  const secret = fc.dictionary(
    fc.constantFrom('east', 'west', 'west.etcd-client.key', 'tls.crt', 'tls.key', 'ca.crt'),
    fc.oneof(fc.string(), fc.constant('endpoints: [https://west:1]')).map((text) => Buffer.from(text).toString('base64')),
  );
  const config = fc.dictionary(fc.constantFrom('cluster-name', 'cluster-id', 'max-connected-clusters', 'ipam', 'tunnel'), json, {
    noNullPrototype: true,
  });
  const secrets = fc
    .array(
      fc.tuple(
        fc.constantFrom('cilium-ca', 'cilium-kvstoremesh', 'cilium-clustermesh', 'clustermesh-apiserver-server-cert'),
        secret,
      ),
    )
    .map((all) => new Map(all.map(([name, data]) => [name, { data }])));
  const facts = fc.record({
    context: fc.constantFrom('a', 'b'),
    namespace: fc.constant('mesh'),
    config,
    clock: fc.constant('unread' as const),
    ownNamespace: object,
    workload: object,
    pods: list,
    agents: object,
    operator: object,
    service: object,
    endpointSlices: list,
    secrets,
    caBundle: object,
    missingReferences: fc.constant('unread' as const),
    policies: fc.record({ kubernetes: list, cilium: list, clusterwide: list }),
    rules: list,
    resources: fc.constant('unread' as const),
    ciliumNodes: list,
    identities: fc.constant('unread' as const),
    serviceCidrs: fc.constant('unread' as const),
    services: list,
    serviceExports: list,
  });

  test('lead to findings, bounded and printable', () => {
    fc.assert(
      fc.property(fc.array(facts, { minLength: 1, maxLength: 3 }), (all) => {
        for (const { subject, evidence, remedy } of findingsOf(membersOf(all as ClusterFacts[]), { nowMs: 0 }))
          for (const text of [subject, evidence, remedy]) {
            expect(text.length).toBeLessThanOrEqual(601);
            expect(text).not.toMatch(/\p{Cc}/u);
          }
      }),
      { numRuns: 300 },
    );
  });
});
