/** The flags of `etcdinit`. */
import { logFlags } from '../shared/flags/shared-flags.ts';
import { bool, duration, type FlagValues, map, text, uint16 } from '../shared/flags/table.ts';

const SECRETS = '/var/lib/etcd-peer-secrets';
const FILES = { candidates: 'files' } as const;

/** Of a member of a replicated etcd. */
const memberFlags = {
  'etcd-member-name': text('', 'Set up this member of a replicated etcd; the name of its Pod. Its data are kept'),
  'etcd-initial-cluster': text('', 'All members of a replicated etcd: name=https://host:2380, separated by commas'),
  'etcd-client-port': uint16(2379, 'Client port of the other members'),
  'etcd-peer-cert-file': text(`${SECRETS}/tls.crt`, 'Certificate for connections between members', FILES),
  'etcd-peer-key-file': text(`${SECRETS}/tls.key`, 'Key of --etcd-peer-cert-file', FILES),
  'etcd-peer-trusted-ca-file': text(`${SECRETS}/ca.crt`, 'CAs for connections between members', FILES),
  'etcd-peer-cert-allowed-cn': text('', 'Common name of the certificates of members; peer-<cluster name> if empty'),
  'kvstore-opt': map('For a replicated etcd: etcd.config=FILE with the administrator’s certificate for the other members'),
};

export const etcdinitFlagTable = {
  'cluster-name': text('default', 'Name of this cluster, used in the names of users and in their permissions'),
  'etcd-cluster-name': text('clustermesh-apiserver', 'The --name with which etcd will be started'),
  'etcd-data-dir': text('/var/run/etcd', 'The data directory to initialize; its contents are removed, see --etcd-keep-data', {
    candidates: 'files',
  }),
  'etcd-keep-data': bool(
    false,
    'Leave a data directory unchanged that was initialized with this flag for the same --cluster-name',
  ),
  'etcd-initial-cluster-token': text('clustermesh-apiserver', 'The --initial-cluster-token with which etcd will be started'),
  ...memberFlags,
  timeout: duration('2m', 'Timeout for the whole initialization', { min: '1s', max: '24h' }),
  debug: logFlags.debug,
  'log-opt': logFlags['log-opt'],
};

/** The flags of one run, by name in camel case; durations in milliseconds. */
export type EtcdinitFlags = FlagValues<typeof etcdinitFlagTable>;
