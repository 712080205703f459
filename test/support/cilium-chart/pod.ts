/** The Pod: its volumes, and what is said of it as a whole. */
import { containers, initContainers } from './containers.ts';
import type { ChartPod, ChartVolume } from './kinds.ts';
import type { Values } from './options.ts';
import { isFrom } from './versions.ts';

const OWNER_ONLY = 0o400;
const CERTIFICATE = ['tls.crt', 'tls.key', 'ca.crt'].map((key) => ({ key, path: key }));
const CLIENT = [
  { key: 'tls.key', path: 'common-etcd-client.key' },
  { key: 'tls.crt', path: 'common-etcd-client.crt' },
  { key: 'ca.crt', path: 'common-etcd-client-ca.crt' },
];

export function podSpec(values: Values): ChartPod {
  const init = initContainers(values);
  return {
    ...(Object.keys(values.podSecurityContext).length === 0 ? {} : { securityContext: values.podSecurityContext }),
    ...(init.length === 0 ? {} : { initContainers: init }),
    containers: containers(values),
    volumes: volumes(values),
    restartPolicy: 'Always',
    priorityClassName: 'system-cluster-critical',
    serviceAccountName: 'clustermesh-apiserver',
    terminationGracePeriodSeconds: 30,
    automountServiceAccountToken: true,
    affinity: affinity(values),
    nodeSelector: { 'kubernetes.io/os': 'linux' },
    ...hostAliases(values),
  };
}

function volumes({ version, authMode, kvstoremesh, storageMedium, externalKvstore }: Values): readonly ChartVolume[] {
  const secret = (name: string, from: string): ChartVolume => ({
    name,
    projected: {
      defaultMode: OWNER_ONLY,
      sources: [{ secret: { name: `clustermesh-apiserver-${from}-cert`, items: CERTIFICATE } }],
    },
  });
  const mesh: ChartVolume = {
    name: 'kvstoremesh-secrets',
    projected: {
      defaultMode: OWNER_ONLY,
      sources: [
        { secret: { name: 'cilium-kvstoremesh', optional: true } },
        { secret: { name: 'clustermesh-apiserver-remote-cert', optional: true, items: CLIENT } },
      ],
    },
  };
  if (externalKvstore !== undefined) {
    const items = [{ key: 'etcd-config', path: 'etcd-config.yaml' }];
    return [mesh, { name: 'etcd-config', configMap: { name: 'cilium-config', defaultMode: OWNER_ONLY, items } }];
  }
  const medium = storageMedium === 'Memory' ? 'Memory' : '';
  return [
    secret('etcd-server-secrets', 'server'),
    secret('etcd-admin-client', 'admin'),
    ...(authMode === 'legacy'
      ? []
      : [{ name: 'etcd-users-config', configMap: { name: 'clustermesh-remote-users', defaultMode: OWNER_ONLY } }]),
    { name: 'etcd-data-dir', emptyDir: isFrom(version, '1.16') ? { medium } : {} },
    ...(kvstoremesh ? [mesh] : []),
  ];
}

function affinity({ version }: Values): object {
  const term = {
    labelSelector: { matchLabels: { 'k8s-app': 'clustermesh-apiserver' } },
    topologyKey: 'kubernetes.io/hostname',
  };
  return {
    podAntiAffinity: isFrom(version, '1.16')
      ? { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: term }] }
      : { requiredDuringSchedulingIgnoredDuringExecution: [term] },
  };
}

/** Of the peers that are given by address; the charts have them up to 1.20. */
function hostAliases({ kvstoremesh, peers }: Values) {
  const aliases = peers.flatMap(({ name, ips = [] }) => ips.map((ip) => ({ ip, hostnames: [`${name}.mesh.cilium.io`] })));
  return kvstoremesh && aliases.length > 0 ? { hostAliases: aliases } : {};
}
