/**
 * Third stage: keys pass that the rule of their cluster imports.
 *
 * A key that the rule keeps out is treated as absent, also where an earlier value of it was imported. So is a key whose value is
 * too large where its value would decide: an earlier value may be one that the rule of that time let in.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Section } from '../../shared/publisher/types.ts';
import type { ReadIdentities } from '../import-guard/read-identities.ts';
import type { MirroredKind } from '../kv/kinds.ts';
import type { Mapping } from '../mappings.ts';
import type { Stage } from '../stage.ts';
import type { Judge, PolicyRefusal } from './judge.ts';
import type { PolicyTally } from './tally.ts';
import type { WithdrawalOrder } from './withdrawal-order.ts';

export interface PolicyStageOptions {
  readonly mapping: Mapping;
  readonly kind: MirroredKind;
  readonly prefix: EtcdKey;
  readonly judge: Judge;
  /** What the judge has read of the value that is passed on. */
  readonly read: ReadIdentities;
  readonly tally: PolicyTally;
  readonly section: Pick<Section, 'liveBytes' | 'stats' | 'flushed' | 'compare'>;
  /** Undefined where removals need not wait for other kinds. */
  readonly order: WithdrawalOrder | undefined;
  /** Of the connection. */
  readonly signal: AbortSignal;
  readonly next: Stage;
}

export class PolicyStage implements Stage {
  protected readonly options: PolicyStageOptions;
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
    tally.clear(kind, key);
    next.upsert(key, value);
  }

  protected refuse(key: EtcdKey, reason: PolicyRefusal): void {
    const { kind, judge, tally, section } = this.options;
    tally.refuse(kind, key, reason, judge.address, this.#listing);
    if (section.liveBytes(key) !== undefined) this.drop(key);
    else this.forget(key);
  }

  /** The key goes, if it is there. */
  protected drop(key: EtcdKey): void {
    this.forget(key);
    this.options.next.remove(key);
  }

  /** The key is neither imported nor about to be. */
  protected forget(_key: EtcdKey): void {}

  /** What the listing did not name goes, in its turn. */
  protected complete(): void {
    const { mapping, order, section, signal, next } = this.options;
    if (order === undefined) {
      next.listed();
      return;
    }
    const listing = this.#listing;
    const finish = async () => {
      await order.turn(mapping, signal);
      if (this.#listing !== listing) return;
      next.listed();
      await section.flushed(signal);
      order.done(mapping);
    };
    // Rejects when the connection ends: the next one lists again.
    void finish().catch(() => undefined);
  }
}
