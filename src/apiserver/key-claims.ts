/**
 * Which object has a key, where several may claim one.
 *
 * The address of a pod that ended is given to the next while both objects still exist, and a pod
 * that moves between slices is in both for a moment. The first to claim a key has it; the others wait in line
 * in the order of their claims, and what they say meanwhile is remembered, so that the next one is
 * published with its latest value the moment the first lets go.
 *
 * Who was first is not to be seen in a first listing, but what the run before has published is: its owner
 * keeps the key over a restart, and readers notice nothing.
 */
import type { EtcdKey } from '../shared/etcd/types.ts';
import type { Section, Sink } from '../shared/publisher/types.ts';
import type { Entry } from './keyspace.ts';

/** Claims of one key in their order; the first is published, and its value, which the publisher has, is not kept. */
type Line = Map<string, Uint8Array | undefined>;

/** What the run before has left in etcd. */
export type EarlierRun = Pick<Section, 'compare'>;

export class KeyClaims {
  readonly #sink: Pick<Sink, 'upsert' | 'remove'>;
  readonly #keysOf = new Map<string, readonly EtcdKey[]>();
  /** The owner alone, which is the rule, or a line of those who claim the key, even of one while that is undecided. */
  readonly #holders = new Map<EtcdKey, string | Line>();
  /** Until the first listing is complete. */
  #earlier: EarlierRun | undefined;
  /** Keys that etcd holds with another value than their first claim: that of a later one, maybe. Nothing is published of them. */
  readonly #undecided = new Set<EtcdKey>();

  /** With `earlier`, claims are part of a first listing until `decide` is done. */
  constructor(sink: Pick<Sink, 'upsert' | 'remove'>, earlier?: EarlierRun) {
    this.#sink = sink;
    this.#earlier = earlier;
  }

  /** `owner` claims exactly `entries` from now on; what it claimed before and no longer does is let go. Of equal keys the last holds. */
  claim(owner: string, entries: readonly Entry[]): void {
    const claimed = new Map(entries.map(({ key, value }) => [key, value] as const));
    for (const key of this.#keysOf.get(owner) ?? []) if (!claimed.has(key)) this.#letGo(owner, key);
    for (const [key, value] of claimed) this.#take(owner, key, value);
    if (claimed.size === 0) this.#keysOf.delete(owner);
    else this.#keysOf.set(owner, [...claimed.keys()]);
  }

  /**
   * The first listing is complete: whoever claims what etcd holds comes first, else the first to claim. A key is decided with
   * each value of the iterator, and claims may change between two; until it is done, the listing is not published.
   */
  *decide(): Generator<EtcdKey, void> {
    const earlier = this.#earlier;
    for (const key of this.#undecided) {
      this.#undecided.delete(key);
      const claims = [...((this.#holders.get(key) as Line | undefined) ?? [])] as [string, Uint8Array][];
      const at = claims.findIndex(([, value]) => earlier?.compare(key, value) === 'same');
      const [first] = claims.splice(Math.max(at, 0), 1);
      if (first === undefined) continue;
      this.#holders.set(key, claims.length === 0 ? first[0] : new Map([[first[0], undefined], ...claims]));
      this.#sink.upsert(key, first[1]);
      yield key;
    }
    this.#earlier = undefined;
  }

  #take(owner: string, key: EtcdKey, value: Uint8Array): void {
    const holder = this.#holders.get(key);
    if (this.#undecided.has(key) || (holder === undefined && this.#earlier?.compare(key, value) === 'other')) {
      this.#undecided.add(key);
      this.#holders.set(key, ((holder as Line | undefined) ?? new Map()).set(owner, value));
      return;
    }
    if (holder === undefined) this.#holders.set(key, owner);
    if (holder === undefined || firstOf(holder) === owner) {
      this.#sink.upsert(key, value);
      return;
    }
    const line: Line = typeof holder === 'string' ? new Map([[holder, undefined]]) : holder;
    this.#holders.set(key, line.set(owner, value));
  }

  #letGo(owner: string, key: EtcdKey): void {
    const holder = this.#holders.get(key);
    if (holder === undefined || typeof holder === 'string') {
      this.#holders.delete(key);
      this.#sink.remove(key);
      return;
    }
    if (this.#undecided.has(key)) {
      holder.delete(owner);
      if (holder.size > 0) return;
      this.#undecided.delete(key);
      this.#holders.delete(key);
      this.#sink.remove(key);
      return;
    }
    const wasFirst = firstOf(holder) === owner;
    holder.delete(owner);
    const next = firstOf(holder);
    if (wasFirst) {
      const value = holder.get(next);
      if (value !== undefined) this.#sink.upsert(key, value);
      holder.set(next, undefined);
    }
    if (holder.size === 1) this.#holders.set(key, next);
  }
}

function firstOf(holder: string | Line): string {
  if (typeof holder === 'string') return holder;
  const [first = ''] = holder.keys();
  return first;
}
