/**
 * `import-plan`: what a policy would add to a mirror and remove from it. Reads the remote and the mirror, and writes nothing.
 *
 * The keys of the remote pass the stages of the daemon, endpoints before identities, as if over a first connection.
 */
import { clusterConfigKey, MIRRORED_KINDS, type MirroredKind } from '../../shared/etcd/keyspace.ts';
import { type EtcdClient, type EtcdKey, keyText } from '../../shared/etcd/types.ts';
import { silentLogger } from '../../shared/process/log.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { parseClusterConfig } from '../cluster-config.ts';
import { mappingOf } from '../kv/kinds.ts';
import { KeyMissingError } from '../kv/read.ts';
import { destinationPrefix, rekey, sourcePrefix } from '../mappings.ts';
import type { Stage } from '../stage.ts';
import { RemotePolicy } from './remote-policy.ts';
import { type ImportPolicy, ruleFor } from './rules/policy.ts';

/** Keys named of each difference. */
const MAX_PLAN_EXAMPLES = 5;

export interface PlanPart {
  readonly count: number;
  /** Keys of the local etcd; at most five. */
  readonly examples: readonly string[];
}

export interface KindPlan {
  readonly kind: MirroredKind;
  /** Keys of the remote; undefined where the policy leaves out the kind, and it is not read. */
  readonly of: number | undefined;
  readonly imported: number;
  /** Keys that the mirror does not have and would get. */
  readonly add: PlanPart;
  /** Keys that the mirror has and would lose. */
  readonly remove: PlanPart;
}

export interface ClusterPlan {
  readonly cluster: string;
  /** Of the rule that applies; undefined where everything is imported. */
  readonly match: string | undefined;
  readonly kinds: readonly KindPlan[];
}

export interface PlanSides {
  readonly remote: EtcdClient;
  readonly local: EtcdClient;
  readonly cluster: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Of one cluster. Rejects with KeyMissingError or an EtcdError. */
export async function planCluster(sides: PlanSides, policy: ImportPolicy): Promise<ClusterPlan> {
  const { remote, cluster, clock, signal } = sides;
  const found = await remote.get(clusterConfigKey(cluster), { signal });
  if (found === undefined)
    throw new KeyMissingError(
      `the etcd of ${cluster} has no ${keyText(clusterConfigKey(cluster))}; is it that of another cluster?`,
    );
  const config = parseClusterConfig(found.value);
  const remotePolicy = new RemotePolicy(cluster, silentLogger);
  remotePolicy.set(ruleFor(policy, cluster));
  const run = remotePolicy.begin({ ordered: undefined, unusedMs: 0, clock, signal });
  const wanted = new Map<MirroredKind, PlannedKeys>();
  // Identities come last: which ones are used is known then.
  const order = [...MIRRORED_KINDS].sort((a, b) => Number(a === 'identities') - Number(b === 'identities'));
  for (const kind of order) {
    const mapping = mappingOf(kind);
    const keys = new PlannedKeys();
    wanted.set(kind, keys);
    if (!mapping.enabled(config, 'prefer-legacy')) continue;
    keys.isRead = remotePolicy.imports(mapping);
    if (!keys.isRead) continue;
    const stage = run?.stage(mapping, { section: keys, next: keys, relist: () => undefined }) ?? keys;
    stage.interrupted('the plan begins');
    const [from, to] = [sourcePrefix(mapping, cluster, config.cached), destinationPrefix(mapping, cluster)];
    for await (const page of remote.list(from, { signal })) {
      for (const { key, value } of page.keyValues) {
        const own = rekey(from, to, key);
        if (own === undefined) continue;
        keys.all += 1;
        stage.upsert(own, value);
      }
    }
    stage.listed();
  }
  const kinds: KindPlan[] = [];
  for (const kind of MIRRORED_KINDS) {
    const keys = wanted.get(kind);
    const plan = keys && (await comparedKind(sides, kind, keys));
    if (plan !== undefined && (plan.of !== 0 || plan.remove.count > 0)) kinds.push(plan);
  }
  return { cluster, match: remotePolicy.rule?.rule.match, kinds };
}

/** The section of a plan: nothing of it is stored but names. */
class PlannedKeys implements Stage {
  readonly names = new Set<EtcdKey>();
  readonly stats = { desired: 0, bytes: 0, pending: 0, listed: false, synced: false };
  all = 0;
  isRead = true;

  upsert(key: EtcdKey): void {
    this.names.add(key);
  }

  keep(): void {}

  remove(key: EtcdKey): void {
    this.names.delete(key);
  }

  listed(): void {}

  interrupted(): void {}

  liveBytes(key: EtcdKey): number | undefined {
    return this.names.has(key) ? 0 : undefined;
  }

  compare(): undefined {
    return undefined;
  }

  flushed(): Promise<void> {
    return Promise.resolve();
  }
}

async function comparedKind({ local, cluster, signal }: PlanSides, kind: MirroredKind, keys: PlannedKeys): Promise<KindPlan> {
  const missing = new Set(keys.names);
  const remove: EtcdKey[] = [];
  let removed = 0;
  const prefix = destinationPrefix(mappingOf(kind), cluster);
  for await (const page of local.list(prefix, { signal, keysOnly: true })) {
    for (const { key } of page.keyValues) {
      if (missing.delete(key)) continue;
      removed += 1;
      if (remove.length < MAX_PLAN_EXAMPLES) remove.push(key);
    }
  }
  return {
    kind,
    of: keys.isRead ? keys.all : undefined,
    imported: keys.names.size,
    add: { count: missing.size, examples: [...missing].slice(0, MAX_PLAN_EXAMPLES).map((key) => keyText(key)) },
    remove: { count: removed, examples: remove.map((key) => keyText(key)) },
  };
}

/** For people. */
export function planText(plans: readonly ClusterPlan[]): string {
  return plans.map(clusterText).join('\n');
}

function clusterText({ cluster, match, kinds }: ClusterPlan): string {
  const rule = match === undefined ? 'no rule matches; everything is imported' : `rule ${JSON.stringify(match)}`;
  const width = Math.max(0, ...kinds.map(({ kind }) => kind.length));
  const lines = kinds.flatMap(({ kind, of, imported, add, remove }) => {
    const share = of === undefined ? 'not imported' : `${imported} of ${of} imported`;
    const examples = [
      ...add.examples.map((key) => `      add ${key}`),
      ...(add.count > add.examples.length ? [`      add ${add.count - add.examples.length} more`] : []),
      ...remove.examples.map((key) => `      remove ${key}`),
      ...(remove.count > remove.examples.length ? [`      remove ${remove.count - remove.examples.length} more`] : []),
    ];
    return [`   ${kind.padEnd(width)}  ${share}: add ${add.count}, remove ${remove.count}`, ...examples];
  });
  return [`${cluster} (${rule})`, ...lines, ''].join('\n');
}
