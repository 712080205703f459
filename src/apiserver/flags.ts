/** The flags of the `clustermesh` daemon. */
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
import { bool, duration, type FlagValues, presetBool, text } from '../shared/flags/table.ts';
import { exportFilterFlags } from './export/export-filter.ts';

export const apiserverFlagTable = {
  ...clusterFlags,
  ...kvstoreFlags,
  ...leaderElectionFlags,
  ...kubernetesFlags,
  ...serverFlags,
  ...logFlags,
  ...traceFlags,
  ...goRuntimeFlags(9892, 6063),
  'cluster-users-enabled': bool(false, 'Synchronize the users of the local etcd with the users file'),
  'cluster-users-config-path': text('/var/lib/cilium/etcd-config/users.yaml', 'Path of the users file', { candidates: 'files' }),
  'clustermesh-default-global-namespace': bool(true, 'Export namespaces that lack the annotation for global namespaces'),
  'clustermesh-enable-mcs-api': bool(false, 'Export ServiceExports'),
  'clustermesh-mcs-api-install-crds': bool(true, 'Create or upgrade the CRDs of the MCS API, if the MCS API is enabled'),
  'clustermesh-service-v2': serviceFormatFlag,
  'crd-wait-timeout': duration('5m', 'How long to wait for the Cilium CRDs before exiting'),
  'enable-cilium-endpoint-slice': bool(false, 'Read CiliumEndpointSlices instead of CiliumEndpoints'),
  'enable-external-workloads': presetBool(
    true,
    'Set by charts up to 1.17: any value permits the etcd role remote to read mirrored keys',
  ),
  'enable-k8s-endpoint-slice': bool(true, 'No effect: EndpointSlices are always used', { inert: true }),
  ...exportFilterFlags,
  'leader-election': bool(
    false,
    'Export only while this replica is the leader of the replicas that share the etcd; without it every replica exports',
  ),
  'k8s-service-proxy-name': text(
    '',
    'Export services with this service.kubernetes.io/service-proxy-name label; empty for services without it',
  ),
};

/** The flags of one run, by name in camel case; durations in milliseconds. */
export type ApiserverFlags = FlagValues<typeof apiserverFlagTable>;
