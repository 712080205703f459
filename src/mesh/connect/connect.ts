/**
 * `connect`: writes the entries of remote clusters in the Secrets of each cluster.
 *
 * Every cluster is read and every check is made before the first write. A run that ends in between is completed by another one.
 */
import { FlagError } from '../../shared/flags/error.ts';
import { type ClusterAccess, readAccess } from '../access.ts';
import { type Destination, destinationOf, explicitDestination } from '../addresses.ts';
import type { Cluster } from '../cluster.ts';
import { Clusters } from '../clusters.ts';
import { CLUSTERMESH_SECRET, KVSTOREMESH_SECRET, localEntry, remoteEntry } from '../entries.ts';
import { type ConnectFlags, endpointsOf } from '../flags.ts';
import { changed, clusterLine, finished, type MeshReport, type MeshRun, type Work } from './changes.ts';
import { upgradedByHelm } from './helm-upgrade.ts';
import { type Link, linksOf, pairsOf } from './links.ts';
import { type Check, clusterChecks, destinationChecks, pairChecks } from './prerequisites.ts';
import { valuesFor } from './values.ts';

interface Member {
  readonly cluster: Cluster;
  readonly identity: Cluster['identity'];
  readonly access: ClusterAccess;
}

/** Throws a ProgramError. */
export async function connect(flags: ConnectFlags, { signal }: MeshRun): Promise<MeshReport> {
  const source = endpointsOf('source-endpoint', flags.sourceEndpoint);
  const given = endpointsOf('destination-endpoint', flags.destinationEndpoint);
  if (flags.destinationContext.length === 0) throw new FlagError('flag --destination-context is required');
  if (given.length > 0 && flags.destinationContext.length > 1)
    throw new FlagError('flag --destination-endpoint: not allowed with several --destination-context; connect them one by one');
  if (source.length > 0 && flags.connectionMode === 'unicast')
    throw new FlagError('flag --source-endpoint: no other cluster gets an entry with --connection-mode=unicast');
  await using clusters = await Clusters.open(flags, signal);
  const members = await Promise.all(
    clusters.all.map(async (cluster) => ({ cluster, identity: cluster.identity, access: await readAccess(cluster) })),
  );
  const links = linksOf(members, flags.connectionMode);
  const remotes = [...new Set(links.map(({ remote }) => remote))];
  const destinations = new Map<Member, Destination>();
  const checks: Check[] = members.flatMap(clusterChecks);
  for (const { local, remote } of pairsOf(links)) checks.push(...pairChecks(local, remote, flags.allowMismatchingCa));
  for (const remote of remotes) {
    const isSource = remote === members[0];
    const explicit = isSource ? source : given;
    const chosen =
      explicit.length > 0
        ? explicitDestination(isSource ? 'source-endpoint' : 'destination-endpoint', explicit)
        : destinationOf(remote.access);
    if ('problem' in chosen) {
      checks.push({ severity: 'error', text: `${remote.identity.name}: ${chosen.problem}`, remedy: chosen.remedy });
      continue;
    }
    destinations.set(remote, chosen);
    checks.push(...destinationChecks(remote, chosen));
  }
  const report = {
    clusters: clusters.all.map(clusterLine),
    checks,
    destinations: [...destinations].map(([{ identity }, destination]) => ({ cluster: identity.name, ...destination })),
  };
  if (checks.some(({ severity }) => severity === 'error')) return { verdict: 'refused', ...report, secrets: [] };
  const work = members.flatMap((local) => connecting(local, links, destinations));
  const secrets = await changed(work, flags.dryRun);
  const isApplied = flags.helm && flags.dryRun === 'none';
  return finished(report, isApplied ? await upgradedByHelm(secrets, flags, signal) : secrets);
}

function connecting(local: Member, links: readonly Link<Member>[], destinations: ReadonlyMap<Member, Destination>): Work[] {
  const remote = new Map<string, string>();
  const agents = new Map<string, string>();
  const peers = new Map<string, Destination>();
  for (const link of links) {
    const destination = destinations.get(link.remote);
    if (link.local !== local || destination === undefined) continue;
    const { name } = link.remote.identity;
    const entry = remoteEntry(name, destination);
    remote.set(name, entry);
    agents.set(name, local.access.hasKvstoreMesh ? localEntry(local.cluster.namespace) : entry);
    peers.set(name, destination);
  }
  if (peers.size === 0) return [];
  const values = (chart: string) => valuesFor(chart, peers);
  // kvstoremesh first: agents wait for a cluster that is not mirrored.
  return [
    { cluster: local.cluster, secret: KVSTOREMESH_SECRET, entries: remote, values },
    { cluster: local.cluster, secret: CLUSTERMESH_SECRET, entries: agents, values },
  ];
}
