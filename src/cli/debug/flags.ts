/** The flags of the debugging commands, and the variable with the name of the local cluster. */
import { bool, duration, text, uint } from '../../shared/flags/table.ts';

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

const directoryFlag = {
  'clustermesh-config': text(
    '/var/lib/cilium/clustermesh/',
    'Directory that holds one etcd configuration file for each remote cluster',
    { candidates: 'files' },
  ),
};

export const meshTroubleshootFlagTable = {
  ...localTroubleshootFlagTable,
  ...hostFlag,
  ...directoryFlag,
  'include-local': bool(false, 'Also check the local etcd'),
};

export const localDoctorFlagTable = {
  'etcd-config': localTroubleshootFlagTable['etcd-config'],
  timeout: duration('4s', 'Timeout for the checks of each etcd', { min: '1ms', max: '10m' }),
  output: text('', "Output format: json, yaml or jsonpath='{…}'; text if empty", {
    shorthand: 'o',
    candidates: ['json', 'yaml', 'jsonpath='],
  }),
  'cluster-name': text('', 'Name of the local cluster; that of the Pod if empty'),
  'cluster-id': uint(0, 'ID of the local cluster; read from the local etcd if 0'),
  'etcd-metrics': text('', 'URL of the metrics of the local etcd; port 9963 of this Pod if empty'),
};

export const exportDoctorFlagTable = {
  ...localDoctorFlagTable,
  'export-endpoint-selector': text('', 'Label selector of the clustermesh daemon; no selector if empty'),
  'daemon-metrics': text('http://localhost:9962/metrics', 'URL of the metrics of the clustermesh daemon'),
};

export const meshDoctorFlagTable = { ...localDoctorFlagTable, ...hostFlag, ...directoryFlag };

export const importPlanFlagTable = {
  ...directoryFlag,
  'etcd-config': localTroubleshootFlagTable['etcd-config'],
  timeout: { ...localTroubleshootFlagTable.timeout, usage: 'Longest time for all requests to one etcd', default: 60_000 },
  output: localDoctorFlagTable.output,
};

/** The cluster of the pod, as its manifest has it. */
export function ownClusterName(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  return env.CLUSTER_NAME?.trim() || env.CILIUM_CLUSTER_NAME?.trim() || undefined;
}
