/** The flags of the commands for a workstation, named as those of Cilium's command line. */

import { type EndpointAddress, parseEndpoint } from '../shared/etcd/endpoint-address.ts';
import { listKind } from '../shared/flags/collections.ts';
import { FlagError } from '../shared/flags/error.ts';
import { quoted } from '../shared/flags/kinds.ts';
import { bool, choice, duration, type Flag, type FlagValues, list, text, uint16 } from '../shared/flags/table.ts';

/** Which cluster a command is about. */
export const placeFlags = {
  context: text('', 'Context of the kubeconfig for this cluster; empty for the current context', { candidates: 'contexts' }),
  kubeconfig: text('', 'Path of the kubeconfig; empty for $KUBECONFIG or ~/.kube/config', { candidates: 'files' }),
  namespace: text('kube-system', 'Namespace of Cilium in all clusters', { shorthand: 'n' }),
};

const clusterFlags = {
  ...placeFlags,
  output: text('', "Another form of output: json, yaml or jsonpath='{…}'", {
    shorthand: 'o',
    candidates: ['json', 'yaml', 'jsonpath='],
  }),
};

const wideOutput = text('', "Another form of output: wide (all certificates and Pods), json, yaml or jsonpath='{…}'", {
  shorthand: 'o',
  candidates: ['wide', 'json', 'yaml', 'jsonpath='],
});

const destinationFlags = {
  ...clusterFlags,
  'destination-context': list('Contexts of the other clusters; repeatable, or separated by commas', { candidates: 'contexts' }),
};

const changeFlags = {
  ...destinationFlags,
  'connection-mode': choice(
    ['unicast', 'bidirectional', 'mesh'],
    'bidirectional',
    'unicast changes this cluster, bidirectional the others too, mesh connects all of them with each other',
  ),
  'dry-run': choice(
    ['none', 'client', 'server'],
    'none',
    'Print the manifests and write nothing; with server, the API server checks them',
  ),
};

const helmFlags = {
  'helm-release-name': text('', 'Release that --helm upgrades; empty for the name of the chart'),
  'helm-chart': text(
    '',
    'Chart for --helm: a name, a directory or an archive; empty for that of Cilium in the version of the release',
    {
      candidates: 'files',
    },
  ),
};

export const connectFlagTable = {
  ...changeFlags,
  ...helmFlags,
  helm: bool(false, 'If Helm manages Secrets, upgrade the release with the helm in the PATH'),
  'source-endpoint': endpoints('Addresses of this cluster for the others, instead of those of its Service'),
  'destination-endpoint': endpoints('Addresses of the other cluster, if there is one, instead of those of its Service'),
  'allow-mismatching-ca': bool(false, 'Connect clusters that do not trust the CA of each other'),
  check: bool(false, 'Run the checks of doctor with all of these clusters, and write nothing'),
  pods: bool(true, 'With --check also run the checks inside the Pods; needs create of pods/exec'),
};

export const disconnectFlagTable = {
  ...changeFlags,
  'destination-name': list('Names of other clusters that are not reachable; requires --force unless unicast'),
  force: bool(false, 'Remove the entries of this cluster only, if the other cluster no longer exists'),
};

export const statusFlagTable = {
  ...clusterFlags,
  output: wideOutput,
  watch: bool(false, 'Show the status again every 2 seconds, until it is interrupted'),
  wait: bool(false, 'Wait until this cluster is ready and connected to all clusters'),
  'wait-duration': duration('15m', 'Longest time to wait', { max: '24h' }),
};

export const doctorFlagTable = {
  ...destinationFlags,
  pods: bool(true, 'Also run the checks inside the Pods of clustermesh-apiserver; needs create of pods/exec'),
};

export type DoctorFlags = FlagValues<typeof doctorFlagTable>;
export const quarantineFlagTable = {
  ...clusterFlags,
  freeze: bool(false, 'Keep what is mirrored and take no changes; the default'),
  withdraw: bool(false, 'Remove what is mirrored, as if the cluster was removed'),
  release: bool(false, 'End the quarantine'),
  reason: text('', 'Why; shown in the status of kvstoremesh'),
};

export const uiFlagTable = {
  ...placeFlags,
  port: uint16(0, 'Port on 127.0.0.1; 0 for one that is free'),
  open: bool(false, 'Open the page in the browser of this machine'),
};

export const enableFlagTable = {
  ...clusterFlags,
  chart: choice(['cilium', 'clustermesh-apiserver'], 'cilium', 'Chart whose values are printed'),
  'service-type': choice(
    ['', 'LoadBalancer', 'NodePort', 'ClusterIP'],
    '',
    'Type of the Service; empty for LoadBalancer in a known cloud, else NodePort',
  ),
  helm: bool(false, 'Apply the values with the helm in the PATH: helm upgrade --reuse-values'),
  ...helmFlags,
};

export type EnableFlags = FlagValues<typeof enableFlagTable>;
export type UiFlags = FlagValues<typeof uiFlagTable>;
export type QuarantineFlags = FlagValues<typeof quarantineFlagTable>;
export type ChangeFlags = FlagValues<typeof changeFlags>;
export type StatusFlags = FlagValues<typeof statusFlagTable>;
export type ConnectFlags = FlagValues<typeof connectFlagTable>;
export type DisconnectFlags = FlagValues<typeof disconnectFlagTable>;

/** The endpoints of a flag. Throws FlagError where addresses have several ports: an entry has one for all IP addresses. */
export function endpointsOf(name: string, texts: readonly string[]): readonly EndpointAddress[] {
  const all = texts.map((each) => parseEndpoint(each));
  const ports = new Set(all.map(({ port }) => port));
  if (ports.size > 1)
    throw new FlagError(`flag --${name}: different ports (${[...ports].join(', ')}); allowed: addresses with one port`);
  return all;
}

function endpoints(usage: string): Flag<readonly string[]> {
  const kind = {
    ...listKind,
    parse(value: string, source: 'flag' | 'environment') {
      const parts = listKind.parse(value, source);
      const wrong = parts.find((part) => !isEndpoint(part));
      if (wrong !== undefined) throw new FlagError(`${quoted(wrong)} is not an endpoint; allowed: such as 192.0.2.1:2379`);
      return parts;
    },
  };
  return { kind, default: [], usage: `${usage}: host:port, repeatable`, suffix: '' };
}

function isEndpoint(part: string): boolean {
  try {
    return parseEndpoint(part).secure;
  } catch {
    return false;
  }
}
