/** Which clusters get entries for which others. Pure. */
import type { ChangeFlags } from '../flags.ts';

export interface Link<T> {
  readonly local: T;
  readonly remote: T;
}

/** Who gets an entry for whom; the first is the cluster of `--context`. */
export function linksOf<T>([source, ...others]: readonly T[], mode: ChangeFlags['connectionMode']): readonly Link<T>[] {
  if (source === undefined) return [];
  const outward = others.map((remote) => ({ local: source, remote }));
  if (mode === 'unicast') return outward;
  const inward = others.map((local) => ({ local, remote: source }));
  if (mode === 'bidirectional') return [...outward, ...inward];
  const all = [source, ...others];
  return all.flatMap((local) => all.filter((remote) => remote !== local).map((remote) => ({ local, remote })));
}

/** One link of each two clusters. */
export function pairsOf<T>(links: readonly Link<T>[]): readonly Link<T>[] {
  return links.filter(
    (link, index) => !links.slice(0, index).some((other) => other.local === link.remote && other.remote === link.local),
  );
}
