/**
 * Third stage: keys pass that the rule of their cluster imports.
 *
 * A key that the rule keeps out is treated as absent, also where an earlier value of it was imported. So is a key whose value is
 * too large where its value would decide: an earlier value may be one that the rule of that time let in.
 */

import type { MirroredKind } from '../../shared/etcd/keyspace.ts';
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Section } from '../../shared/publisher/types.ts';
import type { ReadIdentities } from '../import-guard/read-identities.ts';
import type { Mapping } from '../mappings.ts';
import type { Stage } from '../stage.ts';
import type { Judge, PolicyRefusal } from './judge.ts';
import type { PolicyTally } from './tally.ts';
import type { WithdrawalOrder } from './withdrawal-order.ts';

export type PolicySection = Pick<Section, 'liveBytes' | 'stats' | 'flushed' | 'compare' | 'keep' | 'remove'>;

const NO_VALUE = Buffer.alloc(0);

export interface PolicyStageOptions {
  readonly mapping: Mapping;
  readonly kind: MirroredKind;
  readonly prefix: EtcdKey;
  readonly judge: Judge;
  /** What the judge has read of the value that is passed on. */
  readonly read: ReadIdentities;
  readonly tally: PolicyTally;
  readonly section: PolicySection;
  /** Undefined where removals need not wait for other kinds. */
  readonly order: WithdrawalOrder | undefined;
  /** Of a first load; see PolicyRunOptions. */
  readonly hasRoom: (() => boolean) | undefined;
  /** Of the connection. */
  readonly signal: AbortSignal;
  readonly next: Stage;
}

export class PolicyStage implements Stage {
  protected readonly options: PolicyStageOptions;
  /** Keys that etcd holds from an earlier run, and that stay until the turn of the kind. Only the section knows them. */
  readonly #withheld = new Set<EtcdKey>();
  #listing = 0;

  constructor(options: PolicyStageOptions) {
    this.options = options;
  }

  upsert(key: EtcdKey, value: Uint8Array): void {
    const { prefix, judge, read } = this.options;
    const byKey = judge.byKey(key, prefix.length);
    if (byKey !== undefined) {
      this.refuse(key, byKey);
      return;
    }
    const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value);
    const verdict = judge.readsValue ? judge.byValue(bytes) : undefined;
    if (verdict === undefined) this.accept(key, bytes);
    else this.refuse(key, verdict);
    read.end();
  }

  keep(key: EtcdKey): void {
    const { prefix, judge, kind, tally, next } = this.options;
    const verdict = judge.byKey(key, prefix.length) ?? (judge.readsValue ? 'unreadable' : undefined);
    if (verdict !== undefined) {
      this.refuse(key, verdict);
      return;
    }
    this.#claim(key);
    tally.clear(kind, key);
    next.keep(key);
  }

  remove(key: EtcdKey): void {
    const { kind, tally } = this.options;
    tally.clear(kind, key);
    this.drop(key);
  }

  interrupted(reason: string): void {
    const { kind, tally, next } = this.options;
    this.#withheld.clear();
    this.#listing = tally.begin(kind);
    next.interrupted(reason);
  }

  listed(): void {
    this.options.tally.listed(this.options.kind, this.#listing);
    this.complete();
  }

  /** The rule imports the key. */
  protected accept(key: EtcdKey, value: Buffer): void {
    const { kind, tally, next } = this.options;
    this.#claim(key);
    tally.clear(kind, key);
    next.upsert(key, value);
  }

  protected refuse(key: EtcdKey, reason: PolicyRefusal): void {
    const { kind, judge, tally, section } = this.options;
    tally.refuse(kind, key, reason, judge.address, this.#listing);
    if (this.withhold(key)) this.forget(key);
    else if (section.liveBytes(key) !== undefined) this.drop(key);
    else this.forget(key);
  }

  /** The key goes, if it is there. */
  protected drop(key: EtcdKey): void {
    this.forget(key);
    if (!this.#claim(key)) this.options.next.remove(key);
  }

  /** The key is neither imported nor about to be. */
  protected forget(_key: EtcdKey): void {}

  /** True where the key, which the rule keeps out, stays in etcd until the turn of its kind. */
  protected withhold(key: EtcdKey): boolean {
    if (this.isWithheld(key)) return true;
    const { section, hasRoom } = this.options;
    if (hasRoom === undefined) return false;
    const held = section.compare(key, NO_VALUE);
    if (held === undefined || held === 'absent' || section.liveBytes(key) !== undefined || !hasRoom()) return false;
    section.keep(key);
    this.#withheld.add(key);
    return true;
  }

  protected isWithheld(key: EtcdKey): boolean {
    return this.#withheld.size > 0 && this.#withheld.has(key);
  }

  /** False where the key was not withheld. The section forgets it: the stages behind this one have never seen it. */
  #claim(key: EtcdKey): boolean {
    if (this.#withheld.size === 0 || !this.#withheld.delete(key)) return false;
    this.options.section.remove(key);
    return true;
  }

  /** What the listing did not name goes, in its turn; in a first load, what was withheld. */
  protected complete(): void {
    const { mapping, order, hasRoom, section, signal, next } = this.options;
    const isFirstLoad = hasRoom !== undefined;
    if (order === undefined || isFirstLoad) next.listed();
    if (order === undefined) return;
    const listing = this.#listing;
    const finish = async () => {
      await order.turn(mapping, signal);
      if (this.#listing !== listing) return;
      if (isFirstLoad) for (const key of this.#withheld) this.#claim(key);
      else next.listed();
      await section.flushed(signal);
      order.done(mapping);
    };
    // Rejects when the connection ends: the next one lists again.
    void finish().catch(() => undefined);
  }
}
