/** A sink that records its calls, and the keys that a publisher would have. */
import type { EtcdKey } from '../../src/shared/etcd/types.ts';
import type { Sink } from '../../src/shared/publisher/types.ts';

export interface RecordingSink extends Sink {
  /** Each word in order, with its key. */
  readonly words: string[];
  readonly held: ReadonlyMap<EtcdKey, Buffer>;
  readonly isListed: boolean;
  /** What is held, values as text. */
  texts(): Record<string, string>;
}

export function recordingSink(): RecordingSink {
  const words: string[] = [];
  const held = new Map<EtcdKey, Buffer>();
  return {
    words,
    held,
    get isListed() {
      return words.includes('listed');
    },
    texts: () => Object.fromEntries([...held].map(([key, value]) => [key, value.toString()])),
    upsert: (key, value) => {
      words.push(`upsert ${key}`);
      held.set(key, Buffer.from(value));
    },
    remove: (key) => {
      words.push(`remove ${key}`);
      held.delete(key);
    },
    listed: () => words.push('listed'),
    interrupted: (reason) => words.push(`interrupted ${reason}`),
  };
}
