/**
 * Keys of a remote with addresses outside of its CIDRs: the current ones by key, up to a bound. The key is logged once, with the
 * first such address.
 */

import type { MirroredKind } from '../../shared/etcd/keyspace.ts';
import { type EtcdKey, keyText } from '../../shared/etcd/types.ts';
import { MAX_FINDINGS, MAX_LOGGED_FINDINGS } from '../../shared/limits.ts';
import { printable } from '../../shared/printable.ts';
import type { Logger } from '../../shared/process/log.ts';

export interface OutsideAddress {
  /** The mirrored key. */
  readonly key: EtcdKey;
  readonly kind: MirroredKind;
  /** The list of the rule. */
  readonly list: 'podCIDRs' | 'nodeCIDRs';
  readonly address: string;
}

interface Followed extends OutsideAddress {
  /** The listing that last named the key. */
  readonly listing: number;
}

/** Characters shown of an address. */
const MAX_SHOWN_LENGTH = 64;

export class OutsideAddresses {
  readonly #log: Logger;
  readonly #present = new Map<EtcdKey, Followed>();
  readonly #logged = new Set<EtcdKey>();

  constructor(log: Logger) {
    this.#log = log;
  }

  add({ key, kind, list, address }: OutsideAddress, listing: number): void {
    const shown = printable(address, MAX_SHOWN_LENGTH);
    if (this.#present.size < MAX_FINDINGS || this.#present.has(key))
      this.#present.set(key, { key, kind, list, address: shown, listing });
    if (this.#logged.has(key) || this.#logged.size > MAX_LOGGED_FINDINGS) return;
    this.#logged.add(key);
    if (this.#logged.size > MAX_LOGGED_FINDINGS) {
      this.#log.warn('import policy: more keys with addresses outside of the policy are counted but not logged');
    } else {
      const fields = { kind, key: keyText(key), list, address: shown };
      this.#log.warn(fields, 'key not imported: it has an address outside of the import policy');
    }
  }

  clear(key: EtcdKey): void {
    if (this.#present.size > 0) this.#present.delete(key);
  }

  /** Drops those of `kind` that `listing` did not name. */
  retain(kind: MirroredKind, listing: number): void {
    for (const [key, found] of this.#present) if (found.kind === kind && found.listing !== listing) this.#present.delete(key);
  }

  /** Those of another rule. */
  clearAll(): void {
    this.#present.clear();
  }

  [Symbol.iterator](): IterableIterator<OutsideAddress> {
    return this.#present.values();
  }
}
