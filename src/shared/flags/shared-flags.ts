/** The flags that both daemons have, with the same meaning. */

import { HEALTH_PORT } from '../http/listen-address.ts';
import {
  address,
  bool,
  choice,
  duration,
  float,
  int,
  lenientBool,
  list,
  map,
  presetUint16,
  text,
  uint,
  uint16,
  uint32,
} from './table.ts';

export const clusterFlags = {
  'cluster-id': uint32(0, 'ID of this cluster, unique in the mesh, from 1 to --max-connected-clusters'),
  'cluster-name': text('default', 'Name of this cluster, unique in the mesh, at most 32 of a-z, 0-9 and "-"'),
  'max-connected-clusters': uint32(255, 'Maximum number of clusters in the mesh, the same in all clusters: 255 or 511'),
};

export const kvstoreFlags = {
  kvstore: choice(['etcd'], 'etcd', 'Type of the key-value store'),
  'kvstore-connectivity-timeout': duration('2m', 'No effect: a flag of Cilium up to 1.17', { inert: true }),
  'kvstore-lease-ttl': duration('15m', 'TTL of the leases of written keys', { min: '25s', max: '24h' }),
  'kvstore-max-consecutive-quorum-errors': uint(2, 'No effect: connections are checked by keepalives', { inert: true }),
  'kvstore-periodic-sync': duration('5m', 'No effect: a flag of Cilium up to 1.17', { inert: true }),
  'strict-server-names': bool(false, 'Reject servers whose certificate has the server name only in its common name'),
  'kvstore-opt': map('Option of the key-value store, key=value; repeatable, or separated by commas'),
};

export const leaderElectionFlags = {
  'leader-election-lease-duration': duration('25s', 'How long a killed leader keeps its lease; then another replica leads', {
    min: '5s',
    max: '5m',
  }),
};

/** The service formats that are exported or mirrored: see the documents of the field for the three words. */
export const serviceFormatFlag = choice(
  ['prefer-legacy', 'prefer-endpointslice', 'only-endpointslice'],
  'prefer-legacy',
  'Formats in which services are exchanged',
  { hidden: true },
);

export const serverFlags = {
  'allowed-hosts': list('Additional host names of the health, metrics and status servers; * for any'),
  'health-port': presetUint16(HEALTH_PORT, 'Port of the health server, on all addresses'),
  'prometheus-serve-addr': address('', 'Address of the metrics server, such as :9962; empty for none'),
  'controller-group-metrics': list('Controller groups whose runs are counted: names, all, or none'),
};

/** The connection to the Kubernetes API. */
export const kubernetesFlags = {
  'enable-k8s': bool(true, 'Must be true'),
  'enable-k8s-api-discovery': bool(false, 'No effect: API groups are not discovered', { inert: true }),
  'k8s-api-server': text('', 'URL of the Kubernetes API server, if --k8s-api-server-urls is empty'),
  'k8s-api-server-urls': list(
    'URLs of the Kubernetes API servers, tried in order; empty for the kubeconfig or the service account',
  ),
  'k8s-client-burst': int(20, 'Burst of requests to Kubernetes beyond --k8s-client-qps'),
  'k8s-client-qps': float(10, 'Maximum requests to Kubernetes per second; 0 or less for no limit'),
  'k8s-client-connection-keep-alive': duration('30s', 'Interval of TCP keepalive probes to Kubernetes; negative for none', {
    min: '-2562047h47m16s',
  }),
  'k8s-client-connection-timeout': duration('30s', 'Timeout for connecting to Kubernetes'),
  'k8s-heartbeat-timeout': duration('30s', 'Time without a response from Kubernetes after which to reconnect'),
  'k8s-kubeconfig-path': text('', 'Path of the kubeconfig file; empty inside a pod', { candidates: 'files' }),
};

export const traceFlags = {
  'trace-ca-file': text('', 'PEM file with the CAs of --trace-endpoint; empty for those of Node', { candidates: 'files' }),
  'trace-endpoint': text(
    '',
    'URL of an OTLP/HTTP collector for traces of changes, such as https://host:4318/v1/traces; empty for none',
  ),
  'trace-sample': uint(1000, 'Trace one in so many changes'),
};

export const logFlags = {
  debug: lenientBool(false, 'Enable debug logging', { shorthand: 'D' }),
  'log-driver': list('No effect: logs are lines on standard error', { inert: true }),
  'log-opt': map('Format of log lines: format=json or format=text'),
};

/** Diagnostics of the Go runtime, which this program does not have. */
export function goRuntimeFlags(gopsPort: number, pprofPort: number) {
  const inert = { inert: true };
  return {
    'enable-gops': bool(true, 'No effect: Go runtime only', inert),
    'gops-port': uint16(gopsPort, 'No effect: Go runtime only', inert),
    pprof: bool(false, 'No effect: Go runtime only', inert),
    'pprof-address': text('localhost', 'No effect: Go runtime only', inert),
    'pprof-block-profile-rate': int(0, 'No effect: Go runtime only', inert),
    'pprof-mutex-profile-fraction': int(0, 'No effect: Go runtime only', inert),
    'pprof-port': uint16(pprofPort, 'No effect: Go runtime only', inert),
    'shell-sock-path': text('/var/run/cilium/shell.sock', 'No effect: Go runtime only', inert),
  };
}
