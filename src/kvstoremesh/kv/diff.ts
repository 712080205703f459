/**
 * `kv diff`: the keys of a remote cluster compared with their mirror in the local etcd.
 *
 * Each side is read at one revision. Keys that differ are read once more after a pause, so that changes on their way are not reported.
 */
import { createHash } from 'node:crypto';
import { clusterConfigKey, type MirroredKind } from '../../shared/etcd/keyspace.ts';
import { type EtcdClient, type EtcdKey, keyText } from '../../shared/etcd/types.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { type ClusterConfig, mirroredClusterConfig, parseClusterConfig } from '../cluster-config.ts';
import { destinationPrefix, rekey, sourcePrefix } from '../mappings.ts';
import { mappingOf } from './kinds.ts';
import { KeyMissingError } from './read.ts';

/** Keys named of each difference. */
const MAX_EXAMPLES = 10;
/** Keys that are read once more, of each difference. */
const MAX_CONFIRMED = 1_000;
/** Longer than a change takes from one etcd to the other. */
const SETTLE_MS = 1_000;

export interface Difference {
  readonly count: number;
  /** In the local etcd; at most ten. */
  readonly examples: readonly string[];
}

export interface KindDiff {
  readonly kind: MirroredKind | 'cluster-config';
  readonly remote: Side;
  readonly mirror: Side;
  /** In the remote cluster, and not in the mirror. */
  readonly missing: Difference;
  /** In the mirror, and not in the remote cluster. */
  readonly extra: Difference;
  /** In both, with different values. */
  readonly different: Difference;
}

interface Side {
  readonly prefix: string;
  readonly keys: number;
  readonly revision: number;
}

export interface DiffSides {
  readonly remote: EtcdClient;
  readonly local: EtcdClient;
  readonly cluster: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Of the kinds among `kinds` that the remote exports, in their order, the cluster config first. Rejects with KeyMissingError or an EtcdError. */
export async function* diffKinds(sides: DiffSides, kinds: readonly MirroredKind[]): AsyncGenerator<KindDiff, void, void> {
  const { remote, local, cluster, signal } = sides;
  const key = clusterConfigKey(cluster);
  const found = await remote.get(key, { signal });
  if (found === undefined)
    throw new KeyMissingError(`the etcd of ${cluster} has no ${keyText(key)}; is it that of another cluster?`);
  const config = parseClusterConfig(found.value);
  const mirrored = await local.get(key, { signal });
  const isSame = mirrored?.value.equals(mirroredClusterConfig(config)) ?? false;
  yield {
    kind: 'cluster-config',
    remote: { prefix: keyText(key), keys: 1, revision: found.modRevision },
    mirror: { prefix: keyText(key), keys: mirrored === undefined ? 0 : 1, revision: mirrored?.modRevision ?? 0 },
    missing: difference(mirrored === undefined ? [key] : []),
    extra: difference([]),
    different: difference(mirrored === undefined || isSame ? [] : [key]),
  };
  for (const kind of kinds) if (mappingOf(kind).enabled(config, 'prefer-legacy')) yield await diffKind(sides, kind, config);
}

async function diffKind(sides: DiffSides, kind: MirroredKind, { cached }: ClusterConfig): Promise<KindDiff> {
  const { remote, local, cluster, clock, signal } = sides;
  const mapping = mappingOf(kind);
  const from = sourcePrefix(mapping, cluster, cached);
  const to = destinationPrefix(mapping, cluster);
  /** What the mirror has to have, by its keys: the remote's key, and the digest of the value. */
  const wanted = new Map<EtcdKey, { readonly source: EtcdKey; readonly digest: string }>();
  const there = await readAll(remote, from, signal, (key, value) => {
    const name = rekey(from, to, key);
    // Of keys that differ in slashes only, one is mirrored.
    if (name !== undefined && !wanted.has(name)) wanted.set(name, { source: key, digest: digestOf(value) });
  });
  const [extra, different, seen] = [new Set<EtcdKey>(), new Set<EtcdKey>(), new Set<EtcdKey>()];
  const here = await readAll(local, to, signal, (key, value) => {
    const want = wanted.get(key);
    seen.add(key);
    if (want === undefined) extra.add(key);
    else if (want.digest !== digestOf(value)) different.add(key);
  });
  const missing = new Set([...wanted.keys()].filter((key) => !seen.has(key)));
  const suspects = [missing, extra, different];
  if (suspects.some(({ size }) => size > 0)) {
    await clock.sleep(SETTLE_MS, signal);
    const sourceOf = (key: EtcdKey) => wanted.get(key)?.source ?? (`${from}${key.slice(to.length)}` as EtcdKey);
    for (const set of suspects)
      for (const key of [...set].slice(0, MAX_CONFIRMED)) {
        const [source, mirror] = await Promise.all([remote.get(sourceOf(key), { signal }), local.get(key, { signal })]);
        const same = source === undefined ? mirror === undefined : mirror !== undefined && source.value.equals(mirror.value);
        // What the remote has changed since then is on its way.
        const moved = (source === undefined) !== (set === extra) || (source?.modRevision ?? 0) > there.revision;
        if (same || moved) set.delete(key);
      }
  }
  return {
    kind,
    remote: { prefix: keyText(from), ...there },
    mirror: { prefix: keyText(to), ...here },
    missing: difference([...missing]),
    extra: difference([...extra]),
    different: difference([...different]),
  };
}

async function readAll(
  client: EtcdClient,
  prefix: EtcdKey,
  signal: AbortSignal,
  onKey: (key: EtcdKey, value: Buffer) => void,
): Promise<{ readonly keys: number; readonly revision: number }> {
  let keys = 0;
  let revision = 0;
  for await (const page of client.list(prefix, { signal })) {
    keys += page.keyValues.length;
    revision = page.revision;
    for (const { key, value } of page.keyValues) onKey(key, value);
  }
  return { keys, revision };
}

function digestOf(value: Buffer): string {
  return createHash('sha1').update(value).digest('base64');
}

function difference(keys: readonly EtcdKey[]): Difference {
  return { count: keys.length, examples: keys.slice(0, MAX_EXAMPLES).map((key) => keyText(key)) };
}

export function isDifferent({ missing, extra, different }: KindDiff): boolean {
  return missing.count + extra.count + different.count > 0;
}
