/**
 * Changes of the Secrets that list the remote clusters of a cluster.
 *
 * Only the keys of the clusters in question change. An update has a resourceVersion precondition and is repeated from a new read
 * after a conflict. A Secret that Helm or another program manages is left as it is: its next run would undo the change.
 */

import { recordOf } from '../../shared/kubernetes/objects/json.ts';
import type { SecretData, StoredSecret } from '../../shared/kubernetes/secrets.ts';
import type { Cluster } from '../cluster.ts';
import { leftoversOf, quarantineKey } from '../entries.ts';
import { PeerSecretContentionError } from '../errors.ts';

/** Attempts to update a Secret that another writer keeps changing. */
const MAX_ATTEMPTS = 5;

export type DryRun = 'none' | 'client' | 'server';

/** The entry of a remote cluster; undefined to remove it. */
export type Entries = ReadonlyMap<string, string | undefined>;

export interface SecretChange {
  readonly context: string;
  /** `namespace/name`. */
  readonly secret: string;
  /** `upgraded`: Helm has changed it. */
  readonly outcome: 'written' | 'unchanged' | 'managed' | 'upgraded' | 'dry-run';
  /** Clusters. */
  readonly set: readonly string[];
  readonly removed: readonly string[];
  /** With outcome `managed`. */
  readonly managedBy?: string;
  /** Of the chart that manages it, where it is known: `cilium`, `clustermesh-apiserver`. */
  readonly chart?: string;
  /** With outcome `dry-run`: the keys that change, and no others. A null removes a key. */
  readonly manifest?: object;
}

type Changes = Readonly<Record<string, string | undefined>>;

/** What `entries` would change in the Secret `name`; writes nothing. Throws ClusterAccessError. */
export async function planChange(cluster: Cluster, name: string, entries: Entries): Promise<SecretChange> {
  const secrets = cluster.secrets();
  const stored = await cluster.run(() => secrets.read(name));
  return described(cluster, name, stored, changesFor(stored, entries), entries);
}

/** Makes the change. Throws ClusterAccessError or PeerSecretContentionError. */
export async function applyChange(cluster: Cluster, name: string, entries: Entries, dryRun: DryRun): Promise<SecretChange> {
  const secrets = cluster.secrets({ isDryRun: dryRun === 'server' });
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const stored = await cluster.run(() => secrets.read(name));
    const changes = changesFor(stored, entries);
    const change = described(cluster, name, stored, changes, entries);
    if (change.outcome !== 'written') return change;
    if (dryRun === 'client') return { ...change, outcome: 'dry-run', manifest: manifestOf(cluster, name, changes) };
    const isWritten = await cluster.run(() =>
      stored === undefined ? secrets.create(name, 'Opaque', present(changes)) : secrets.replace(stored, changes),
    );
    if (!isWritten) continue;
    return dryRun === 'none' ? change : { ...change, outcome: 'dry-run', manifest: manifestOf(cluster, name, changes) };
  }
  throw new PeerSecretContentionError(
    `context ${cluster.context}: Secret ${secrets.fullName(name)}: another writer changed it ${MAX_ATTEMPTS} times in a row; run this again`,
  );
}

/** Keys whose values differ. */
function changesFor(stored: StoredSecret | undefined, entries: Entries): Changes {
  const changes: Record<string, string | undefined> = {};
  for (const [name, entry] of entries) {
    const current = stored?.data[name];
    if (entry === undefined ? current !== undefined : current?.trimEnd() !== entry) changes[name] = entry;
    // A quarantine outlives a change of the address, and ends with the connection.
    const beside = entry === undefined ? [...leftoversOf(name), quarantineKey(name)] : leftoversOf(name);
    for (const key of beside) if (stored?.data[key] !== undefined) changes[key] = undefined;
  }
  return changes;
}

function described(
  cluster: Cluster,
  name: string,
  stored: StoredSecret | undefined,
  changes: Changes,
  entries: Entries,
): SecretChange {
  const names = [...entries.keys()].filter((each) =>
    [each, quarantineKey(each), ...leftoversOf(each)].some((key) => Object.hasOwn(changes, key)),
  );
  const base = {
    context: cluster.context,
    secret: `${cluster.namespace}/${name}`,
    set: names.filter((each) => entries.get(each) !== undefined),
    removed: names.filter((each) => entries.get(each) === undefined),
  };
  if (names.length === 0) return { ...base, outcome: 'unchanged' };
  if (stored?.manager === undefined) return { ...base, outcome: 'written' };
  const chart = chartOf(stored);
  return { ...base, outcome: 'managed', managedBy: stored.manager, ...(chart === undefined ? {} : { chart }) };
}

/** Cilium's chart, unlike this project's, does not label these Secrets. */
function chartOf({ object, manager }: StoredSecret): string | undefined {
  const { labels } = recordOf(object.metadata);
  const chart = recordOf(labels)['helm.sh/chart'] ?? recordOf(labels)['app.kubernetes.io/name'];
  if (typeof chart === 'string' && chart.startsWith('clustermesh-apiserver')) return 'clustermesh-apiserver';
  return manager === 'Helm' || manager === 'Argo CD' ? 'cilium' : undefined;
}

function manifestOf(cluster: Cluster, name: string, changes: Changes): object {
  const removed = Object.keys(changes).filter((key) => changes[key] === undefined);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: cluster.namespace },
    ...(removed.length === 0 ? {} : { data: Object.fromEntries(removed.map((key) => [key, null])) }),
    stringData: present(changes),
  };
}

function present(changes: Changes): SecretData {
  return Object.fromEntries(Object.entries(changes).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}
