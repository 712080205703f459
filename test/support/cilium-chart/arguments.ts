/** The arguments of the containers. */
import type { Values } from './options.ts';
import { isFrom } from './versions.ts';

export const HEALTH_PORTS = { apiserver: 9880, kvstoremesh: 9881 } as const;
export const METRICS_PORTS = { apiserver: 9962, kvstoremesh: 9964, etcd: 9963 } as const;

const ETCD_CONFIG = 'etcd.config=/var/lib/cilium/etcd-config.yaml';

/** `words` where `condition` holds. */
const when = (condition: boolean, ...words: readonly string[]) => (condition ? words : []);

export function etcdinitArguments({ version, debug }: Values): readonly string[] {
  return [
    'etcdinit',
    ...when(debug, '--debug'),
    '--etcd-cluster-name=clustermesh-apiserver',
    `--etcd-initial-cluster-token=${clusterToken(version)}`,
    '--etcd-data-dir=/var/run/etcd',
  ];
}

export function etcdArguments({ version, metrics }: Values): readonly string[] {
  const onAll = isFrom(version, '1.18');
  // In brackets, whichever family the address is of.
  const address = onAll ? '0.0.0.0' : '[$(HOSTNAME_IP)]';
  return [
    '--data-dir=/var/run/etcd',
    '--name=clustermesh-apiserver',
    '--client-cert-auth',
    '--trusted-ca-file=/var/lib/etcd-secrets/ca.crt',
    '--cert-file=/var/lib/etcd-secrets/tls.crt',
    '--key-file=/var/lib/etcd-secrets/tls.key',
    `--listen-client-urls=${onAll ? '' : 'https://127.0.0.1:2379,'}https://${address}:2379`,
    `--advertise-client-urls=https://${onAll ? 'localhost' : address}:2379`,
    `--initial-cluster-token=${clusterToken(version)}`,
    '--auto-compaction-retention=1',
    ...when(isFrom(version, '1.19'), '--enable-grpc-gateway=false'),
    ...when(metrics, `--listen-metrics-urls=http://${address}:${METRICS_PORTS.etcd}`, '--metrics=basic'),
  ];
}

export function apiserverArguments(values: Values): readonly string[] {
  const { version } = values;
  return [
    'clustermesh',
    ...clusterArguments(values),
    ...(isFrom(version, '1.16')
      ? [`--kvstore-opt=${ETCD_CONFIG}`, `--kvstore-opt=etcd.qps=${isFrom(version, '1.20') ? 50 : 20}`, BOOTSTRAP_QPS]
      : ['--kvstore-opt', ETCD_CONFIG]),
    `--max-connected-clusters=${values.maxConnectedClusters}`,
    ...when(isFrom(version, '1.16'), `--health-port=${HEALTH_PORTS.apiserver}`),
    ...when(
      values.authMode !== 'legacy',
      '--cluster-users-enabled',
      '--cluster-users-config-path=/var/lib/cilium/etcd-config/users.yaml',
    ),
    ...when(!isFrom(version, '1.18'), '--enable-external-workloads=false'),
    ...metricsArguments(values, METRICS_PORTS.apiserver),
    ...when(values.mcsapi, '--clustermesh-enable-mcs-api'),
    ...when(values.ciliumEndpointSlice, '--enable-cilium-endpoint-slice'),
    ...when(isFrom(version, '1.20'), `--clustermesh-default-global-namespace=${values.defaultGlobalNamespace}`),
  ];
}

export function kvstoremeshArguments(values: Values): readonly string[] {
  const { version, externalKvstore } = values;
  const isInternal = externalKvstore === undefined;
  return [
    'kvstoremesh',
    ...clusterArguments(values),
    `--kvstore-opt=${ETCD_CONFIG}`,
    '--kvstore-opt=etcd.qps=100',
    ...when(isInternal && isFrom(version, '1.16'), BOOTSTRAP_QPS),
    '--kvstore-opt=etcd.maxInflight=10',
    '--clustermesh-config=/var/lib/cilium/clustermesh',
    `--max-connected-clusters=${values.maxConnectedClusters}`,
    ...when(isFrom(version, '1.19'), `--clustermesh-cache-ttl=${values.cacheTtl}`),
    ...when(isFrom(version, '1.16'), `--health-port=${HEALTH_PORTS.kvstoremesh}`),
    ...metricsArguments(values, METRICS_PORTS.kvstoremesh),
    ...when(isFrom(version, '1.18'), `--enable-heartbeat=${!isInternal}`),
  ];
}

const BOOTSTRAP_QPS = '--kvstore-opt=etcd.bootstrapQps=10000';

function clusterArguments({ debug }: Values): readonly string[] {
  return [...when(debug, '--debug'), '--cluster-name=$(CLUSTER_NAME)', '--cluster-id=$(CLUSTER_ID)'];
}

function metricsArguments({ metrics }: Values, port: number): readonly string[] {
  return when(metrics, `--prometheus-serve-addr=:${port}`, '--controller-group-metrics=all');
}

/** The UID of the Pod since each replica is an etcd of its own. */
function clusterToken(version: Values['version']): string {
  return isFrom(version, '1.16') ? '$(INITIAL_CLUSTER_TOKEN)' : 'clustermesh-apiserver';
}
