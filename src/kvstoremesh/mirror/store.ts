/**
 * Last stage: hands keys to their section of the publisher, as long as the remote keeps its quota.
 *
 * A value that exceeds the quota is not copied: the section knows which keys are live, so the check is exact.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Section } from '../../shared/publisher/types.ts';
import type { Stage } from '../stage.ts';
import type { Usage } from './bounds.ts';
import type { Quota, QuotaPart } from './quota.ts';

export interface StoreOptions {
  readonly section: Stage & Pick<Section, 'liveBytes'>;
  /** Of the prefix of the section, which counts nothing. */
  readonly prefixBytes: number;
  readonly quota: Quota;
  readonly part: QuotaPart;
  /** A complete listing has reached the section. */
  readonly onListed: () => void;
}

export class StoreStage implements Stage {
  readonly #options: StoreOptions;

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  upsert(key: EtcdKey, value: Uint8Array): void {
    const { section, quota, part } = this.#options;
    const before = section.liveBytes(key);
    if (!quota.admits(part, this.#growth(key, before, value.length))) return;
    section.upsert(key, value);
    this.#count(key, before);
  }

  remove(key: EtcdKey): void {
    const { section } = this.#options;
    const before = section.liveBytes(key);
    section.remove(key);
    this.#count(key, before);
  }

  keep(key: EtcdKey): void {
    const { section, quota, part } = this.#options;
    const before = section.liveBytes(key);
    if (!quota.admits(part, this.#growth(key, before, before ?? 0))) return;
    section.keep(key);
    this.#count(key, before);
  }

  listed(): void {
    const { section, onListed } = this.#options;
    section.listed();
    onListed();
  }

  interrupted(reason: string): void {
    this.#options.section.interrupted(reason);
  }

  /** The section may have refused the value, or may not know the key that is kept. */
  #count(key: EtcdKey, before: number | undefined): void {
    const { section, part } = this.#options;
    part.add(this.#growth(key, before, section.liveBytes(key)));
  }

  /** From a value of `before` bytes to one of `after`; undefined where the key is not live. */
  #growth(key: EtcdKey, before: number | undefined, after: number | undefined): Usage {
    const ownBytes = key.length - this.#options.prefixBytes;
    const bytes = (value: number | undefined) => (value === undefined ? 0 : ownBytes + value);
    return { keys: Number(after !== undefined) - Number(before !== undefined), bytes: bytes(after) - bytes(before) };
  }
}
