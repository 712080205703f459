/**
 * The findings of the guard about one remote: the current ones by kind and key, and how many there were in total.
 *
 * Findings beyond a bound are counted but not tracked. The finding of a key is logged once, never with the value.
 */
import { type EtcdKey, keyText } from '../../shared/etcd/types.ts';
import { MAX_FINDINGS, MAX_LOGGED_FINDINGS } from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';

export const FINDING_KINDS = ['identity-range', 'foreign-cluster', 'duplicate-ip', 'pod-cidr-overlap'] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

export interface Finding {
  readonly kind: FindingKind;
  /** The mirrored key. */
  readonly key: EtcdKey;
  /** The name of the other cluster, where it is known. */
  readonly otherCluster: string | undefined;
  readonly problem: string;
}

interface Followed extends Finding {
  /** The listing that last named the key. */
  listing: number;
}

/** What a finding of each kind means, and what to do. */
export const FINDING_PROBLEMS: Readonly<Record<FindingKind, string>> = {
  'identity-range': 'identity outside the range of the cluster ID; check the cluster IDs of the mesh',
  'foreign-cluster': 'value has the name or ID of another cluster; check the name and ID of the remote cluster',
  'duplicate-ip': 'address is also announced by another cluster; check that the pod CIDRs of the clusters differ',
  'pod-cidr-overlap': 'pod CIDR overlaps a pod CIDR of another cluster; use different pod CIDRs for the clusters',
};

export class Findings {
  readonly #log: Logger;
  readonly #present = new Map<FindingKind, Map<EtcdKey, Followed>>(FINDING_KINDS.map((kind) => [kind, new Map()]));
  readonly #totals = new Map<FindingKind, number>();
  readonly #logged = new Map<FindingKind, Set<EtcdKey>>(FINDING_KINDS.map((kind) => [kind, new Set()]));

  constructor(log: Logger) {
    this.#log = log;
  }

  /** `key` has a finding of `kind`; a new one is counted. `listing`: for kinds that use `retain`. */
  add(kind: FindingKind, key: EtcdKey, otherCluster: string | undefined, listing = 0): void {
    const present = this.#of(kind);
    const known = present.get(key);
    if (known !== undefined && known.otherCluster === otherCluster) {
      known.listing = listing;
      return;
    }
    if (known === undefined) {
      this.#totals.set(kind, this.total(kind) + 1);
      this.#report(kind, key, otherCluster);
    }
    if (known !== undefined || present.size < MAX_FINDINGS) {
      present.set(key, { kind, key, otherCluster, problem: FINDING_PROBLEMS[kind], listing });
    }
  }

  /** The finding of `key`, if any, still holds. */
  keep(kind: FindingKind, key: EtcdKey, listing: number): void {
    const known = this.#of(kind).get(key);
    if (known !== undefined) known.listing = listing;
  }

  /** `key` has no finding of `kind`. */
  clear(kind: FindingKind, key: EtcdKey): void {
    const present = this.#of(kind);
    if (present.size > 0) present.delete(key);
  }

  /** Drops the findings of `kind` below `prefix` that `listing` did not name. */
  retain(kind: FindingKind, prefix: string, listing: number): void {
    const present = this.#of(kind);
    for (const [key, finding] of present) if (finding.listing !== listing && key.startsWith(prefix)) present.delete(key);
  }

  clearAll(): void {
    for (const present of this.#present.values()) present.clear();
  }

  /** Current findings that are tracked. */
  count(kind: FindingKind): number {
    return this.#of(kind).size;
  }

  /** Findings so far. */
  total(kind: FindingKind): number {
    return this.#totals.get(kind) ?? 0;
  }

  *[Symbol.iterator](): IterableIterator<Finding> {
    for (const present of this.#present.values()) yield* present.values();
  }

  #of(kind: FindingKind): Map<EtcdKey, Followed> {
    return this.#present.get(kind) as Map<EtcdKey, Followed>;
  }

  #report(kind: FindingKind, key: EtcdKey, otherCluster: string | undefined): void {
    const logged = this.#logged.get(kind) as Set<EtcdKey>;
    if (logged.has(key) || logged.size > MAX_LOGGED_FINDINGS) return;
    logged.add(key);
    if (logged.size > MAX_LOGGED_FINDINGS) {
      this.#log.warn({ kind }, 'import guard: more findings of this kind are counted but not logged');
    } else {
      this.#log.warn({ kind, key: keyText(key), otherCluster, problem: FINDING_PROBLEMS[kind] }, 'import guard finding');
    }
  }
}
