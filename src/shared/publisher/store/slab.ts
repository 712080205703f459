/**
 * Storage of keys with their desired values: blocks of a few size classes, carved out of large buffers.
 *
 * A string and a buffer object for each of a million keys would cost more than most of the values, and the garbage collector would
 * have to visit all of them. A freed block is reused for the next one of its class; an empty slab is released. A class that is mostly
 * empty is compacted: its sparsest slabs accept no more blocks, and owners of their blocks move them with `relocate`, at their own pace.
 */

const SLAB_BYTES = 256 * 1024;
const SMALLEST_BLOCK = 48;
const LARGEST_BLOCK = 64 * 1024;

/** Slabs' worth of unused blocks that a class may have in any case. */
const SPARE_SLABS = 2;

/** Identifies a block, in 32 bits: the number of its class, and its number in the class. The caller keeps the length of what is in it. */
export type BlockHandle = number;

/** Bits of the number in a class: 67 million blocks. There are less than 64 classes. */
const NUMBER_BITS = 26;
const NUMBERS = 2 ** NUMBER_BITS;

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

  allocate(): number {
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
    return at * this.#perSlab + block;
  }

  bufferOf(number: number): Buffer {
    return this.#slabOf(number).buffer;
  }

  /** Where the block begins in its buffer. */
  offsetOf(number: number): number {
    return (number % this.#perSlab) * this.blockBytes;
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
    if ((at + 1) * this.#perSlab > NUMBERS) throw new RangeError(`more than ${NUMBERS} values of ${this.blockBytes} bytes`);
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

/** Blocks above the largest class, each a buffer of its own. */
const LARGE_CLASS = 2 ** (32 - NUMBER_BITS) - 1;

export class SlabStore {
  readonly #classes = sizeClasses();
  readonly #large = new Map<number, Buffer>();
  #largeBytes = 0;
  #nextLarge = 0;
  #compacted: readonly SizeClass[] = [];

  /** Bytes of all slabs, and of blocks that are too large for a slab. */
  get residentBytes(): number {
    return this.#classes.reduce((sum, { residentBytes }) => sum + residentBytes, this.#largeBytes);
  }

  /** Some class is mostly empty: a compaction would give memory back. */
  get isSparse(): boolean {
    return this.#classes.some(({ isSparse }) => isSparse);
  }

  /** A block with room for `bytes`. What it contains is not defined. */
  allocate(bytes: number): BlockHandle {
    if (bytes > LARGEST_BLOCK) return this.#allocateLarge(bytes);
    const index = this.#classIndex(bytes);
    return handleOf(index, this.#class(index).allocate());
  }

  /** The block is the one that `allocate` would choose for `bytes`. */
  fits(handle: BlockHandle, bytes: number): boolean {
    const index = classOf(handle);
    return index === LARGE_CLASS
      ? this.#largeOf(handle).length === bytes
      : bytes <= LARGEST_BLOCK && index === this.#classIndex(bytes);
  }

  /** The bytes of the block from `start` to `end`, as a view: valid until the block is written, freed or relocated. */
  view(handle: BlockHandle, start: number, end: number): Buffer {
    const offset = this.#offsetOf(handle);
    return this.#bufferOf(handle).subarray(offset + start, offset + end);
  }

  write(handle: BlockHandle, start: number, bytes: Uint8Array): void {
    this.#bufferOf(handle).set(bytes, this.#offsetOf(handle) + start);
  }

  /** Writes the characters of `text` from `from` on to the start of the block, a byte for each. */
  writeText(handle: BlockHandle, text: string, from: number): void {
    const buffer = this.#bufferOf(handle);
    const offset = this.#offsetOf(handle) - from;
    for (let at = from; at < text.length; at += 1) buffer[offset + at] = text.charCodeAt(at);
  }

  /** The first `length` bytes of the block, a character for each. */
  text(handle: BlockHandle, length: number): string {
    const offset = this.#offsetOf(handle);
    return this.#bufferOf(handle).toString('latin1', offset, offset + length);
  }

  /** The block starts with the characters of `text` from `from` on. */
  startsWith(handle: BlockHandle, text: string, from: number): boolean {
    const buffer = this.#bufferOf(handle);
    const offset = this.#offsetOf(handle) - from;
    // The last characters of keys differ more often than the first.
    for (let at = text.length - 1; at >= from; at -= 1) if (buffer[offset + at] !== text.charCodeAt(at)) return false;
    return true;
  }

  free(handle: BlockHandle): void {
    const index = classOf(handle);
    if (index !== LARGE_CLASS) {
      this.#class(index).free(numberOf(handle));
      return;
    }
    this.#largeBytes -= this.#largeOf(handle).length;
    this.#large.delete(numberOf(handle));
  }

  /** Starts to empty the sparsest slabs of mostly empty classes: every block must be relocated afterwards. */
  beginCompaction(): void {
    this.#compacted = this.#classes.filter(({ isSparse }) => isSparse);
    for (const sizeClass of this.#compacted) sizeClass.beginCompaction();
  }

  /** Moves the block, of which `length` bytes are used, if a compaction requires it; returns its new handle. */
  relocate(handle: BlockHandle, length: number): BlockHandle {
    const index = classOf(handle);
    if (index === LARGE_CLASS || !this.#class(index).isLeaving(numberOf(handle))) return handle;
    const moved = handleOf(index, this.#class(index).allocate());
    this.write(moved, 0, this.view(handle, 0, length));
    this.free(handle);
    return moved;
  }

  /** Slabs that still have blocks are used as before. */
  endCompaction(): void {
    for (const sizeClass of this.#compacted) sizeClass.endCompaction();
    this.#compacted = [];
  }

  #allocateLarge(bytes: number): BlockHandle {
    while (this.#large.has(this.#nextLarge)) this.#nextLarge = (this.#nextLarge + 1) % NUMBERS;
    const number = this.#nextLarge;
    this.#nextLarge = (number + 1) % NUMBERS;
    this.#large.set(number, Buffer.allocUnsafeSlow(bytes));
    this.#largeBytes += bytes;
    return handleOf(LARGE_CLASS, number);
  }

  #bufferOf(handle: BlockHandle): Buffer {
    const index = classOf(handle);
    return index === LARGE_CLASS ? this.#largeOf(handle) : this.#class(index).bufferOf(numberOf(handle));
  }

  #offsetOf(handle: BlockHandle): number {
    const index = classOf(handle);
    return index === LARGE_CLASS ? 0 : this.#class(index).offsetOf(numberOf(handle));
  }

  #largeOf(handle: BlockHandle): Buffer {
    return this.#large.get(numberOf(handle)) as Buffer;
  }

  #class(index: number): SizeClass {
    return this.#classes[index] as SizeClass;
  }

  #classIndex(bytes: number): number {
    let low = 0;
    let high = this.#classes.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#class(middle).blockBytes < bytes) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function handleOf(index: number, number: number): BlockHandle {
  return ((index << NUMBER_BITS) | number) >>> 0;
}

function classOf(handle: BlockHandle): number {
  return handle >>> NUMBER_BITS;
}

function numberOf(handle: BlockHandle): number {
  return handle & (NUMBERS - 1);
}
