/**
 * Where the desired values live: blocks of a few size classes, carved out of large buffers.
 *
 * A buffer object for each of a million values would cost more than most of the values. A freed block
 * serves the next value of its class, so memory follows the largest state held, with at most an eighth of
 * a block unused, and nothing ever has to be moved.
 */

const SLAB_BYTES = 256 * 1024;
const SMALLEST_BLOCK = 32;
const LARGEST_BLOCK = 64 * 1024;

/** Names a block; the caller keeps the length of what it put there. */
export type BlockHandle = number;

/** No block: the key has no value. */
export const NO_BLOCK: BlockHandle = -1;

/** Handles are `class * CLASS_STRIDE + number`, exact in a double. */
const CLASS_STRIDE = 2 ** 32;

interface SizeClass {
  readonly blockBytes: number;
  readonly perSlab: number;
  readonly slabs: Buffer[];
  readonly free: number[];
  carved: number;
}

function sizeClasses(): SizeClass[] {
  const classes: SizeClass[] = [];
  for (let size = SMALLEST_BLOCK; size < LARGEST_BLOCK; size = Math.ceil((size * 9) / 8)) classes.push(sizeClass(size));
  classes.push(sizeClass(LARGEST_BLOCK));
  return classes;
}

function sizeClass(blockBytes: number): SizeClass {
  return { blockBytes, perSlab: Math.floor(SLAB_BYTES / blockBytes), slabs: [], free: [], carved: 0 };
}

export class SlabStore {
  readonly #classes = sizeClasses();
  /** Values above the largest class, each a buffer of its own. */
  readonly #large: (Buffer | undefined)[] = [];
  readonly #freeLarge: number[] = [];

  /** Copies `bytes` into a block. */
  put(bytes: Uint8Array): BlockHandle {
    if (bytes.length > LARGEST_BLOCK) return this.#putLarge(bytes);
    const index = this.#classIndex(bytes.length);
    const sizeClass = this.#class(index);
    const number = sizeClass.free.pop() ?? sizeClass.carved++;
    const slabIndex = Math.floor(number / sizeClass.perSlab);
    let slab = sizeClass.slabs[slabIndex];
    if (slab === undefined) {
      slab = Buffer.allocUnsafeSlow(sizeClass.perSlab * sizeClass.blockBytes);
      sizeClass.slabs.push(slab);
    }
    slab.set(bytes, (number % sizeClass.perSlab) * sizeClass.blockBytes);
    return index * CLASS_STRIDE + number;
  }

  /** The first `length` bytes of the block, as a view: valid until the block is freed. */
  view(handle: BlockHandle, length: number): Buffer {
    const index = Math.floor(handle / CLASS_STRIDE);
    const number = handle % CLASS_STRIDE;
    if (index === this.#classes.length) return (this.#large[number] as Buffer).subarray(0, length);
    const { slabs, perSlab, blockBytes } = this.#class(index);
    const offset = (number % perSlab) * blockBytes;
    return (slabs[Math.floor(number / perSlab)] as Buffer).subarray(offset, offset + length);
  }

  free(handle: BlockHandle): void {
    const index = Math.floor(handle / CLASS_STRIDE);
    const number = handle % CLASS_STRIDE;
    if (index === this.#classes.length) {
      this.#large[number] = undefined;
      this.#freeLarge.push(number);
      return;
    }
    this.#class(index).free.push(number);
  }

  #putLarge(bytes: Uint8Array): BlockHandle {
    const number = this.#freeLarge.pop() ?? this.#large.length;
    this.#large[number] = Buffer.from(bytes);
    return this.#classes.length * CLASS_STRIDE + number;
  }

  #class(index: number): SizeClass {
    return this.#classes[index] as SizeClass;
  }

  #classIndex(length: number): number {
    let low = 0;
    let high = this.#classes.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#class(middle).blockBytes < length) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
