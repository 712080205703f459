/**
 * Keys of one kind of a remote that are not mirrored, while all others are. Each refusal is counted, each key is logged
 * once, and the status of the remote shows the keys as long as they exist.
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
  'no-own-part': 'it has no name below its prefix; remove it from the remote',
  collision: 'it differs from another key in slashes only; remove it from the remote',
  'key-size': 'its key is too large; remove it from the remote, or raise --remote-max-key-size',
  'value-size': 'its value is too large; make it smaller in the remote, or raise --remote-max-value-size',
};

interface Refused {
  readonly refusal: Refusal;
  /** The key, shortened. */
  readonly text: string;
  readonly keyBytes: number;
  readonly valueBytes: number;
}

/** Longer keys are remembered by their digest: a key that is too large may have a megabyte. */
const MAX_REMEMBERED_KEY_BYTES = 1024;

export class RefusedKeys {
  readonly #options: RefusedKeysOptions;
  readonly #present = new Map<string, Refused>();
  readonly #logged = new Set<string>();

  constructor(options: RefusedKeysOptions) {
    this.#options = options;
  }

  /** How many there are, and the remedy for one of them; undefined where there are none. Never shows a value. */
  get problem(): string | undefined {
    for (const { refusal, text, keyBytes, valueBytes } of this.#present.values()) {
      const { size } = this.#present;
      const others = size === 1 ? '' : `; ${size - 1}${size >= MAX_REFUSED_KEYS ? ' or more' : ''} other keys are not mirrored`;
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
    log.warn(fields, 'key of remote cluster not mirrored; other keys are not affected');
  }

  /** The key was removed, or has another value. */
  forget(key: EtcdKey): void {
    if (this.#present.size > 0) this.#present.delete(rememberedAs(key));
  }

  /** A new listing refuses again those that still exist. */
  restart(): void {
    this.#present.clear();
  }
}

function rememberedAs(key: EtcdKey): string {
  return key.length <= MAX_REMEMBERED_KEY_BYTES ? key : createHash('sha256').update(key, 'latin1').digest('base64');
}
