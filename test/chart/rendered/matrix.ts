/** The switches of the chart, and the values that rows of their settings stand for. */

import { pairwise, type Row, type Switches } from '../../support/pairwise.ts';
import type { Values } from './helm.ts';

const PEER = { north: { ips: ['192.0.2.1', '2001:db8::1'], port: 32379 }, west: { address: 'west.example.org' } };
const PROBE = { periodSeconds: 3, failureThreshold: 4 };
const MORE_OF_A_CONTAINER = {
  extraEnv: [{ name: 'TZ', value: 'UTC' }],
  extraVolumeMounts: [{ name: 'more', mountPath: '/more' }],
  resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '256Mi' } },
  securityContext: { privileged: false },
  lifecycle: { preStop: { sleep: { seconds: 1 } } },
  startupProbe: PROBE,
  readinessProbe: PROBE,
  livenessProbe: PROBE,
};

const SWITCHES: Switches<Values> = {
  kvstoremesh: { on: {}, off: { kvstoremesh: { enabled: false } }, combined: { combined: { enabled: true } } },
  authMode: { migration: {}, legacy: { tls: { authMode: 'legacy' } }, cluster: { tls: { authMode: 'cluster' } } },
  method: {
    provided: { tls: { method: 'provided' } },
    helm: {},
    cronJob: { tls: { method: 'cronJob', cronJob: { schedule: '@daily' } } },
    certmanager: {
      tls: {
        method: 'certmanager',
        certmanager: {
          issuerRef: { name: 'mesh', kind: 'ClusterIssuer', group: 'cert-manager.io' },
          subject: { organizations: ['a'] },
        },
      },
    },
  },
  bundle: {
    none: {},
    configMap: { tls: { caBundle: { enabled: true } } },
    secret: { tls: { caBundle: { enabled: true, useSecret: true, name: 'authorities', key: 'all.pem' } } },
  },
  metrics: {
    all: {},
    none: { metrics: { apiserver: { enabled: false }, kvstoremesh: { enabled: false }, etcd: { enabled: false } } },
    etcd: { metrics: { apiserver: { enabled: false }, kvstoremesh: { enabled: false }, etcd: { mode: 'extensive' } } },
    kvstoremesh: { metrics: { apiserver: { enabled: false }, etcd: { enabled: false, port: 9999 } } },
  },
  monitor: {
    off: {},
    on: {
      metrics: { serviceMonitor: { enabled: true }, prometheusRule: { enabled: true }, grafanaDashboard: { enabled: true } },
    },
    more: {
      metrics: {
        serviceMonitor: {
          enabled: true,
          namespace: 'default',
          labels: { release: 'prometheus' },
          annotations: { a: 'b' },
          scrapeTimeout: '5s',
          relabelings: [{ targetLabel: 'cluster', replacement: 'east' }],
          metricRelabelings: [{ action: 'drop', sourceLabels: ['__name__'], regex: 'nodejs_.*' }],
        },
        prometheusRule: {
          enabled: true,
          namespace: 'default',
          labels: { release: 'prometheus' },
          annotations: { a: 'b' },
          job: 'mesh',
          runbook: 'https://example.org/operate.md',
        },
        grafanaDashboard: {
          enabled: true,
          namespace: 'default',
          labels: { grafana: 'yes' },
          annotations: { folder: 'Cilium' },
        },
      },
    },
  },
  service: {
    nodePort: {},
    local: { service: { nodePort: 0, externalTrafficPolicy: 'Local', sessionAffinity: 'Always' } },
    clusterIP: { service: { type: 'ClusterIP', internalTrafficPolicy: 'Local', sessionAffinity: 'Never' } },
    aks: { service: { type: 'LoadBalancer', cloud: 'aks', loadBalancerIP: '192.0.2.9' } },
    eks: { service: { type: 'LoadBalancer', cloud: 'eks', loadBalancerClass: 'service.k8s.aws/nlb', labels: { a: 'b' } } },
    gke: { service: { type: 'LoadBalancer', cloud: 'gke', loadBalancerSourceRanges: ['192.0.2.0/24'], annotations: { a: 'b' } } },
    external: { service: { externallyCreated: true } },
  },
  families: { one: {}, both: { service: { ipFamilyPolicy: 'PreferDualStack', ipFamilies: ['IPv6', 'IPv4'] } } },
  replicas: {
    one: {},
    two: { replicas: 2 },
    none: { replicas: 0 },
    persistent: { etcd: { persistence: { enabled: true, storageClass: 'fast' } } },
    claimed: { etcd: { persistence: { enabled: true, existingClaim: 'given' } } },
    members: { etcd: { replication: { enabled: true } } },
    five: {
      etcd: {
        replication: { enabled: true, members: 5, clusterDomain: 'k8s.example.org', topologySpreadConstraints: [] },
        persistence: { enabled: true, storageClass: 'fast' },
        defragmentation: { schedule: '0 4 * * 0' },
      },
    },
    defragmented: { etcd: { defragmentation: { schedule: '0 4 * * 0' } } },
  },
  etcd: {
    disk: {},
    memory: { etcd: { storageMedium: 'Memory', quotaMiB: 300 } },
    plain: { etcd: { defragmentation: { atStartMiB: 0 }, compaction: { mode: 'revision', retention: '10000' } } },
  },
  size: { small: {}, medium: { meshSize: 'medium' }, large: { meshSize: 'large' }, xlarge: { meshSize: 'xlarge' } },
  mcs: { off: {}, on: { mcsapi: { enabled: true } }, readOnly: { mcsapi: { enabled: true, installCRDs: false } } },
  slices: { off: {}, on: { apiserver: { enableCiliumEndpointSlice: true, defaultGlobalNamespace: false } } },
  clusters: {
    none: {},
    some: {
      mesh: { clusters: { ...PEER, south: { address: '2001:db8::2', enabled: false }, 'a-1': { address: '2001:db8::3' } } },
    },
    elsewhere: { mesh: { renderSecrets: false, clusters: PEER } },
    domain: { maxConnectedClusters: 511, cluster: { id: 400 }, mesh: { domain: 'mesh.example.org', clusters: PEER } },
  },
  accounts: {
    own: {},
    given: { rbac: { create: false }, serviceAccount: { create: false, name: 'given' } },
    named: { serviceAccount: { name: 'mesh', annotations: { a: 'b' } } },
  },
  policy: {
    on: {},
    off: { networkPolicy: { enabled: false } },
    narrow: {
      networkPolicy: {
        etcdFrom: [{ ipBlock: { cidr: '192.0.2.0/24' } }],
        metricsFrom: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
      },
    },
  },
  budget: {
    unset: {},
    off: { podDisruptionBudget: { enabled: false } },
    max: { podDisruptionBudget: { enabled: true, unhealthyPodEvictionPolicy: 'AlwaysAllow' } },
    min: { podDisruptionBudget: { enabled: true, minAvailable: '50%' } },
  },
  speed: {
    free: { debug: true },
    limited: {
      apiserver: { etcdQPS: 50 },
      kvstoremesh: {
        etcdQPS: 1_000_000,
        cacheTTL: '1h30m',
        importGuard: 'drop',
        importPolicy: { enabled: true, clusters: [{ match: 'eu-*', kinds: ['nodes'], quota: { bytes: '200Mi' } }] },
      },
    },
  },
  export: {
    all: {},
    narrow: {
      apiserver: {
        export: {
          namespaces: ['shop', 'kiosk'],
          namespaceSelector: 'mesh,env notin (test)',
          endpointSelector: 'clustermesh.cilium.io/sync in (true)',
          selector: 'mesh=yes',
        },
      },
    },
  },
  more: {
    none: {},
    all: {
      annotations: { 'example.org/owner': 'mesh' },
      podAnnotations: { 'example.org/pod': 'yes' },
      podLabels: { team: 'mesh' },
      image: {
        override: '',
        repository: 'registry.test/mesh',
        tag: 'v1',
        digest: `sha256:${'0'.repeat(64)}`,
        pullSecrets: [{ name: 'a' }],
      },
      apiserver: { ...MORE_OF_A_CONTAINER, extraArgs: ['--k8s-client-qps=20'] },
      kvstoremesh: { ...MORE_OF_A_CONTAINER, extraArgs: ['--remote-max-keys=5000'] },
      combined: {
        resources: { requests: { cpu: '20m', memory: '96Mi' }, limits: { memory: '512Mi' } },
        securityContext: { privileged: false },
        lifecycle: { preStop: { sleep: { seconds: 1 } } },
        startupProbe: PROBE,
        readinessProbe: PROBE,
        livenessProbe: PROBE,
      },
      etcd: {
        ...MORE_OF_A_CONTAINER,
        extraArgs: ['--log-level=warn'],
        init: { extraArgs: ['--debug'], extraEnv: [{ name: 'TZ', value: 'UTC' }] },
      },
      tls: {
        server: { extraDnsNames: ['mesh.example.org'], extraIpAddresses: ['192.0.2.7'] },
        cronJob: { resources: { requests: { cpu: '1m' } } },
      },
      extraVolumes: [{ name: 'more', emptyDir: {} }],
      extraInitContainers: [
        {
          name: 'wait',
          image: 'registry.test/wait',
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
      extraObjects: [
        {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'more', namespace: '{{ .Release.Namespace }}' },
          data: { a: '{{ .Values.cluster.name }}' },
        },
        'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: text\n  namespace: {{ .Release.Namespace }}\n',
      ],
      tolerations: [{ key: 'mesh', operator: 'Exists' }],
      topologySpreadConstraints: [],
      affinity: { podAntiAffinity: null },
      nodeSelector: { pool: 'mesh' },
      priorityClassName: '',
      updateStrategy: { type: 'Recreate', rollingUpdate: null },
    },
  },
};

/** Settings that the chart refuses together, and what the second gives way to. */
function fitting(row: Row): Row {
  const isPersistent = ['persistent', 'claimed', 'five'].includes(row.replicas ?? '');
  if (isPersistent && row.etcd === 'memory') return fitting({ ...row, etcd: 'disk' });
  if (row.service !== 'external') return row;
  return { ...row, replicas: { defragmented: 'one', five: 'members' }[row.replicas ?? ''] ?? row.replicas ?? '' };
}

export interface MatrixRow {
  readonly name: string;
  readonly values: Values;
}

export const MATRIX: readonly MatrixRow[] = pairwise(SWITCHES).map((picked) => {
  const row = fitting(picked);
  const parts = Object.entries(row).map(([name, setting]) => SWITCHES[name]?.[setting] ?? {});
  return {
    name: Object.entries(row)
      .map((part) => part.join('='))
      .join(' '),
    values: parts.reduce(merged, {}),
  };
});

/** Both, `b` before `a`, and what is in their mappings likewise. */
export function merged(a: Values, b: Values): Values {
  const result: Record<string, unknown> = { ...a };
  for (const [name, value] of Object.entries(b)) {
    const before = result[name];
    result[name] = isMapping(before) && isMapping(value) ? merged(before, value) : value;
  }
  return result;
}

function isMapping(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
