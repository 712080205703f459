/**
 * Keys of a remote under the prefix they are mirrored to.
 *
 * Keys that differ in slashes only share a mirrored key. It has the value of the one that is written as it is
 * mirrored, else of the one that came first, and it goes when the last of them goes. For that the values of the
 * others are kept; since nobody means to write such keys, there is room for few.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import { MAX_SLASHED_BYTES, MAX_SLASHED_KEYS } from '../../shared/limits.ts';
import type { Section } from '../../shared/publisher/types.ts';
import { rekey } from '../mappings.ts';
import type { Stage } from '../stage.ts';
import type { RefusedKeys } from './refused-keys.ts';

export interface RekeyOptions {
  readonly from: EtcdKey;
  readonly to: EtcdKey;
  readonly next: Stage;
  readonly refused: RefusedKeys;
  /** Knows which mirrored keys are live. */
  readonly section: Pick<Section, 'liveBytes'>;
}

/** The source keys of one mirrored key, where one of them at least is written otherwise. */
interface Claims {
  /** The key that is written as it is mirrored is there. */
  hasPlain: boolean;
  /** The others and their values, in the order in which they came; undefined for a value that was refused. */
  readonly slashed: Map<EtcdKey, Buffer | undefined>;
}

export class RekeyStage implements Stage {
  readonly #options: RekeyOptions;
  readonly #claims = new Map<EtcdKey, Claims>();
  #slashedKeys = 0;
  #slashedBytes = 0;

  constructor(options: RekeyOptions) {
    this.#options = options;
  }

  upsert(key: EtcdKey, value: Uint8Array): void {
    const { from, to, next, refused } = this.#options;
    const own = rekey(from, to, key);
    if (own === undefined) {
      refused.refuse(key, value.length, 'no-own-part');
    } else if (this.#isPlain(own, key)) {
      this.#takeOver(own);
      next.upsert(own, value);
    } else {
      this.#upsertSlashed(own, key, value);
    }
  }

  remove(key: EtcdKey): void {
    const { from, to, next } = this.#options;
    const own = rekey(from, to, key);
    if (own === undefined) return;
    const claims = this.#claims.get(own);
    if (this.#isPlain(own, key)) {
      if (claims === undefined) {
        next.remove(own);
        return;
      }
      claims.hasPlain = false;
      this.#publish(own, claims);
    } else if (claims !== undefined) {
      const published = publishedOf(claims);
      this.#forget(own, claims, key);
      if (published === key) this.#publish(own, claims);
    }
  }

  keep(key: EtcdKey): void {
    const { from, to, next } = this.#options;
    const own = rekey(from, to, key);
    if (own === undefined) return;
    if (this.#isPlain(own, key)) this.#takeOver(own);
    else this.#keepSlashed(own, key);
    next.keep(own);
  }

  listed(): void {
    this.#options.next.listed();
  }

  interrupted(reason: string): void {
    this.#claims.clear();
    this.#slashedKeys = 0;
    this.#slashedBytes = 0;
    this.#options.next.interrupted(reason);
  }

  /** What follows the prefix is the same in both. */
  #isPlain(own: EtcdKey, key: EtcdKey): boolean {
    const { from, to } = this.#options;
    return own.length - to.length === key.length - from.length;
  }

  /** The key that is written as it is mirrored is there: it goes before all others. */
  #takeOver(own: EtcdKey): void {
    if (this.#claims.size === 0) return;
    const claims = this.#claims.get(own);
    if (claims === undefined || claims.hasPlain) return;
    const before = publishedOf(claims);
    claims.hasPlain = true;
    if (before !== undefined) this.#options.refused.refuse(before, claims.slashed.get(before)?.length ?? 0, 'collision');
  }

  /** Remembers the key without a value, so that its removal removes what is mirrored of it. */
  #keepSlashed(own: EtcdKey, key: EtcdKey): void {
    const claims = this.#claimsOf(own);
    if (claims.slashed.has(key) || this.#slashedKeys >= MAX_SLASHED_KEYS) return;
    this.#slashedKeys += 1;
    claims.slashed.set(key, undefined);
    this.#claims.set(own, claims);
  }

  #claimsOf(own: EtcdKey): Claims {
    return this.#claims.get(own) ?? { hasPlain: this.#options.section.liveBytes(own) !== undefined, slashed: new Map() };
  }

  #upsertSlashed(own: EtcdKey, key: EtcdKey, value: Uint8Array): void {
    const { refused, next } = this.#options;
    const claims = this.#claimsOf(own);
    const bytes = this.#slashedBytes + value.length - (claims.slashed.get(key)?.length ?? 0);
    const keys = this.#slashedKeys + (claims.slashed.has(key) ? 0 : 1);
    if (keys > MAX_SLASHED_KEYS || bytes > MAX_SLASHED_BYTES) {
      const published = publishedOf(claims);
      this.#forget(own, claims, key);
      if (published === key) this.#publish(own, claims);
      refused.refuse(key, value.length, 'collision');
      return;
    }
    this.#slashedKeys = keys;
    this.#slashedBytes = bytes;
    claims.slashed.set(key, Buffer.from(value));
    this.#claims.set(own, claims);
    if (publishedOf(claims) === key) next.upsert(own, value);
    else refused.refuse(key, value.length, 'collision');
  }

  #forget(own: EtcdKey, { slashed }: Claims, key: EtcdKey): void {
    if (!slashed.has(key)) return;
    this.#slashedBytes -= slashed.get(key)?.length ?? 0;
    slashed.delete(key);
    this.#slashedKeys -= 1;
    if (slashed.size === 0) this.#claims.delete(own);
  }

  /** The key that had the mirrored one is gone: the next one has it, or nobody. */
  #publish(own: EtcdKey, claims: Claims): void {
    if (claims.hasPlain) return;
    const heir = publishedOf(claims);
    if (heir === undefined) {
      this.#options.next.remove(own);
      return;
    }
    const value = claims.slashed.get(heir);
    if (value === undefined) return;
    this.#options.refused.forget(heir);
    this.#options.next.upsert(own, value);
  }
}

/** The source key, of those written otherwise, whose value is mirrored; undefined where it is that of the plain one, or none is left. */
function publishedOf({ hasPlain, slashed }: Claims): EtcdKey | undefined {
  if (hasPlain) return undefined;
  for (const key of slashed.keys()) return key;
  return undefined;
}
