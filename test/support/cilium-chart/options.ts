/** The values of Cilium's chart that change something of clustermesh-apiserver, and their defaults by release. */
import type { CertificateIssuer } from './certificates.ts';
import { type AuthMode, type CiliumVersion, defaultAuthMode, hasKvstoremeshByDefault, isFrom } from './versions.ts';

/** An entry of `clustermesh.config.clusters`. */
export interface Peer {
  readonly name: string;
  readonly port: number;
  /** Instead of an address; its name is then NAME.mesh.cilium.io. */
  readonly ips?: readonly string[];
  readonly address?: string;
}

export interface CiliumChartOptions {
  readonly version: CiliumVersion;
  /** `clustermesh.apiserver.image.override` */
  readonly image: string;
  readonly clusterName: string;
  readonly clusterId: number;
  /** Signs the certificates; its CA is that of the mesh. */
  readonly issuer: CertificateIssuer;
  /** kube-system unless given. */
  readonly namespace?: string;
  readonly imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  readonly authMode?: AuthMode;
  readonly kvstoremesh?: boolean;
  /** From 1.18: the content of `etcd-config` in cilium-config, a client file of etcd. Only kvstoremesh runs then. */
  readonly externalKvstore?: string;
  readonly metrics?: boolean;
  readonly debug?: boolean;
  readonly replicas?: number;
  /** From 1.17. */
  readonly mcsapi?: boolean;
  /** From 1.16: of the operator and the agents. */
  readonly endpointSliceSync?: boolean;
  /** From 1.18. */
  readonly ciliumEndpointSlice?: boolean;
  readonly maxConnectedClusters?: 255 | 511;
  /** From 1.19. */
  readonly cacheTtl?: string;
  /** From 1.20. */
  readonly defaultGlobalNamespace?: boolean;
  /** From 1.16. */
  readonly storageMedium?: 'Disk' | 'Memory';
  readonly service?: { readonly type: 'NodePort' | 'LoadBalancer' | 'ClusterIP'; readonly nodePort?: number };
  /** `clustermesh.apiserver.podSecurityContext` instead of the default of the release. */
  readonly podSecurityContext?: Readonly<Record<string, unknown>>;
  readonly peers?: readonly Peer[];
}

export type Values = Required<Omit<CiliumChartOptions, 'externalKvstore'>> & Pick<CiliumChartOptions, 'externalKvstore'>;

/** Throws where the chart of the release lacks a value that is given. */
export function valuesOf(options: CiliumChartOptions): Values {
  const { version } = options;
  const since = { externalKvstore: '1.18', mcsapi: '1.17', ciliumEndpointSlice: '1.18', cacheTtl: '1.19' } as const;
  for (const [name, first] of Object.entries(since))
    if (options[name as keyof CiliumChartOptions] && !isFrom(version, first))
      throw new Error(`the chart of ${version} has no ${name}`);
  return {
    namespace: 'kube-system',
    imagePullPolicy: 'IfNotPresent',
    authMode: defaultAuthMode(version),
    kvstoremesh: hasKvstoremeshByDefault(version),
    metrics: true,
    debug: false,
    replicas: 1,
    mcsapi: false,
    endpointSliceSync: false,
    ciliumEndpointSlice: false,
    maxConnectedClusters: 255,
    cacheTtl: '0s',
    defaultGlobalNamespace: true,
    storageMedium: 'Disk',
    service: { type: 'NodePort', nodePort: 32_379 },
    podSecurityContext: podSecurityContext(version),
    peers: [],
    ...options,
  };
}

/** Up to 1.15 the original's image runs as root. */
function podSecurityContext(version: CiliumVersion): Readonly<Record<string, unknown>> {
  const user = 65_532;
  return isFrom(version, '1.16') ? { runAsNonRoot: true, runAsUser: user, runAsGroup: user, fsGroup: user } : {};
}
