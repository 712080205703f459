/** `enable`: the values that start clustermesh-apiserver in a cluster, printed, or applied with helm. */
import { stringify } from 'yaml';
import { MAX_NODES } from '../access.ts';
import { recordsOf } from '../addresses.ts';
import { Cluster } from '../cluster.ts';
import { ClusterContentError } from '../errors.ts';
import type { EnableFlags } from '../flags.ts';
import { chartSource, helm, REPOSITORY, type Release, upgradeArguments } from '../helm.ts';
import { type Chart, type Exposure, enableValues, exposureOf, identityProblem } from './enable-values.ts';

/** In the command that is printed. */
const EXAMPLES: Readonly<Record<Chart, string>> = {
  cilium: `cilium --repo=${REPOSITORY} --version=VERSION`,
  'clustermesh-apiserver': 'charts/clustermesh-apiserver',
};

export interface EnableReport {
  readonly context: string;
  readonly cluster: { readonly name: string; readonly id: number };
  readonly chart: Chart;
  readonly service: Exposure;
  readonly values: object;
  /** As on a command line; the values are its standard input. */
  readonly command: readonly string[];
  readonly applied: boolean;
}

/** Throws ClusterAccessError, ClusterContentError, or HelmError. */
export async function enable(flags: EnableFlags, { signal }: { readonly signal: AbortSignal }): Promise<EnableReport> {
  const { kubeconfig, context, namespace, chart } = flags;
  await using cluster = await Cluster.open({ kubeconfig, context, namespace }, signal);
  const problem = identityProblem(cluster.identity);
  if (problem !== undefined) throw new ClusterContentError(`context ${cluster.context}: ${problem}`);
  const nodes = await cluster.get(`/api/v1/nodes?limit=${MAX_NODES}`, 'nodes');
  const service = exposureOf(recordsOf(nodes?.items), flags.serviceType);
  const values = enableValues(chart, cluster.identity, service);
  const release: Release = { name: flags.helmReleaseName || chart, namespace, context: cluster.context, kubeconfig };
  const { helmChart } = flags;
  const source = flags.helm ? await chartSource(chart, helmChart, release, signal) : [helmChart || EXAMPLES[chart]];
  const argv = upgradeArguments(release, source);
  if (flags.helm) await helm(argv, stringify(values), signal);
  const { name, id } = cluster.identity;
  return {
    context: cluster.context,
    cluster: { name, id },
    chart,
    service,
    values,
    command: ['helm', ...argv],
    applied: flags.helm,
  };
}

export function enableText({ context, cluster, chart, service, values, command, applied }: EnableReport): string {
  const { type, cloud, reason, warning } = service;
  return [
    `# context ${context}: cluster ${cluster.name}, ID ${cluster.id}\n`,
    `# Service of type ${type}${cloud === undefined ? '' : `, internal, of ${cloud}`} (${reason})\n`,
    ...(warning === '' ? [] : [`# warning: ${warning}\n`]),
    `# ${applied ? 'applied' : 'not applied; apply it with --helm, or'}: ${command.join(' ')}\n`,
    `# values of the chart ${chart}\n`,
    stringify(values, { lineWidth: 0 }),
  ].join('');
}
