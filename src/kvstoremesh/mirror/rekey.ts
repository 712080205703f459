/**
 * Second stage: keys of a remote get the prefix that they are mirrored to.
 *
 * Slashes that are doubled, leading or trailing are dropped on the way, so several source keys may lead to one mirrored
 * key. Only one of them is mirrored: the key that is written exactly as it is mirrored, else the first one that came. The
 * others are refused and counted, until they change or are listed again.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import { MAX_SLASHED_KEYS } from '../../shared/limits.ts';
import type { Section } from '../../shared/publisher/types.ts';
import { rekey } from '../mappings.ts';
import type { Stage } from '../stage.ts';
import type { RefusedKeys } from './refused-keys.ts';

export interface RekeyOptions {
  readonly from: EtcdKey;
  readonly to: EtcdKey;
  /** Knows which mirrored keys are live. */
  readonly section: Pick<Section, 'liveBytes'>;
  readonly next: Stage;
  readonly refused: RefusedKeys;
}

export class RekeyStage implements Stage {
  readonly #options: RekeyOptions;
  /** The source key of each mirrored key that is written otherwise. */
  readonly #slashed = new Map<EtcdKey, EtcdKey>();

  constructor(options: RekeyOptions) {
    this.#options = options;
  }

  upsert(key: EtcdKey, value: Uint8Array): void {
    const { from, to, next, refused } = this.#options;
    const own = rekey(from, to, key);
    if (own === undefined) refused.refuse(key, value.length, 'no-own-part');
    else if (this.#claims(own, key)) next.upsert(own, value);
    else refused.refuse(key, value.length, 'collision');
  }

  remove(key: EtcdKey): void {
    const { from, to, next } = this.#options;
    const own = rekey(from, to, key);
    if (own === undefined || !this.#isMirrored(own, key)) return;
    this.#slashed.delete(own);
    next.remove(own);
  }

  keep(key: EtcdKey): void {
    const { from, to, next } = this.#options;
    const own = rekey(from, to, key);
    if (own !== undefined && this.#claims(own, key)) next.keep(own);
  }

  listed(): void {
    this.#options.next.listed();
  }

  interrupted(reason: string): void {
    this.#slashed.clear();
    this.#options.next.interrupted(reason);
  }

  /** What follows the prefix is the same in both. */
  #isPlain(own: EtcdKey, key: EtcdKey): boolean {
    const { from, to } = this.#options;
    return own.length - to.length === key.length - from.length;
  }

  /** `own` is mirrored from `key`, where it is mirrored at all. */
  #isMirrored(own: EtcdKey, key: EtcdKey): boolean {
    return this.#isPlain(own, key) ? !this.#slashed.has(own) : this.#slashed.get(own) === key;
  }

  /** True where `own` is mirrored from `key` from now on. */
  #claims(own: EtcdKey, key: EtcdKey): boolean {
    const { section, refused } = this.#options;
    const before = this.#slashed.get(own);
    if (this.#isPlain(own, key)) {
      if (before !== undefined) refused.refuse(before, section.liveBytes(own) ?? 0, 'collision');
      this.#slashed.delete(own);
      return true;
    }
    if (before !== undefined) return before === key;
    if (section.liveBytes(own) !== undefined || this.#slashed.size >= MAX_SLASHED_KEYS) return false;
    this.#slashed.set(own, key);
    return true;
  }
}
