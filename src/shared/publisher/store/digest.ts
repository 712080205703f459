/**
 * A 64-bit digest of a value, as two 32-bit words.
 *
 * It answers one question: does etcd have these bytes already? Each process uses its own random seed,
 * since digests never leave it, so that a remote cannot choose values with collisions.
 */
import { randomBytes } from 'node:crypto';

const seed = randomBytes(8);
const SEED_LOW = seed.readUInt32LE(0);
const SEED_HIGH = seed.readUInt32LE(4);

export interface Digest {
  low: number;
  high: number;
}

/** Writes the digest of `bytes` into `into`, which is returned: the hot path makes no object a value. */
export function digest(bytes: Uint8Array, into: Digest): Digest {
  const { length } = bytes;
  const words = length & ~3;
  let low = SEED_LOW ^ length;
  let high = SEED_HIGH + length;
  for (let i = 0; i < words; i += 4) {
    const word =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    low = Math.imul(low ^ Math.imul(word, 0xcc9e2d51), 0x1b873593);
    low ^= low >>> 15;
    high = Math.imul((high << 13) | (high >>> 19), 5) + Math.imul(word ^ 0x85ebca6b, 0xc2b2ae35);
  }
  for (let i = words; i < length; i += 1) {
    low = Math.imul(low ^ (bytes[i] as number), 0x01000193);
    high = Math.imul(high + (bytes[i] as number), 0x85ebca6b) ^ (high >>> 13);
  }
  into.low = finish(low ^ (high >>> 7));
  into.high = finish(high ^ Math.imul(low, 0x9e3779b1));
  return into;
}

function finish(word: number): number {
  let h = word ^ (word >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
