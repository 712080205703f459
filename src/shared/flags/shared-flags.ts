/** The flags that both daemons have, with the same meaning. */
import { address, bool, choice, duration, float, int, lenientBool, list, map, text, uint, uint16, uint32 } from './table.ts';

export const clusterFlags = {
  'cluster-id': uint32(0, 'Number of this cluster, unique in the mesh, 1 to the value of --max-connected-clusters'),
  'cluster-name': text('default', 'Name of this cluster, unique in the mesh, at most 32 of a-z, 0-9 and "-"'),
  'max-connected-clusters': uint32(255, 'Clusters the mesh may have, the same everywhere in it: 255 or 511'),
};

export const kvstoreFlags = {
  kvstore: choice(['etcd'], 'etcd', 'Kind of the store that is written to'),
  'kvstore-lease-ttl': duration('15m', 'How long written keys outlive this process', { min: '25s', max: '24h' }),
  'kvstore-max-consecutive-quorum-errors': uint(2, 'Accepted; a connection is judged by its keepalive', { inert: true }),
  'strict-server-names': bool(false, 'Refuse servers whose certificate has their name in its common name alone'),
  'kvstore-opt': map('Option of the store, key=value; repeatable, or separated by commas'),
};

/** The service formats that are exported or mirrored: see the documents of the field for the three words. */
export const serviceFormatFlag = choice(
  ['prefer-legacy', 'prefer-endpointslice', 'only-endpointslice'],
  'prefer-legacy',
  'Which formats of services travel',
  { hidden: true },
);

export const serverFlags = {
  'allowed-hosts': list('More host names by which the health, metrics and status servers may be called; * for any'),
  'health-port': uint16(9880, 'Port of the health server, on all addresses'),
  'prometheus-serve-addr': address('', 'Address of the metrics server, such as :9962; empty for none'),
  'controller-group-metrics': list('Groups of controllers whose runs are counted: names, all, or none'),
};

/** The way to the Kubernetes API. */
export const kubernetesFlags = {
  'enable-k8s': bool(true, 'Has to be true: Kubernetes is what this is for'),
  'enable-k8s-api-discovery': bool(false, 'Accepted; nothing depends on discovered API groups', { inert: true }),
  'k8s-api-server-urls': list('Kubernetes API servers, tried in order; empty for the kubeconfig or the pod’s own'),
  'k8s-client-burst': int(20, 'Requests to Kubernetes that may exceed --k8s-client-qps for a moment'),
  'k8s-client-qps': float(10, 'Requests to Kubernetes a second; 0 or less for no limit'),
  'k8s-client-connection-keep-alive': duration('30s', 'Interval of TCP keepalive probes to Kubernetes; negative for none', {
    min: '-2562047h47m16s',
  }),
  'k8s-client-connection-timeout': duration('30s', 'How long connecting to Kubernetes may take'),
  'k8s-heartbeat-timeout': duration('30s', 'How long Kubernetes may be silent before the connection is made anew'),
  'k8s-kubeconfig-path': text('', 'The kubeconfig file; empty inside a pod', { candidates: 'files' }),
};

export const logFlags = {
  debug: lenientBool(false, 'Log what is of use only when something is being searched', { shorthand: 'D' }),
  'log-driver': list('Accepted; lines of JSON go to standard error', { inert: true }),
  'log-opt': map('Accepted; lines of JSON go to standard error', { inert: true }),
};

/** Diagnostics of the Go runtime, which this program does not have. */
export function goRuntimeFlags(gopsPort: number, pprofPort: number) {
  const inert = { inert: true };
  return {
    'enable-gops': bool(true, 'Accepted; Go runtime only', inert),
    'gops-port': uint16(gopsPort, 'Accepted; Go runtime only', inert),
    pprof: bool(false, 'Accepted; Go runtime only', inert),
    'pprof-address': text('localhost', 'Accepted; Go runtime only', inert),
    'pprof-block-profile-rate': int(0, 'Accepted; Go runtime only', inert),
    'pprof-mutex-profile-fraction': int(0, 'Accepted; Go runtime only', inert),
    'pprof-port': uint16(pprofPort, 'Accepted; Go runtime only', inert),
    'shell-sock-path': text('/var/run/cilium/shell.sock', 'Accepted; Go runtime only', inert),
  };
}
