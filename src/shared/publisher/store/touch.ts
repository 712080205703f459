/** An observed state of a key in etcd at some revision: it was put or deleted then, by us or externally. */
import type { EtcdKey, KeyValue, LeaseId, Revision } from '../../etcd/types.ts';
import { type Digest, digest } from './digest.ts';

export interface Touch {
  readonly revision: Revision;
  /** Undefined where the key was deleted. */
  readonly found: (Readonly<Digest> & { readonly lease: LeaseId }) | undefined;
}

/** The key was deleted at `revision`. */
export function deletedAt(revision: Revision): Touch {
  return { revision, found: undefined };
}

/** The key was put; of the value only its digest is kept. */
export function putAs({ value, modRevision, lease }: Pick<KeyValue, 'value' | 'modRevision' | 'lease'>): Touch {
  const { low, high } = digest(value, { low: 0, high: 0 });
  return { revision: modRevision, found: { low, high, lease } };
}

/**
 * Observed changes of keys during a read, whose results may be older. Only the latest change of each key counts.
 * Bounded: `isFull` reports that there were too many changes to trust the results.
 */
export class TouchBuffer {
  readonly #touches = new Map<EtcdKey, Touch>();
  readonly #limit: number;
  #isFull = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  add(key: EtcdKey, touch: Touch): void {
    const before = this.#touches.get(key);
    if (before !== undefined && before.revision >= touch.revision) return;
    if (before === undefined && this.#touches.size >= this.#limit) this.#isFull = true;
    else this.#touches.set(key, touch);
  }

  /** Takes out at most `count` of them. */
  take(count: number): [EtcdKey, Touch][] {
    const taken: [EtcdKey, Touch][] = [];
    for (const entry of this.#touches) {
      if (taken.length >= count) break;
      taken.push(entry);
    }
    for (const [key] of taken) this.#touches.delete(key);
    return taken;
  }

  clear(): void {
    this.#touches.clear();
    this.#isFull = false;
  }
}

/** Keys that are being read one by one, and their changes during the read. */
export class KeyReads {
  readonly #reads = new Map<EtcdKey, { readers: number; touch: Touch | undefined }>();

  has(key: EtcdKey): boolean {
    return this.#reads.has(key);
  }

  /** To be called for a key that is being read. */
  add(key: EtcdKey, touch: Touch): void {
    const read = this.#reads.get(key);
    if (read !== undefined && (read.touch?.revision ?? 0) < touch.revision) read.touch = touch;
  }

  /** The result of `get`, and the latest change during the read. */
  async read(
    key: EtcdKey,
    get: () => Promise<KeyValue | undefined>,
  ): Promise<{ keyValue: KeyValue | undefined; touch: Touch | undefined }> {
    const read = this.#reads.get(key) ?? { readers: 0, touch: undefined };
    read.readers += 1;
    this.#reads.set(key, read);
    try {
      return { keyValue: await get(), touch: read.touch };
    } finally {
      read.readers -= 1;
      if (read.readers === 0) this.#reads.delete(key);
    }
  }
}
