/** The flags of the `clustermesh` daemon. */
import {
  clusterFlags,
  goRuntimeFlags,
  kubernetesFlags,
  kvstoreFlags,
  logFlags,
  serverFlags,
  serviceFormatFlag,
} from '../shared/flags/shared-flags.ts';
import { bool, duration, type FlagValues, text } from '../shared/flags/table.ts';
import { exportFilterFlags } from './export/export-filter.ts';

export const apiserverFlagTable = {
  ...clusterFlags,
  ...kvstoreFlags,
  ...kubernetesFlags,
  ...serverFlags,
  ...logFlags,
  ...goRuntimeFlags(9892, 6063),
  'cluster-users-enabled': bool(false, 'Keep the users of the local etcd equal to the users file'),
  'cluster-users-config-path': text('/var/lib/cilium/etcd-config/users.yaml', 'The users file', { candidates: 'files' }),
  'clustermesh-default-global-namespace': bool(true, 'Whether a namespace without the annotation is exported'),
  'clustermesh-enable-mcs-api': bool(false, 'Export ServiceExports'),
  'clustermesh-mcs-api-install-crds': bool(
    true,
    'With the MCS API on: create its CRDs where they are missing, upgrade older ones',
  ),
  'clustermesh-service-v2': serviceFormatFlag,
  'crd-wait-timeout': duration('5m', 'How long to wait for the Cilium CRDs before giving up'),
  'enable-cilium-endpoint-slice': bool(false, 'Read CiliumEndpointSlices instead of CiliumEndpoints'),
  'enable-k8s-endpoint-slice': bool(true, 'Accepted; EndpointSlices are always used', { inert: true }),
  ...exportFilterFlags,
  'k8s-service-proxy-name': text('', 'Value of the label service.kubernetes.io/service-proxy-name to handle; empty for none'),
};

/** The flags of one run, by name in camel case; durations in milliseconds. */
export type ApiserverFlags = FlagValues<typeof apiserverFlagTable>;
