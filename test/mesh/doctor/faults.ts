/** Faults of a mesh, each with what `doctor` must say about it. `NS` is the namespace of Cilium. */
import { containerStatus, NODE_PORTS, type Planting, RULES } from './doctor-fixture.ts';

export interface Fault {
  readonly title: string;
  plant(planting: Planting): Promise<void>;
  /** Lines `VERDICT CHECK: SUBJECT`, all of them. */
  readonly lines: readonly string[];
  /** Of the first line. */
  readonly evidence: RegExp;
  readonly remedy: RegExp;
  /** What it changes; faults of three at once must change different things. */
  readonly touches: readonly string[];
}

const NAME = 'clustermesh-apiserver';
const DEPLOYMENT = 'Deployment NS/clustermesh-apiserver';
const PENDING = { containerStatuses: [] as object[] };

const entry = (...lines: readonly string[]) => lines.join('\n');
const FILES = ['trusted-ca-file', 'key-file', 'cert-file'];
const EXTENSIONS = ['-ca.crt', '.key', '.crt'];
const files = (name: string) => FILES.map((key, i) => `${key}: /var/lib/cilium/clustermesh/${name}${EXTENSIONS[i]}`);
const remoteEntry = (cluster: string, port: number, ...ips: readonly string[]) =>
  entry(
    'endpoints:',
    `  - https://${cluster}.mesh.cilium.io:${port}`,
    ...files('common-etcd-client'),
    'cilium-host-aliases:',
    `  - hostname: ${cluster}.mesh.cilium.io`,
    '    ips:',
    ...ips.map((ip) => `    - ${ip}`),
  );
const localEntry = (namespace: string) =>
  entry('endpoints:', `  - https://clustermesh-apiserver.${namespace}.svc:2379`, ...files('local-etcd-client'));

const apps = ({ mesh }: Planting, plural: string, name: string) => `/apis/apps/v1/namespaces/${mesh.namespace}/${plural}/${name}`;
const core = ({ mesh }: Planting, plural: string, name = '') => mesh.path(plural, name);

/** One of `cilium-config` of a cluster. */
function setting(
  title: string,
  data: Readonly<Record<string, string | null>>,
  line: string,
  evidence: RegExp,
  remedy: RegExp,
): Fault {
  const touches = [`config ${Object.keys(data).join(' ')}`];
  return { title, plant: (p) => p.config('west', data), lines: [line], evidence, remedy, touches };
}

function podStatus(title: string, status: object, line: string, evidence: RegExp, remedy: RegExp): Fault {
  return {
    title,
    async plant(p) {
      await p.patch('west', `${core(p, 'pods', `${NAME}-0`)}/status`, { status: { ...PENDING, ...status } });
      await p.patch('west', `${apps(p, 'deployments', NAME)}/status`, { status: { readyReplicas: 0 } });
    },
    lines: [line],
    evidence,
    remedy,
    touches: ['pod'],
  };
}

const POD = `west: Pod NS/${NAME}-0`;

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

function image(name: string, version: string) {
  return { spec: { template: { spec: { containers: [{ name, image: `quay.io/cilium/${name}:v${version}` }] } } } };
}

export const CONNECTION_FAULTS: readonly Fault[] = [
  {
    title: 'only one side has an entry',
    async plant(p) {
      for (const name of ['cilium-kvstoremesh', 'cilium-clustermesh']) await p.secret('west', name, { east: null });
    },
    lines: ['warning both-sides: east and west'],
    evidence: /east has an entry of west, and west has none/,
    remedy: /connect --context=east --destination-context=west/,
    touches: ['entries'],
  },
  {
    title: 'an entry is in one Secret only',
    plant: (p) => p.secret('west', 'cilium-clustermesh', { east: null }),
    lines: ['error entry-in-both-secrets: west: Secret NS/cilium-kvstoremesh, entry east'],
    evidence: /agents do not read/,
    remedy: /connect --context=west/,
    touches: ['entries'],
  },
  {
    title: 'an entry leads to the own cluster',
    async plant(p) {
      await p.secret('west', 'cilium-kvstoremesh', { north: remoteEntry('north', NODE_PORTS.west, '192.0.2.21', '192.0.2.22') });
      await p.secret('west', 'cilium-clustermesh', { north: localEntry(p.mesh.namespace) });
    },
    lines: [
      'error entry-own-cluster: west: Secret NS/cilium-kvstoremesh, entry north',
      'unknown entry-cluster: west: Secret NS/cilium-kvstoremesh, entry north',
    ],
    evidence: /those of west itself/,
    remedy: /connect --context=west/,
    touches: ['entries'],
  },
  {
    title: 'an entry has another name than its cluster',
    async plant(p) {
      await p.secret('west', 'cilium-kvstoremesh', { east: null, oslo: remoteEntry('oslo', NODE_PORTS.east, '192.0.2.11') });
      await p.secret('west', 'cilium-clustermesh', { east: null, oslo: localEntry(p.mesh.namespace) });
    },
    lines: ['error entry-name: west: Secret NS/cilium-kvstoremesh, entry oslo'],
    evidence: /is named east/,
    remedy: /--destination-name=oslo --force/,
    touches: ['entries'],
  },
  {
    title: 'an entry is of a cluster that no context has',
    async plant(p) {
      await p.secret('west', 'cilium-kvstoremesh', { north: remoteEntry('north', 2379, '198.51.100.7') });
      await p.secret('west', 'cilium-clustermesh', { north: localEntry(p.mesh.namespace) });
    },
    lines: ['unknown entry-cluster: west: Secret NS/cilium-kvstoremesh, entry north'],
    evidence: /north/,
    remedy: /--destination-context/,
    touches: ['entries'],
  },
  {
    title: 'certificate files have no entry',
    plant: (p) => p.secret('west', 'cilium-kvstoremesh', { 'north.etcd-client.key': 'secret', 'north.etcd-client.crt': 'x' }),
    lines: ['warning dangling-entry-files: west: Secret NS/cilium-kvstoremesh'],
    evidence: /north\.etcd-client/,
    remedy: /--destination-name=north/,
    touches: ['entries'],
  },
  {
    title: 'an entry names files that do not exist',
    plant: (p) =>
      p.secret('west', 'cilium-kvstoremesh', {
        east: remoteEntry('east', NODE_PORTS.east, '192.0.2.11').replaceAll('common-etcd', 'east.etcd'),
      }),
    lines: ['error entry-files: west: Secret NS/cilium-kvstoremesh, entry east'],
    evidence: /east\.etcd-client-ca\.crt, east\.etcd-client\.crt and east\.etcd-client\.key/,
    remedy: /connect --context=west/,
    touches: ['entries'],
  },
  {
    title: 'an entry is not valid',
    plant: (p) => p.secret('west', 'cilium-kvstoremesh', { east: 'endpoints: []' }),
    lines: ['error entry-content: west: Secret NS/cilium-kvstoremesh, entry east'],
    evidence: /endpoints/,
    remedy: /connect --context=west/,
    touches: ['entries'],
  },
  {
    title: 'an entry has an address of a node that is gone',
    plant: (p) =>
      p.secret('west', 'cilium-kvstoremesh', { east: remoteEntry('east', NODE_PORTS.east, '192.0.2.11', '192.0.2.99') }),
    lines: ['warning entry-addresses: west: Secret NS/cilium-kvstoremesh, entry east'],
    evidence: /1 of 2 addresses .* 192\.0\.2\.99 port 32379/,
    remedy: /connect --context=west --destination-context=east/,
    touches: ['entries'],
  },
  {
    title: 'the server certificate lacks the name of an entry',
    plant: (p) =>
      p.secret('west', 'cilium-kvstoremesh', {
        east: entry('endpoints: [https://east.example.org:2379]', ...files('common-etcd-client')),
      }),
    lines: ['error entry-server-name: west: Secret NS/cilium-kvstoremesh, entry east'],
    evidence: /does not have east\.example\.org; it has .*\*\.mesh\.cilium\.io/,
    remedy: /extraDnsNames/,
    touches: ['entries'],
  },
  {
    title: 'agents bypass kvstoremesh',
    plant: (p) => p.secret('west', 'cilium-clustermesh', { east: remoteEntry('east', NODE_PORTS.east, '192.0.2.11') }),
    lines: ['warning agents-use-cache: west: Secret NS/cilium-clustermesh, entry east'],
    evidence: /east\.mesh\.cilium\.io and bypass kvstoremesh/,
    remedy: /connect --context=west/,
    touches: ['entries'],
  },
  {
    title: 'both clusters have one node port, and Cilium takes it for its own',
    async plant(p) {
      await nodePort(p, NODE_PORTS.east);
      await p.secret('east', 'cilium-kvstoremesh', { west: remoteEntry('west', NODE_PORTS.east, '192.0.2.21') });
      await p.config('west', { 'kube-proxy-replacement': 'true' });
      for (const side of ['east', 'west'] as const)
        for (const [plural, name] of [
          ['daemonsets', 'cilium'],
          ['deployments', 'cilium-operator'],
        ] as const)
          await p.patch(
            side,
            apps(p, plural, name),
            image(name === 'cilium' ? 'cilium-agent' : name, '1.18.5'),
            'strategic-merge-patch',
          );
    },
    lines: ['warning same-node-port: east and west'],
    evidence: /node port 32379, and Cilium of west/,
    remedy: /nodePort/,
    touches: ['entries', 'versions', 'service'],
  },
  {
    title: 'both clusters have one node port on the address of one node',
    async plant(p) {
      await nodePort(p, NODE_PORTS.east);
      await p.secret('east', 'cilium-kvstoremesh', { west: remoteEntry('west', NODE_PORTS.east, '192.0.2.21') });
      await p.patch('west', '/apis/cilium.io/v2/ciliumnodes/west-1', nodeAddress('192.0.2.11'));
    },
    lines: ['error same-node-port: east and west', 'error node-address-overlap: east and west'],
    evidence: /nodes with 192\.0\.2\.11/,
    remedy: /nodePort/,
    touches: ['entries', 'nodes', 'service'],
  },
];

function nodePort(p: Planting, port: number): Promise<void> {
  return p.patch('west', core(p, 'services', NAME), { spec: { ports: [{ port: 2379, nodePort: port }] } });
}

function nodeAddress(ip: string) {
  return { spec: { addresses: [{ type: 'InternalIP', ip }] } };
}

export const NETWORK_FAULTS: readonly Fault[] = [
  {
    title: 'Pod CIDRs overlap',
    plant: (p) => p.patch('west', '/apis/cilium.io/v2/ciliumnodes/west-0', { spec: { ipam: { podCIDRs: ['10.1.0.0/16'] } } }),
    lines: ['error pod-cidr-overlap: east and west'],
    evidence: /10\.1\.0\.0\/24 of east \(node east-0\) and 10\.1\.0\.0\/16 of west \(node west-0\)/,
    remedy: /clusterPoolIPv4PodCIDRList/,
    touches: ['nodes'],
  },
  {
    title: 'pools of Pod CIDRs overlap',
    async plant(p) {
      for (const side of ['east', 'west'] as const) await p.config(side, { 'cluster-pool-ipv4-cidr': '10.0.0.0/8' });
    },
    lines: ['warning pod-pool-overlap: east and west'],
    evidence: /10\.0\.0\.0\/8 of east and 10\.0\.0\.0\/8 of west/,
    remedy: /clusterPoolIPv4PodCIDRList/,
    touches: ['pools'],
  },
  {
    title: 'two nodes have one address',
    async plant(p) {
      await p.patch('west', '/apis/cilium.io/v2/ciliumnodes/west-1', nodeAddress('192.0.2.12'));
      await p.secret('east', 'cilium-kvstoremesh', { west: remoteEntry('west', NODE_PORTS.west, '192.0.2.21') });
    },
    lines: ['error node-address-overlap: east and west'],
    evidence: /192\.0\.2\.12 of east \(node east-1\) and 192\.0\.2\.12 of west \(node west-1\)/,
    remedy: /other addresses/,
    touches: ['nodes', 'entries'],
  },
  {
    title: 'a Pod CIDR has the address of a node of the other cluster',
    plant: (p) => p.patch('west', '/apis/cilium.io/v2/ciliumnodes/west-0', { spec: { ipam: { podCIDRs: ['192.0.2.0/28'] } } }),
    lines: ['error pod-node-overlap: east and west'],
    evidence: /192\.0\.2\.11 of east \(node east-0\) and 192\.0\.2\.0\/28 of west/,
    remedy: /Pod CIDRs/,
    touches: ['nodes'],
  },
  {
    title: 'a Pod CIDR is within the Service CIDR of the other cluster',
    plant: (p) => p.patch('west', '/apis/cilium.io/v2/ciliumnodes/west-0', { spec: { ipam: { podCIDRs: ['10.96.4.0/24'] } } }),
    lines: ['error service-cidr-overlap: east and west'],
    evidence: /10\.96\.0\.0\/12 of east and 10\.96\.4\.0\/24 of west/,
    remedy: /service-cluster-ip-range/,
    touches: ['nodes'],
  },
];

export const WORKLOAD_FAULTS: readonly Fault[] = [
  {
    title: 'the Deployment is missing',
    plant: (p) => p.delete('west', apps(p, 'deployments', NAME)),
    lines: [`error workload-exists: west: ${DEPLOYMENT}`],
    evidence: /does not exist/,
    remedy: /useAPIServer=true/,
    touches: ['pod', 'service', 'entries', 'references', 'rights', 'security', 'policy'],
  },
  {
    title: 'the Deployment has no replicas',
    async plant(p) {
      await p.patch('west', apps(p, 'deployments', NAME), { spec: { replicas: 0 } });
      await p.patch('west', `${apps(p, 'deployments', NAME)}/status`, { status: { replicas: 0, readyReplicas: 0 } });
    },
    lines: [`error workload-replicas: west: ${DEPLOYMENT}`],
    evidence: /0 replicas/,
    remedy: /scale deployment\/clustermesh-apiserver --replicas=1/,
    touches: ['pod'],
  },
  {
    title: 'the Deployment is not ready',
    plant: (p) => p.patch('west', `${apps(p, 'deployments', NAME)}/status`, { status: { readyReplicas: 0 } }),
    lines: [`error workload-ready: west: ${DEPLOYMENT}`],
    evidence: /0 of 1 Pods/,
    remedy: /logs deployment/,
    touches: ['pod'],
  },
  podStatus(
    'an image cannot be pulled',
    { containerStatuses: [containerStatus('apiserver', { waiting: { reason: 'ImagePullBackOff', message: 'not found' } })] },
    `error pod-image: ${POD}, container apiserver`,
    /ImagePullBackOff: not found/,
    /describe pod/,
  ),
  podStatus(
    'a container crashes',
    {
      containerStatuses: [
        containerStatus(
          'kvstoremesh',
          { waiting: { reason: 'CrashLoopBackOff' } },
          { lastState: { terminated: { reason: 'Error', exitCode: 1 } } },
        ),
      ],
    },
    `error pod-crash: ${POD}, container kvstoremesh`,
    /CrashLoopBackOff, last ended with Error \(status 1\)/,
    /logs clustermesh-apiserver-0 --container=kvstoremesh --previous/,
  ),
  podStatus(
    'a container needs more memory than its limit',
    {
      containerStatuses: [
        containerStatus(
          'etcd',
          { waiting: { reason: 'CrashLoopBackOff' } },
          { restartCount: 7, lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } } },
        ),
      ],
    },
    `error pod-memory: ${POD}, container etcd`,
    /7 restarts/,
    /resources\.limits\.memory/,
  ),
  podStatus(
    'the Pod cannot be scheduled',
    { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/2 nodes are available' }] },
    `error pod-scheduling: ${POD}`,
    /0\/2 nodes/,
    /describe pod/,
  ),
  {
    title: 'the Pods refer to a ConfigMap that does not exist',
    plant: (p) => p.delete('west', core(p, 'configmaps', 'clustermesh-remote-users')),
    lines: [`error pod-references: west: ${DEPLOYMENT}`],
    evidence: /ConfigMap .*\/clustermesh-remote-users/,
    remedy: /create configmap clustermesh-remote-users/,
    touches: ['references'],
  },
  {
    title: 'the ServiceAccount is missing',
    plant: (p) => p.delete('west', core(p, 'serviceaccounts', NAME)),
    lines: [`error pod-references: west: ${DEPLOYMENT}`],
    evidence: /ServiceAccount .*\/clustermesh-apiserver/,
    remedy: /create it/,
    touches: ['references'],
  },
  {
    title: 'Pod security rejects the Pods',
    plant: (p) =>
      p.patch('west', `/api/v1/namespaces/${p.mesh.namespace}`, {
        metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
      }),
    lines: ['error pod-security: west: Namespace NS'],
    evidence: /restricted rejects new Pods: allowPrivilegeEscalation is not false in container apiserver/,
    remedy: /label namespace .*=privileged/,
    touches: ['security'],
  },
  {
    title: 'the Service is missing',
    async plant(p) {
      await p.delete('west', core(p, 'services', NAME));
    },
    lines: [`error service-exists: west: Service NS/${NAME}`],
    evidence: /does not exist/,
    remedy: /helm upgrade/,
    touches: ['service'],
  },
  {
    title: 'the Service has no endpoint',
    plant: (p) =>
      p.patch('west', `/apis/discovery.k8s.io/v1/namespaces/${p.mesh.namespace}/endpointslices/${NAME}`, { endpoints: [] }),
    lines: [`error service-endpoints: west: Service NS/${NAME}`],
    evidence: /selector is .*k8s-app/,
    remedy: /patch service/,
    touches: ['endpoints'],
  },
  {
    title: 'the load balancer has no address',
    plant: (p) => p.patch('west', core(p, 'services', NAME), { spec: { type: 'LoadBalancer' } }),
    lines: [`error service-address: west: Service NS/${NAME}`],
    evidence: /has no address/,
    remedy: /describe service/,
    touches: ['service'],
  },
  {
    title: 'CiliumEndpointSlices are enabled, and their CRD is missing',
    async plant(p) {
      await p.config('west', { 'clustermesh-enable-mcs-api': 'true' });
    },
    lines: ['error custom-resources: west: CustomResourceDefinition serviceimports.multicluster.x-k8s.io'],
    evidence: /does not exist/,
    remedy: /mcsapi\.installCRDs/,
    touches: ['config clustermesh-enable-mcs-api'],
  },
  {
    title: 'the ClusterRole lacks a right',
    plant: (p) =>
      p.patch('west', `/apis/rbac.authorization.k8s.io/v1/clusterroles/${NAME}`, {
        rules: RULES.filter(({ resources }) => !resources.includes('endpointslices')),
      }),
    lines: [`error service-account-rights: west: ServiceAccount NS/${NAME}`],
    evidence: /list and watch of endpointslices\.discovery\.k8s\.io/,
    remedy: /edit clusterrole/,
    touches: ['rights'],
  },
  {
    title: 'a NetworkPolicy blocks port 2379',
    plant: (p) =>
      p.create('west', `/apis/networking.k8s.io/v1/namespaces/${p.mesh.namespace}/networkpolicies`, {
        metadata: { name: 'closed' },
        spec: {
          podSelector: { matchLabels: { 'k8s-app': NAME } },
          policyTypes: ['Ingress'],
          ingress: [{ from: [{ podSelector: {} }] }],
        },
      } as never),
    lines: ['error network-policy: west: Namespace NS'],
    evidence: /NetworkPolicy closed selects/,
    remedy: /port: 2379/,
    touches: ['policy'],
  },
];
