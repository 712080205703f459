/**
 * Storage of the desired values: blocks of a few size classes, carved out of large buffers.
 *
 * A buffer object for each of a million values would cost more than most of the values. A freed block is reused for the next
 * value of its class; an empty slab is released. A class that is mostly empty is compacted: its sparsest
 * slabs accept no more values, and owners of their blocks move them with `relocate`, at their own pace.
 */

const SLAB_BYTES = 256 * 1024;
const SMALLEST_BLOCK = 32;
const LARGEST_BLOCK = 64 * 1024;

/** Slabs' worth of unused blocks that a class may have in any case. */
const SPARE_SLABS = 2;

/** Identifies a block; the caller keeps the length of the value. */
export type BlockHandle = number;

/** No block: the key has no value. */
export const NO_BLOCK: BlockHandle = -1;

/** Handles are `class * CLASS_STRIDE + number`, exact in a double. */
const CLASS_STRIDE = 2 ** 32;

/** End of a list of free blocks. */
const NONE = 0xffffffff;

interface Slab {
  readonly buffer: Buffer;
  /** Blocks in use. */
  used: number;
  /** Blocks that were ever in use: beyond them none is in the list of free ones. */
  carved: number;
  /** The first free block; each has the number of the next in its first bytes. */
  firstFree: number;
  /** It takes no values: those that it has are moved elsewhere. */
  isLeaving: boolean;
}

class SizeClass {
  readonly blockBytes: number;
  readonly #perSlab: number;
  readonly #slabs: (Slab | undefined)[] = [];
  readonly #freeNumbers: number[] = [];
  /** Slabs with room; some may be full or released since, or occur twice. */
  #withRoom: number[] = [];
  #slabCount = 0;
  #used = 0;

  constructor(blockBytes: number) {
    this.blockBytes = blockBytes;
    this.#perSlab = Math.floor(SLAB_BYTES / blockBytes);
  }

  get residentBytes(): number {
    return this.#slabCount * this.#perSlab * this.blockBytes;
  }

  /** Less than half of its blocks are in use, and more than a few slabs could go. */
  get isSparse(): boolean {
    const blocks = this.#slabCount * this.#perSlab;
    return this.#used * 2 < blocks && blocks - this.#used >= SPARE_SLABS * this.#perSlab;
  }

  put(bytes: Uint8Array): number {
    const at = this.#slabWithRoom();
    const slab = this.#slabs[at] as Slab;
    let block = slab.firstFree;
    if (block === NONE) {
      block = slab.carved;
      slab.carved += 1;
    } else {
      slab.firstFree = slab.buffer.readUInt32LE(block * this.blockBytes);
    }
    slab.used += 1;
    this.#used += 1;
    slab.buffer.set(bytes, block * this.blockBytes);
    return at * this.#perSlab + block;
  }

  view(number: number, length: number): Buffer {
    const offset = (number % this.#perSlab) * this.blockBytes;
    return this.#slabOf(number).buffer.subarray(offset, offset + length);
  }

  isLeaving(number: number): boolean {
    return this.#slabOf(number).isLeaving;
  }

  free(number: number): void {
    const at = Math.floor(number / this.#perSlab);
    const slab = this.#slabs[at] as Slab;
    const block = number % this.#perSlab;
    this.#used -= 1;
    slab.used -= 1;
    if (slab.used === 0) {
      this.#slabs[at] = undefined;
      this.#slabCount -= 1;
      this.#freeNumbers.push(at);
      return;
    }
    const wasFull = slab.firstFree === NONE && slab.carved === this.#perSlab;
    slab.buffer.writeUInt32LE(slab.firstFree, block * this.blockBytes);
    slab.firstFree = block;
    if (wasFull && !slab.isLeaving) this.#withRoom.push(at);
  }

  /** Keeps as many of the fullest slabs as the values need; the others accept no more values. */
  beginCompaction(): void {
    const slabs = this.#slabs.filter((slab) => slab !== undefined).sort((a, b) => b.used - a.used);
    for (const slab of slabs.slice(Math.ceil(this.#used / this.#perSlab))) slab.isLeaving = true;
  }

  endCompaction(): void {
    this.#withRoom = [];
    for (const [at, slab] of this.#slabs.entries()) {
      if (slab === undefined) continue;
      slab.isLeaving = false;
      if (this.#hasRoom(slab)) this.#withRoom.push(at);
    }
  }

  #slabWithRoom(): number {
    for (let at = this.#withRoom.at(-1); at !== undefined; at = this.#withRoom.at(-1)) {
      const slab = this.#slabs[at];
      if (slab !== undefined && !slab.isLeaving && this.#hasRoom(slab)) return at;
      this.#withRoom.pop();
    }
    const at = this.#freeNumbers.pop() ?? this.#slabs.length;
    const buffer = Buffer.allocUnsafeSlow(this.#perSlab * this.blockBytes);
    this.#slabs[at] = { buffer, used: 0, carved: 0, firstFree: NONE, isLeaving: false };
    this.#slabCount += 1;
    this.#withRoom.push(at);
    return at;
  }

  #hasRoom(slab: Slab): boolean {
    return slab.firstFree !== NONE || slab.carved < this.#perSlab;
  }

  #slabOf(number: number): Slab {
    return this.#slabs[Math.floor(number / this.#perSlab)] as Slab;
  }
}

function sizeClasses(): SizeClass[] {
  const classes: SizeClass[] = [];
  for (let size = SMALLEST_BLOCK; size < LARGEST_BLOCK; size = Math.ceil((size * 9) / 8)) classes.push(new SizeClass(size));
  classes.push(new SizeClass(LARGEST_BLOCK));
  return classes;
}

export class SlabStore {
  readonly #classes = sizeClasses();
  /** Values above the largest class, each a buffer of its own. */
  readonly #large = new Map<number, Buffer>();
  #largeBytes = 0;
  #nextLarge = 0;
  #compacted: readonly SizeClass[] = [];

  /** Bytes of all slabs, and of values that are too large for a slab. */
  get residentBytes(): number {
    return this.#classes.reduce((sum, { residentBytes }) => sum + residentBytes, this.#largeBytes);
  }

  /** Some class is mostly empty: a compaction would give memory back. */
  get isSparse(): boolean {
    return this.#classes.some(({ isSparse }) => isSparse);
  }

  /** Copies `bytes` into a block. */
  put(bytes: Uint8Array): BlockHandle {
    if (bytes.length > LARGEST_BLOCK) return this.#putLarge(bytes);
    const index = this.#classIndex(bytes.length);
    return index * CLASS_STRIDE + this.#class(index).put(bytes);
  }

  /** The first `length` bytes of the block, as a view: valid until the block is freed or relocated. */
  view(handle: BlockHandle, length: number): Buffer {
    const large = handle - this.#classes.length * CLASS_STRIDE;
    if (large >= 0) return (this.#large.get(large) as Buffer).subarray(0, length);
    return this.#class(Math.floor(handle / CLASS_STRIDE)).view(handle % CLASS_STRIDE, length);
  }

  free(handle: BlockHandle): void {
    const large = handle - this.#classes.length * CLASS_STRIDE;
    if (large < 0) {
      this.#class(Math.floor(handle / CLASS_STRIDE)).free(handle % CLASS_STRIDE);
      return;
    }
    this.#largeBytes -= this.#large.get(large)?.length ?? 0;
    this.#large.delete(large);
  }

  /** Starts to empty the sparsest slabs of mostly empty classes: every block must be relocated afterwards. */
  beginCompaction(): void {
    this.#compacted = this.#classes.filter(({ isSparse }) => isSparse);
    for (const sizeClass of this.#compacted) sizeClass.beginCompaction();
  }

  /** Moves the block if a compaction requires it; returns its new handle. `length` as in `view`. */
  relocate(handle: BlockHandle, length: number): BlockHandle {
    const index = Math.floor(handle / CLASS_STRIDE);
    if (index >= this.#classes.length) return handle;
    const sizeClass = this.#class(index);
    const number = handle % CLASS_STRIDE;
    if (!sizeClass.isLeaving(number)) return handle;
    const moved = sizeClass.put(sizeClass.view(number, length));
    sizeClass.free(number);
    return index * CLASS_STRIDE + moved;
  }

  /** Slabs that still have blocks are used as before. */
  endCompaction(): void {
    for (const sizeClass of this.#compacted) sizeClass.endCompaction();
    this.#compacted = [];
  }

  #putLarge(bytes: Uint8Array): BlockHandle {
    const number = this.#nextLarge;
    this.#nextLarge += 1;
    this.#large.set(number, Buffer.from(bytes));
    this.#largeBytes += bytes.length;
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
