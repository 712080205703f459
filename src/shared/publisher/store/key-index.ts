/**
 * Keys to slots, in many small maps: a map of a million keys blocks for a tenth of a second each time it grows.
 *
 * Each process uses its own random seed, so that a remote cannot choose keys of the same map.
 */
import { randomBytes } from 'node:crypto';
import type { EtcdKey } from '../../etcd/types.ts';

const SHARDS = 64;
const SEED = randomBytes(4).readUInt32LE(0);

/** Bytes of a key, from its end, that decide where it goes: keys of a section differ there. */
const HASHED_BYTES = 24;

export class KeyIndex {
  readonly #shards = new Array<Map<EtcdKey, number> | undefined>(SHARDS);

  get(key: EtcdKey): number | undefined {
    return this.#shards[shardOf(key)]?.get(key);
  }

  set(key: EtcdKey, slot: number): void {
    const at = shardOf(key);
    const shard = this.#shards[at] ?? new Map<EtcdKey, number>();
    shard.set(key, slot);
    this.#shards[at] = shard;
  }

  delete(key: EtcdKey): void {
    const at = shardOf(key);
    const shard = this.#shards[at];
    if (shard?.delete(key) === true && shard.size === 0) this.#shards[at] = undefined;
  }
}

function shardOf(key: string): number {
  let hash = SEED;
  for (let i = Math.max(0, key.length - HASHED_BYTES); i < key.length; i += 1)
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) & (SHARDS - 1);
}
