/**
 * Selects the object that owns a key which several objects claim.
 *
 * The address of a terminated Pod is reused while both objects still exist, for hours if the first one is not
 * removed, and a Pod that moves between slices is in both for a moment. The object that was created last owns the key,
 * of those of one second the last in name order. This depends only on the current objects, not on the order of events or on
 * restarts. When the owner releases the key, the next one is published, and the key never disappears.
 *
 * (The original publishes the first to claim a key, and its older releases the last to write it; both depend on history, and
 * both may leave the address of a running Pod with a terminated one.)
 *
 * An object may claim a key without a value (`WITHHELD`): while it is the owner, the key does not exist. The address of a Pod that
 * is not exported would else be exported with the identity of the terminated Pod that had it before.
 *
 * During a first listing a key that has another value in etcd than the claim, or a second claim, stays unchanged
 * until all claims are known: readers see at most one change, and none if the owner is the same as before.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Section, Sink } from '../../shared/publisher/types.ts';
import { WITHHELD } from '../converters/conversion.ts';
import { compareBytes } from '../encoding/go-json.ts';
import type { Entry } from '../encoding/keyspace.ts';

/** What the run before has left in etcd. */
export type EarlierRun = Pick<Section, 'compare'>;

/** The objects that claim keys, as they are now: newer, maybe, than what they claimed last. */
export interface Claimants {
  /** When the object was created, in milliseconds. */
  createdMs(owner: string): number;
  /** The entries of an object: requested when its value is needed after that of another one was published. */
  entries(owner: string): readonly Entry[];
}

/** A key with several claims, or with one while the owner is undecided. */
interface Contest {
  /** Whose value is published. */
  published: string | undefined;
  /** The values of waiting claims, if known; the published value is not kept, because the publisher has it. */
  readonly values: Map<string, Uint8Array | undefined>;
}

export class KeyClaims {
  readonly #sink: Pick<Sink, 'upsert' | 'remove'>;
  readonly #claimants: Claimants;
  /** A single key, which is the normal case, is not in a list. */
  readonly #keysOf = new Map<string, EtcdKey | readonly EtcdKey[]>();
  /** The only claim, which is the normal case, or a contest. */
  readonly #holders = new Map<EtcdKey, string | Contest>();
  /** Until the first listing is complete. */
  #earlier: EarlierRun | undefined;
  /** Keys of a first listing that several claim, or that etcd holds with another value than that of their first claim. */
  readonly #undecided = new Set<EtcdKey>();
  /** The entries of owners during one call: an object that releases many keys usually leaves them to the same one. */
  readonly #asked = new Map<string, ReadonlyMap<EtcdKey, Uint8Array>>();

  /** With `earlier`, claims are part of a first listing until `decide` is done. */
  constructor(sink: Pick<Sink, 'upsert' | 'remove'>, claimants: Claimants, earlier?: EarlierRun) {
    this.#sink = sink;
    this.#claimants = claimants;
    this.#earlier = earlier;
  }

  /** `owner` claims exactly `entries` from now on; its other claims are released. Of equal keys the last one is used. */
  claim(owner: string, entries: readonly Entry[]): void {
    const claimed = byKey(entries);
    const before = listOf(this.#keysOf.get(owner));
    for (const key of before) if (!claimed.has(key)) this.#letGo(owner, key);
    for (const [key, value] of claimed) this.#take(owner, key, value);
    // Equal keys of a later evaluation are other strings: those of the first one are kept.
    if (before.length !== claimed.size || !before.every((key) => claimed.has(key))) this.#remember(owner, [...claimed.keys()]);
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

  #remember(owner: string, keys: readonly EtcdKey[]): void {
    const [first] = keys;
    if (first === undefined) this.#keysOf.delete(owner);
    else this.#keysOf.set(owner, keys.length === 1 ? first : keys);
  }

  #take(owner: string, key: EtcdKey, value: Uint8Array): void {
    const holder = this.#holders.get(key);
    if (holder === owner || (holder === undefined && this.#earlier?.compare(key, value) !== 'other')) {
      this.#holders.set(key, owner);
      this.#publish(key, value);
      return;
    }
    if (this.#earlier !== undefined) this.#undecided.add(key);
    const contest = contestOf(holder);
    contest.values.set(owner, value);
    this.#holders.set(key, contest);
    if (!this.#undecided.has(key)) this.#settle(key, contest);
  }

  /** An object that lost the key while it changed may release a claim of another one. */
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

  /** Publishes the value of the selected owner, if it is not published already; ends the contest if one claim is left. */
  #settle(key: EtcdKey, contest: Contest): void {
    const { values } = contest;
    for (let owner = this.#youngest(values.keys()); owner !== undefined; owner = this.#youngest(values.keys())) {
      const known = values.get(owner);
      if (owner === contest.published && known === undefined) break;
      const value = known ?? this.#ask(owner, key);
      if (value !== undefined) {
        this.#publish(key, value);
        values.set(owner, undefined);
        contest.published = owner;
        break;
      }
      // Its object has changed or was deleted; its next evaluation claims or releases the key.
      values.delete(owner);
      if (owner === contest.published) contest.published = undefined;
    }
    if (contest.published === undefined) {
      this.#holders.delete(key);
      this.#sink.remove(key);
    } else if (values.size === 1) this.#holders.set(key, contest.published);
  }

  #publish(key: EtcdKey, value: Uint8Array): void {
    if (value === WITHHELD) this.#sink.remove(key);
    else this.#sink.upsert(key, value);
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

function listOf(keys: EtcdKey | readonly EtcdKey[] | undefined): readonly EtcdKey[] {
  if (keys === undefined) return NO_KEYS;
  return typeof keys === 'string' ? [keys] : keys;
}

const NO_KEYS: readonly EtcdKey[] = [];

function byKey(entries: readonly Entry[]): ReadonlyMap<EtcdKey, Uint8Array> {
  return new Map(entries.map(({ key, value }) => [key, value]));
}
