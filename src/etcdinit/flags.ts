/** The flags of `etcdinit`. */
import { logFlags } from '../shared/flags/shared-flags.ts';
import { duration, type FlagValues, text } from '../shared/flags/table.ts';

export const etcdinitFlagTable = {
  'cluster-name': text('default', 'Name of this cluster, part of the names of users and of what remote clusters may read'),
  'etcd-cluster-name': text('clustermesh-apiserver', 'The --name that etcd is started with later'),
  'etcd-data-dir': text('/var/run/etcd', 'The data directory to prepare; whatever it holds is removed', { candidates: 'files' }),
  'etcd-initial-cluster-token': text('clustermesh-apiserver', 'The --initial-cluster-token that etcd is started with later'),
  timeout: duration('2m', 'How long all of it may take', { min: '1s', max: '24h' }),
  debug: logFlags.debug,
};

/** The flags of one run, by name in camel case; durations in milliseconds. */
export type EtcdinitFlags = FlagValues<typeof etcdinitFlagTable>;
