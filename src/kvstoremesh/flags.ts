/** The flags of the `kvstoremesh` daemon, and the configuration that they are parsed to. */
import { parseClusterInfo } from '../shared/cluster-info.ts';
import { FlagError } from '../shared/flags/error.ts';
import { quoted } from '../shared/flags/kinds.ts';
import { type KvstoreOptions, parseKvstoreOptions } from '../shared/flags/kvstore-options.ts';
import {
  clusterFlags,
  goRuntimeFlags,
  kubernetesFlags,
  kvstoreFlags,
  leaderElectionFlags,
  logFlags,
  serverFlags,
  serviceFormatFlag,
  traceFlags,
} from '../shared/flags/shared-flags.ts';
import { address, bool, choice, duration, type FlagValues, text, uint } from '../shared/flags/table.ts';
import { parseListenAddress } from '../shared/http/listen-address.ts';
import {
  MAX_KEY_BYTES,
  MAX_REMOTE_BYTES,
  MAX_REMOTE_CHANGES_PER_SECOND,
  MAX_REMOTE_KEYS,
  MAX_VALUE_BYTES,
  REMOTE_CHANGES_BURST_SECONDS,
} from '../shared/limits.ts';
import type { RemoteLimits } from './mirror/bounds.ts';

export const kvstoremeshFlagTable = {
  ...clusterFlags,
  ...kvstoreFlags,
  ...leaderElectionFlags,
  ...serverFlags,
  ...logFlags,
  ...traceFlags,
  ...goRuntimeFlags(9894, 6064),
  'allow-id-conflicts': bool(false, 'Also mirror clusters whose cluster ID is in use, reserved or out of range', {
    hidden: true,
  }),
  'api-serve-addr': address('localhost:9889', 'Address of the status API; empty for none'),
  'clustermesh-cache-ttl': duration('0s', 'How long to keep the services of an unreachable cluster; 0 to keep them forever'),
  'clustermesh-config': text('', 'Directory that holds one etcd configuration file for each remote cluster', {
    candidates: 'files',
  }),
  'clustermesh-service-v2': serviceFormatFlag,
  'disable-drain-on-disconnection': bool(false, 'Keep the mirrored keys of a cluster whose file was removed', { hidden: true }),
  'enable-heartbeat': bool(false, 'Write the heartbeat key; needed if no other component of this cluster writes it'),
  'global-ready-timeout': duration('10m', 'Time after which the daemon becomes ready even if clusters are still missing'),
  'import-guard': choice(
    ['off', 'warn', 'drop'],
    'warn',
    'How to handle addresses and identities that a remote cluster does not own: ignore, log, or also not mirror them',
  ),
  'import-policy': text(
    '',
    'File that says what is imported from which remote cluster, followed while the daemon runs; empty to import everything',
    { candidates: 'files' },
  ),
  'k8s-api-server-urls': kubernetesFlags['k8s-api-server-urls'],
  'k8s-events': bool(
    false,
    'Write an Event about this Pod when a remote cluster is connected, disconnected, rejected or removed',
  ),
  'k8s-kubeconfig-path': kubernetesFlags['k8s-kubeconfig-path'],
  'k8s-namespace': text(
    '',
    'Namespace of this Pod, for --k8s-events and --k8s-status-configmap; empty for that of the service account',
  ),
  'k8s-pod-name': text('', 'Name of this Pod, for --k8s-events; empty for the host name'),
  'k8s-pod-uid': text('', 'UID of this Pod, for --k8s-events: kubectl describe pod shows the Events of this UID'),
  'k8s-status-configmap': text('', 'Name of the ConfigMap with the state of the remote clusters; empty for none'),
  'per-cluster-ready-timeout': duration('15s', 'Time after which an unreachable cluster no longer delays readiness'),
  'remote-max-bytes': uint(MAX_REMOTE_BYTES, 'Maximum bytes of the keys and values of a remote cluster; 0 for no limit'),
  'remote-max-change-rate': uint(
    MAX_REMOTE_CHANGES_PER_SECOND,
    `Maximum changes per second of a remote cluster, with a burst of ${REMOTE_CHANGES_BURST_SECONDS} seconds; 0 for no limit`,
  ),
  'remote-max-key-size': uint(MAX_KEY_BYTES, 'Maximum bytes of a key of a remote cluster; 0 for the limit of etcd'),
  'remote-max-keys': uint(MAX_REMOTE_KEYS, 'Maximum keys of a remote cluster; 0 for no limit'),
  'remote-max-value-size': uint(MAX_VALUE_BYTES, 'Maximum bytes of a value of a remote cluster; 0 for the limit of etcd'),
};

/** The flags of one run, by name in camel case; durations in milliseconds. */
export type KvstoremeshFlags = FlagValues<typeof kvstoremeshFlagTable>;

/** What the flags of one run say, parsed. */
export type KvstoremeshConfig = ReturnType<typeof kvstoremeshConfig>;

/** What is reported to Kubernetes. */
export interface ReportsConfig {
  readonly events: boolean;
  /** '' for none. */
  readonly statusConfigMap: string;
  /** '' where the service account tells it. */
  readonly namespace: string;
  /** '' for the host name. */
  readonly podName: string;
  /** '' where it is unknown. */
  readonly podUid: string;
  readonly kubeconfigPath: string;
  readonly serverUrls: readonly string[];
}

const OBJECT_NAME = /^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/;

/** Undefined where nothing is. */
function reportsConfig(flags: KvstoremeshFlags): ReportsConfig | undefined {
  const { k8sEvents: events, k8sStatusConfigmap: statusConfigMap, k8sNamespace: namespace } = flags;
  for (const [flag, name] of [
    ['k8s-status-configmap', statusConfigMap],
    ['k8s-namespace', namespace],
  ] as const)
    if (name !== '' && !OBJECT_NAME.test(name))
      throw new FlagError(`--${flag}: ${quoted(name)} is not a name of Kubernetes; allowed: a-z, 0-9, "-" and "."`);
  if (!events && statusConfigMap === '') return undefined;
  const { k8sPodName: podName, k8sPodUid: podUid, k8sKubeconfigPath: kubeconfigPath, k8sApiServerUrls: serverUrls } = flags;
  return { events, statusConfigMap, namespace, podName, podUid, kubeconfigPath, serverUrls };
}

/** Throws ClusterInfoError, KvstoreOptionError or FlagError for values that cannot be used. */
export function kvstoremeshConfig(flags: KvstoremeshFlags) {
  const kvstore: KvstoreOptions = { ...parseKvstoreOptions(flags.kvstoreOpt), strictServerNames: flags.strictServerNames };
  const limits: RemoteLimits = {
    keys: flags.remoteMaxKeys,
    bytes: flags.remoteMaxBytes,
    'key-size': flags.remoteMaxKeySize,
    'value-size': flags.remoteMaxValueSize,
    'change-rate': flags.remoteMaxChangeRate,
  };
  return {
    own: parseClusterInfo(flags),
    kvstore,
    leaseTtlSeconds: Math.floor(flags.kvstoreLeaseTtlMs / 1000),
    lockTtlSeconds: Math.floor(flags.leaderElectionLeaseDurationMs / 1000),
    writesHeartbeat: flags.enableHeartbeat,
    /** With one file for each remote cluster. */
    directory: flags.clustermeshConfig,
    /** The file of the import policy; '' for none. */
    importPolicy: flags.importPolicy,
    readiness: { perClusterMs: flags.perClusterReadyTimeoutMs, globalMs: flags.globalReadyTimeoutMs },
    /** Those without an address are not started. */
    servers: {
      allowedHosts: flags.allowedHosts,
      healthPort: flags.healthPort,
      api: parseListenAddress(flags.apiServeAddr),
      metrics: parseListenAddress(flags.prometheusServeAddr),
    },
    controllerGroups: flags.controllerGroupMetrics,
    reports: reportsConfig(flags),
    /** The same for every remote cluster. */
    remotes: {
      allowIdConflicts: flags.allowIdConflicts,
      serviceFormat: flags.clustermeshServiceV2,
      limits,
      importGuard: flags.importGuard,
      cacheTtlMs: flags.clustermeshCacheTtlMs,
      /** The keys of a cluster go when its file does. */
      drained: !flags.disableDrainOnDisconnection,
    },
  };
}
