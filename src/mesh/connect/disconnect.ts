/**
 * `disconnect`: removes the entries of remote clusters in the Secrets of each cluster. A run that ends in between is completed by
 * another one.
 */
import { FlagError } from '../../shared/flags/error.ts';
import { Clusters } from '../clusters.ts';
import { CLUSTERMESH_SECRET, KVSTOREMESH_SECRET } from '../entries.ts';
import type { DisconnectFlags } from '../flags.ts';
import { changed, clusterLine, finished, type MeshReport, type MeshRun, type Work } from './changes.ts';
import { linksOf } from './links.ts';
import { removalValues } from './values.ts';

/** Throws a ProgramError. */
export async function disconnect(flags: DisconnectFlags, { signal }: MeshRun): Promise<MeshReport> {
  const { destinationContext, destinationName, force, connectionMode } = flags;
  if (destinationContext.length + destinationName.length === 0)
    throw new FlagError(
      'flag --destination-context is required; for a cluster that no longer exists, --destination-name with --force',
    );
  if (destinationName.length > 0 && connectionMode !== 'unicast' && !force)
    throw new FlagError(
      'flag --destination-name: the entries in the other cluster would stay; use --destination-context, or --force to change this cluster only',
    );
  await using clusters = await Clusters.open(
    flags,
    signal,
    force ? '; if the cluster no longer exists, use --destination-name' : '',
  );
  const links = linksOf(clusters.all, connectionMode);
  const work = clusters.all.flatMap((local, index): Work[] => {
    const others = links.filter((link) => link.local === local).map(({ remote }) => remote.name);
    const names = [...others, ...(index === 0 ? destinationName : [])];
    if (names.length === 0) return [];
    const entries = new Map(names.map((name) => [name, undefined]));
    const change = { cluster: local, entries, values: (chart: string) => removalValues(chart, names) };
    // Agents first: they forget the cluster before its keys disappear from the local etcd.
    return [
      { ...change, secret: CLUSTERMESH_SECRET },
      { ...change, secret: KVSTOREMESH_SECRET },
    ];
  });
  const report = { clusters: clusters.all.map(clusterLine), checks: [], destinations: [] };
  return finished(report, await changed(work, flags.dryRun));
}
