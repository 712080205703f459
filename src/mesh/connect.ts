/**
 * `connect` and `disconnect`: write and remove the entries of remote clusters in the Secrets of each cluster.
 *
 * Every cluster is read and every check is made before the first write. A run that ends in between is completed by another one.
 */

import { asError } from '../shared/errors.ts';
import { FlagError } from '../shared/flags/error.ts';
import { type ClusterAccess, readAccess } from './access.ts';
import { type Destination, destinationOf, explicitDestination } from './addresses.ts';
import { Cluster } from './cluster.ts';
import { CLUSTERMESH_SECRET, KVSTOREMESH_SECRET, localEntry, remoteEntry } from './entries.ts';
import { ClusterAccessError } from './errors.ts';
import { type ChangeFlags, type ConnectFlags, type DisconnectFlags, endpointsOf } from './flags.ts';
import { applyChange, type Entries, planChange, type SecretChange } from './peer-secrets.ts';
import { type Check, clusterChecks, destinationChecks, pairChecks } from './prerequisites.ts';
import { removalValues, valuesFor } from './values.ts';

export interface MeshReport {
  /** `refused`: a check failed and nothing was written. `managed`: some Secrets are managed by another program. */
  readonly verdict: 'done' | 'refused' | 'managed';
  readonly clusters: readonly { readonly context: string; readonly name: string; readonly id: number }[];
  readonly checks: readonly Check[];
  readonly destinations: readonly (Destination & { readonly cluster: string })[];
  readonly secrets: readonly (SecretChange & { readonly values?: object })[];
}

/** Exit statuses. A failed run has another one. */
export const MESH_STATUS: Readonly<Record<MeshReport['verdict'], number>> = { done: 0, refused: 1, managed: 2 };

export interface MeshRun {
  readonly signal: AbortSignal;
}

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
  return finished(report, await changed(work, flags.dryRun));
}

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

interface Work {
  readonly cluster: Cluster;
  readonly secret: string;
  readonly entries: Entries;
  readonly values: (chart: string) => object | undefined;
}

interface Link<T> {
  readonly local: T;
  readonly remote: T;
}

/** Who gets an entry for whom; the first is the cluster of `--context`. */
function linksOf<T>([source, ...others]: readonly T[], mode: ChangeFlags['connectionMode']): readonly Link<T>[] {
  if (source === undefined) return [];
  const outward = others.map((remote) => ({ local: source, remote }));
  if (mode === 'unicast') return outward;
  const inward = others.map((local) => ({ local, remote: source }));
  if (mode === 'bidirectional') return [...outward, ...inward];
  const all = [source, ...others];
  return all.flatMap((local) => all.filter((remote) => remote !== local).map((remote) => ({ local, remote })));
}

/** One link of each two clusters. */
function pairsOf<T>(links: readonly Link<T>[]): readonly Link<T>[] {
  return links.filter(
    (link, index) => !links.slice(0, index).some((other) => other.local === link.remote && other.remote === link.local),
  );
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

/** A cluster with a managed Secret is left as it is as a whole. */
async function changed(work: readonly Work[], dryRun: ChangeFlags['dryRun']): Promise<MeshReport['secrets']> {
  const plans = await Promise.all(
    work.map(async (each) => ({ each, plan: await planChange(each.cluster, each.secret, each.entries) })),
  );
  const managed = new Set(plans.filter(({ plan }) => plan.outcome === 'managed').map(({ each }) => each.cluster));
  const results: (SecretChange & { values?: object })[] = [];
  for (const { each, plan } of plans) {
    if (plan.outcome === 'managed') {
      const values = plan.chart === undefined ? undefined : each.values(plan.chart);
      results.push({ ...plan, ...(values === undefined ? {} : { values }) });
    } else if (!managed.has(each.cluster)) {
      results.push(await applyChange(each.cluster, each.secret, each.entries, dryRun));
    }
  }
  return results;
}

function finished(report: Omit<MeshReport, 'verdict' | 'secrets'>, secrets: MeshReport['secrets']): MeshReport {
  const isManaged = secrets.some(({ outcome }) => outcome === 'managed');
  return { verdict: isManaged ? 'managed' : 'done', ...report, secrets };
}

function clusterLine({ context, identity }: Cluster) {
  return { context, name: identity.name, id: identity.id };
}

/** The clusters of a run, that of `--context` first. */
class Clusters implements AsyncDisposable {
  readonly all: readonly Cluster[];

  constructor(all: readonly Cluster[]) {
    this.all = all;
  }

  static async open(flags: ChangeFlags, signal: AbortSignal, remedy = ''): Promise<Clusters> {
    const { kubeconfig, namespace } = flags;
    const contexts = [flags.context, ...new Set(flags.destinationContext)];
    const opened = await Promise.allSettled(contexts.map((context) => Cluster.open({ kubeconfig, context, namespace }, signal)));
    const all = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const failed = opened.find((each) => each.status === 'rejected');
    const clusters = new Clusters(all);
    if (failed === undefined) return clusters;
    await clusters[Symbol.asyncDispose]();
    const error = asError(failed.reason);
    throw remedy !== '' && error instanceof ClusterAccessError
      ? new ClusterAccessError(`${error.message}${remedy}`, { cause: error })
      : error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((cluster) => cluster[Symbol.asyncDispose]()));
  }
}
