/** The flags of the `kvstoremesh` daemon. */
import {
  clusterFlags,
  goRuntimeFlags,
  kvstoreFlags,
  logFlags,
  serverFlags,
  serviceFormatFlag,
} from '../shared/flags/shared-flags.ts';
import { address, bool, duration, type FlagValues, text } from '../shared/flags/table.ts';

export const kvstoremeshFlagTable = {
  ...clusterFlags,
  ...kvstoreFlags,
  ...serverFlags,
  ...logFlags,
  ...goRuntimeFlags(9894, 6064),
  'allow-id-conflicts': bool(false, 'Mirror clusters also with a cluster ID that is in use, reserved or out of range', {
    hidden: true,
  }),
  'api-serve-addr': address('localhost:9889', 'Address of the status API; empty for none'),
  'clustermesh-cache-ttl': duration('0s', 'How long services of an unreachable cluster are kept; 0 for ever'),
  'clustermesh-config': text('', 'Directory with one etcd configuration file for each remote cluster'),
  'clustermesh-service-v2': serviceFormatFlag,
  'disable-drain-on-disconnection': bool(false, 'Keep what was mirrored of a cluster whose file was removed', { hidden: true }),
  'enable-heartbeat': bool(false, 'Write the heartbeat key, where nothing else of this cluster does'),
  'global-ready-timeout': duration('10m', 'After this time the daemon is ready, whatever is missing'),
  'per-cluster-ready-timeout': duration('15s', 'After this time a cluster that cannot be reached no longer delays readiness'),
};

/** The flags of one run, by name in camel case; durations in milliseconds. */
export type KvstoremeshFlags = FlagValues<typeof kvstoremeshFlagTable>;
