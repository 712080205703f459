/**
 * Which object has a key, where several claim one.
 *
 * The address of a Pod that ended is given to the next while both objects still exist, for hours where nothing removes the
 * first, and a Pod that moves between slices is in both for a moment. The object that was created last has the key,
 * of those of one second the last in the order of their names: so it follows from what there is, whatever came first, and however
 * often this program was started. When the owner lets go, the next one is published, and the key never vanishes.
 *
 * (The original publishes the first to claim a key, and its older releases the last to write it; both depend on history, and
 * both may leave the address of a living Pod with a dead one.)
 *
 * During a first listing a key that etcd holds with another value than the claim, or that a second one claims, is left as it
 * is until all claims are known: readers see one change at most, and none where the owner is the same as before.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Section, Sink } from '../../shared/publisher/types.ts';
import { compareBytes } from '../encoding/go-json.ts';
import type { Entry } from '../encoding/keyspace.ts';

/** What the run before has left in etcd. */
export type EarlierRun = Pick<Section, 'compare'>;

/** The objects that claim keys, as they are now: newer, maybe, than what they claimed last. */
export interface Claimants {
  /** When the object was created, in milliseconds. */
  createdMs(owner: string): number;
  /** What the object exports: asked where its value is needed after that of another one was published. */
  entries(owner: string): readonly Entry[];
}

/** A key that several objects claim, or one, as long as it is not decided. */
interface Contest {
  /** Whose value is published. */
  published: string | undefined;
  /** Of those who wait the value, where it is known; that of the published one, which the publisher has, is not kept. */
  readonly values: Map<string, Uint8Array | undefined>;
}

export class KeyClaims {
  readonly #sink: Pick<Sink, 'upsert' | 'remove'>;
  readonly #claimants: Claimants;
  readonly #keysOf = new Map<string, readonly EtcdKey[]>();
  /** The only one who claims the key, which is the rule, or a contest. */
  readonly #holders = new Map<EtcdKey, string | Contest>();
  /** Until the first listing is complete. */
  #earlier: EarlierRun | undefined;
  /** Keys of a first listing that several claim, or that etcd holds with another value than that of their first claim. */
  readonly #undecided = new Set<EtcdKey>();
  /** What owners were asked for, for the time of one call: one that lets go of many keys leaves them to the same one, as a rule. */
  readonly #asked = new Map<string, ReadonlyMap<EtcdKey, Uint8Array>>();

  /** With `earlier`, claims are part of a first listing until `decide` is done. */
  constructor(sink: Pick<Sink, 'upsert' | 'remove'>, claimants: Claimants, earlier?: EarlierRun) {
    this.#sink = sink;
    this.#claimants = claimants;
    this.#earlier = earlier;
  }

  /** `owner` claims exactly `entries` from now on; what it claimed before and no longer does is let go. Of equal keys the last holds. */
  claim(owner: string, entries: readonly Entry[]): void {
    const claimed = byKey(entries);
    for (const key of this.#keysOf.get(owner) ?? []) if (!claimed.has(key)) this.#letGo(owner, key);
    for (const [key, value] of claimed) this.#take(owner, key, value);
    if (claimed.size === 0) this.#keysOf.delete(owner);
    else this.#keysOf.set(owner, [...claimed.keys()]);
    this.#asked.clear();
  }

  /**
   * The first listing is complete: what was left undecided is published. A key is decided with each value of the iterator,
   * and claims may change between two; until it is done, the listing is not published.
   */
  *decide(): Generator<EtcdKey, void> {
    for (const key of this.#undecided) {
      this.#undecided.delete(key);
      const contest = this.#holders.get(key);
      if (contest === undefined || typeof contest === 'string') continue;
      this.#settle(key, contest);
      this.#asked.clear();
      yield key;
    }
    this.#earlier = undefined;
  }

  #take(owner: string, key: EtcdKey, value: Uint8Array): void {
    const holder = this.#holders.get(key);
    if (holder === owner || (holder === undefined && this.#earlier?.compare(key, value) !== 'other')) {
      this.#holders.set(key, owner);
      this.#sink.upsert(key, value);
      return;
    }
    if (this.#earlier !== undefined) this.#undecided.add(key);
    const contest = contestOf(holder);
    contest.values.set(owner, value);
    this.#holders.set(key, contest);
    if (!this.#undecided.has(key)) this.#settle(key, contest);
  }

  /** One who lost the key while its object was changing may let go of what another one has. */
  #letGo(owner: string, key: EtcdKey): void {
    const holder = this.#holders.get(key);
    if (holder === owner) {
      this.#holders.delete(key);
      this.#sink.remove(key);
    }
    if (holder === undefined || typeof holder === 'string' || !holder.values.delete(owner)) return;
    if (holder.published === owner) holder.published = undefined;
    if (holder.values.size === 0) this.#undecided.delete(key);
    if (!this.#undecided.has(key)) this.#settle(key, holder);
  }

  /** Publishes the value of the one who is to have the key, if it is not published already; ends the contest of a single one. */
  #settle(key: EtcdKey, contest: Contest): void {
    const { values } = contest;
    for (let owner = this.#youngest(values.keys()); owner !== undefined; owner = this.#youngest(values.keys())) {
      const known = values.get(owner);
      if (owner === contest.published && known === undefined) break;
      const value = known ?? this.#ask(owner, key);
      if (value !== undefined) {
        this.#sink.upsert(key, value);
        values.set(owner, undefined);
        contest.published = owner;
        break;
      }
      // Its object has changed, or is gone, and it will claim again, or let go, when that is looked at.
      values.delete(owner);
      if (owner === contest.published) contest.published = undefined;
    }
    if (contest.published === undefined) {
      this.#holders.delete(key);
      this.#sink.remove(key);
    } else if (values.size === 1) this.#holders.set(key, contest.published);
  }

  #ask(owner: string, key: EtcdKey): Uint8Array | undefined {
    let entries = this.#asked.get(owner);
    if (entries === undefined) {
      entries = byKey(this.#claimants.entries(owner));
      this.#asked.set(owner, entries);
    }
    return entries.get(key);
  }

  #youngest(owners: Iterable<string>): string | undefined {
    let youngest: string | undefined;
    let createdMs = Number.NEGATIVE_INFINITY;
    for (const owner of owners) {
      const ownMs = this.#claimants.createdMs(owner);
      const isTied = ownMs === createdMs && youngest !== undefined;
      if (youngest !== undefined && (isTied ? compareBytes(owner, youngest) < 0 : ownMs < createdMs)) continue;
      youngest = owner;
      createdMs = ownMs;
    }
    return youngest;
  }
}

function contestOf(holder: string | Contest | undefined): Contest {
  if (typeof holder === 'object') return holder;
  if (holder === undefined) return { published: undefined, values: new Map() };
  return { published: holder, values: new Map([[holder, undefined]]) };
}

function byKey(entries: readonly Entry[]): ReadonlyMap<EtcdKey, Uint8Array> {
  return new Map(entries.map(({ key, value }) => [key, value]));
}
