/** The flags of `etcdinit`. */
import { logFlags } from '../shared/flags/shared-flags.ts';
import { duration, type FlagValues, text } from '../shared/flags/table.ts';

export const etcdinitFlagTable = {
  'cluster-name': text('default', 'Name of this cluster, used in the names of users and in their permissions'),
  'etcd-cluster-name': text('clustermesh-apiserver', 'The --name with which etcd will be started'),
  'etcd-data-dir': text('/var/run/etcd', 'The data directory to initialize; its contents are removed', { candidates: 'files' }),
  'etcd-initial-cluster-token': text('clustermesh-apiserver', 'The --initial-cluster-token with which etcd will be started'),
  timeout: duration('2m', 'Timeout for the whole initialization', { min: '1s', max: '24h' }),
  debug: logFlags.debug,
};

/** The flags of one run, by name in camel case; durations in milliseconds. */
export type EtcdinitFlags = FlagValues<typeof etcdinitFlagTable>;
