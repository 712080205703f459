/** The flags of the debugging commands, and the variable with the name of the local cluster. */
import { bool, duration, text } from '../../shared/flags/table.ts';

export const hostFlag = { host: text('localhost:9889', 'Address of the status API of kvstoremesh', { shorthand: 'H' }) };

export const statusFlagTable = {
  ...hostFlag,
  output: text('', "Output format: json, yaml or jsonpath='{…}'", {
    shorthand: 'o',
    candidates: ['json', 'yaml', 'jsonpath='],
  }),
  verbose: bool(false, 'Also show the details of ready clusters'),
};

export const localTroubleshootFlagTable = {
  'etcd-config': text('/var/lib/cilium/etcd-config.yaml', 'etcd configuration file of the local etcd', {
    candidates: 'files',
  }),
  timeout: duration('5s', 'Timeout for the checks of each etcd', { min: '1ms', max: '10m' }),
};

export const meshTroubleshootFlagTable = {
  ...localTroubleshootFlagTable,
  ...hostFlag,
  'clustermesh-config': text(
    '/var/lib/cilium/clustermesh/',
    'Directory that holds one etcd configuration file for each remote cluster',
    { candidates: 'files' },
  ),
  'include-local': bool(false, 'Also check the local etcd'),
};

/** The cluster of the pod, as its manifest has it. */
export function ownClusterName(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  return env.CLUSTER_NAME?.trim() || env.CILIUM_CLUSTER_NAME?.trim() || undefined;
}
