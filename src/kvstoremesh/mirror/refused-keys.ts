/**
 * Keys of one kind of a remote that are not mirrored while all others are: counted each time, logged once a key, and
 * told in the state of the remote for as long as they are there.
 */
import { createHash } from 'node:crypto';
import { type EtcdKey, keyText } from '../../shared/etcd/types.ts';
import { MAX_REFUSED_KEYS } from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { RejectReason } from '../../shared/publisher/types.ts';

export type Refusal = 'no-own-part' | 'collision' | 'key-size' | 'value-size';

export interface RefusedKeysOptions {
  readonly log: Logger;
  readonly onRefused: (reason: RejectReason) => void;
}

const REASONS: Readonly<Record<Refusal, RejectReason>> = {
  'no-own-part': 'outside_prefix',
  collision: 'collision',
  'key-size': 'key_too_large',
  'value-size': 'value_too_large',
};

const REMEDIES: Readonly<Record<Refusal, string>> = {
  'no-own-part': 'it has no part of its own; remove it from the remote',
  collision: 'it differs from another key in slashes only; remove it from the remote',
  'key-size': 'its key is too large; remove it from the remote, or raise --remote-max-key-size',
  'value-size': 'its value is too large; make it smaller in the remote, or raise --remote-max-value-size',
};

interface Refused {
  readonly refusal: Refusal;
  /** Of the key, and how many bytes it has. */
  readonly text: string;
  readonly keyBytes: number;
  readonly valueBytes: number;
}

/** Longer keys are remembered by their digest: a key that is refused for its size may have a megabyte. */
const MAX_REMEMBERED_KEY_BYTES = 1024;

export class RefusedKeys {
  readonly #options: RefusedKeysOptions;
  readonly #present = new Map<string, Refused>();
  readonly #logged = new Set<string>();

  constructor(options: RefusedKeysOptions) {
    this.#options = options;
  }

  /** The present ones and what to do about one of them; undefined where there is none. Never a value. */
  get problem(): string | undefined {
    for (const { refusal, text, keyBytes, valueBytes } of this.#present.values()) {
      const { size } = this.#present;
      const others = size === 1 ? '' : `, and ${size - 1}${size >= MAX_REFUSED_KEYS ? ' or more' : ''} others are not either`;
      return `key ${text} (${keyBytes} bytes, its value ${valueBytes}) is not mirrored: ${REMEDIES[refusal]}${others}`;
    }
    return undefined;
  }

  refuse(key: EtcdKey, valueBytes: number, refusal: Refusal): void {
    const { log, onRefused } = this.#options;
    onRefused(REASONS[refusal]);
    const id = rememberedAs(key);
    const text = keyText(key);
    const keyBytes = key.length;
    if (this.#present.size < MAX_REFUSED_KEYS) this.#present.set(id, { refusal, text, keyBytes, valueBytes });
    if (this.#logged.has(id) || this.#logged.size >= MAX_REFUSED_KEYS) return;
    this.#logged.add(id);
    const fields = { key: text, keyBytes, valueBytes, reason: REMEDIES[refusal] };
    log.warn(fields, 'a key of the remote is not mirrored; all others go on');
  }

  /** The key is gone, or has another value. */
  forget(key: EtcdKey): void {
    if (this.#present.size > 0) this.#present.delete(rememberedAs(key));
  }

  /** All that are still there will be refused again. */
  restart(): void {
    this.#present.clear();
  }
}

function rememberedAs(key: EtcdKey): string {
  return key.length <= MAX_REMEMBERED_KEY_BYTES ? key : createHash('sha256').update(key, 'latin1').digest('base64');
}
