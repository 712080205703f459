/** Faults of the entries of remote clusters, and of node ports. */
import { NODE_PORTS, type Planting } from '../doctor-fixture.ts';
import { apps, core, entry, type Fault, files, image, localEntry, NAME, nodeAddress, remoteEntry } from './fault.ts';

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
