/** New inputs made of old ones, as fuzzers make them. */

/** Larger inputs are cut: what is decided by size has tests of its own. */
const MAX_INPUT_BYTES = 4096;

const INTERESTING = [0, 1, 0x0a, 0x12, 0x22, 0x27, 0x2c, 0x3a, 0x5b, 0x5c, 0x7b, 0x7d, 0x7f, 0x80, 0xfe, 0xff];

/** Uniform in [0, below). */
export type Random = (below: number) => number;

/** A generator that a seed repeats: mulberry32. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** `input` with a few changes; pieces come from `corpus` and from `words`, which mean something to what reads the input. */
export function mutated(input: Buffer, corpus: readonly Buffer[], words: readonly string[], random: Random): Buffer {
  let bytes: Buffer = input;
  for (let changes = 1 + random(6); changes > 0; changes -= 1) bytes = changed(bytes, corpus, words, random);
  return bytes.subarray(0, MAX_INPUT_BYTES);
}

function changed(bytes: Buffer, corpus: readonly Buffer[], words: readonly string[], random: Random): Buffer {
  const at = random(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + random(16));
  const spliced = (middle: Buffer, to = at) => Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(to)]);
  switch (random(9)) {
    case 0:
      return at < bytes.length ? spliced(Buffer.of((bytes[at] as number) ^ (1 << random(8))), at + 1) : bytes;
    case 1:
      return spliced(Buffer.of(INTERESTING[random(INTERESTING.length)] as number), Math.min(bytes.length, at + 1));
    case 2:
      return spliced(Buffer.of(random(256)));
    case 3:
      return spliced(Buffer.alloc(0), end);
    case 4:
      return spliced(bytes.subarray(at, end));
    case 5: {
      const other = corpus[random(corpus.length)] as Buffer;
      const from = random(other.length + 1);
      return spliced(other.subarray(from, from + 1 + random(64)));
    }
    case 6: {
      const piece = bytes.subarray(at, end);
      return spliced(Buffer.concat(Array.from({ length: 1 + random(32) }, () => piece)));
    }
    case 7:
      return bytes.subarray(0, at);
    default:
      return words.length === 0 ? bytes : spliced(Buffer.from(words[random(words.length)] as string));
  }
}

/** The smallest part of `input` that is found for which `fails` still holds: halves, quarters and so on are left out as long as it does. */
export async function minimized(input: Buffer, fails: (candidate: Buffer) => Promise<boolean>): Promise<Buffer> {
  let smallest = input;
  for (let size = Math.ceil(input.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < smallest.length; ) {
      const candidate = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + size)]);
      if (await fails(candidate)) smallest = candidate;
      else at += size;
    }
  }
  return smallest;
}
