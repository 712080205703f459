/** `connect --helm`: the values for Secrets that Helm manages, applied to the release. Other values of the release stay, and so do its other clusters. */
import { stringify } from 'yaml';
import { recordOf } from '../../shared/kubernetes/objects/json.ts';
import { recordsOf } from '../addresses.ts';
import type { ConnectFlags } from '../flags.ts';
import { chartSource, helm, type Release, releaseValues, upgradeArguments } from '../helm.ts';
import type { MeshReport } from './changes.ts';

type Secrets = MeshReport['secrets'];

/** Throws HelmError; releases before the one that failed are upgraded. */
export async function upgradedByHelm(secrets: Secrets, flags: ConnectFlags, signal: AbortSignal): Promise<Secrets> {
  const isOurs = (each: Secrets[number]) => each.outcome === 'managed' && each.managedBy === 'Helm' && each.values !== undefined;
  // Both Secrets of a cluster follow from the same values.
  const first = new Map(secrets.filter(isOurs).map((each) => [each.context, each]));
  for (const { context, chart = 'cilium', values = {} } of first.values()) {
    const { namespace, kubeconfig, helmChart } = flags;
    const release: Release = { name: flags.helmReleaseName || chart, namespace, context, kubeconfig };
    const source = await chartSource(chart, helmChart, release, signal);
    const merged = mergedClusters(values, await releaseValues(release, signal));
    await helm(upgradeArguments(release, source), stringify(merged), signal);
  }
  return secrets.map((each) => (isOurs(each) ? { ...each, outcome: 'upgraded' } : each));
}

/** Helm merges maps but replaces lists, and Cilium's chart takes its clusters as either. */
function mergedClusters(values: object, current: unknown): object {
  const config = recordOf(recordOf(recordOf(values).clustermesh).config);
  const present = recordOf(recordOf(recordOf(current).clustermesh).config).clusters;
  const added = recordsOf(config.clusters);
  if (added.length === 0) return values;
  const names = new Set(added.map(({ name }) => name));
  const clusters =
    Array.isArray(present) || present === undefined || present === null
      ? [...recordsOf(present).filter(({ name }) => !names.has(name)), ...added]
      : Object.fromEntries(added.map(({ name, ...place }) => [String(name), place]));
  return { clustermesh: { config: { ...config, clusters } } };
}
