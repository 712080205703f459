/**
 * Splits the body of a Kubernetes list into its items while it arrives.
 *
 * A list from the watch cache ignores the page size, so the body may contain every object of the
 * cluster: parsed at once, it would block the event loop for seconds and could exceed the maximum length of a
 * string. Here each item is extracted as bytes, to be decoded alone; the remaining envelope with kind
 * and metadata, is small.
 */

import { KubeDecodeError } from '../errors.ts';
import { MAX_KUBE_ENVELOPE_BYTES, MAX_KUBE_OBJECT_BYTES } from '../limits.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const WHITESPACE = new Set([0x20, 0x09, 0x0a, 0x0d]);

const ITEMS = Buffer.from('items');
/** Depth inside the array of items, between two of them. */
const ITEMS_DEPTH = 2;

/** Collects the pieces of one text up to a bound. */
class Pieces {
  readonly #limitBytes: number;
  readonly #what: string;
  #pieces: Buffer[] = [];
  #sizeBytes = 0;

  constructor(limitBytes: number, what: string) {
    this.#limitBytes = limitBytes;
    this.#what = what;
  }

  add(piece: Buffer): void {
    this.#sizeBytes += piece.length;
    if (this.#sizeBytes > this.#limitBytes) throw new KubeDecodeError(`${this.#what} is longer than ${this.#limitBytes} bytes`);
    this.#pieces.push(piece);
  }

  /** Everything added since the last call. */
  take(): Buffer {
    const [first] = this.#pieces;
    const joined = first !== undefined && this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces, this.#sizeBytes);
    this.#pieces = [];
    this.#sizeBytes = 0;
    return joined;
  }
}

export class ListItemSplitter {
  readonly #envelope = new Pieces(MAX_KUBE_ENVELOPE_BYTES, 'the metadata of a list');
  readonly #item = new Pieces(MAX_KUBE_OBJECT_BYTES, 'an object of a list');
  #depth = 0;
  /** The start of the current item or envelope part in the current chunk. */
  #start = 0;
  #inItems = false;
  #inString = false;
  #isEscaped = false;
  /** Bytes of the current top-level string that agree with `items`; -1 once one does not. */
  #keyMatch = -1;

  /** The items that `chunk` completes, each as the bytes of its JSON. Throws KubeDecodeError. */
  *push(chunk: Buffer): Generator<Buffer, void, void> {
    this.#start = 0;
    for (let end = this.#scan(chunk, 0); end !== -1; end = this.#scan(chunk, end)) {
      this.#item.add(chunk.subarray(this.#start, end));
      yield this.#item.take();
    }
    if (!this.#inItems) this.#envelope.add(chunk.subarray(this.#start));
    else if (this.#depth > ITEMS_DEPTH) this.#item.add(chunk.subarray(this.#start));
  }

  /** The list without its items, parsed. Throws KubeDecodeError where the body ended early or is not JSON. */
  finish(): unknown {
    if (this.#depth !== 0 || this.#inString) throw new KubeDecodeError('the body of a list ended early');
    try {
      return JSON.parse(this.#envelope.take().toString());
    } catch {
      throw new KubeDecodeError('the body of a list is not JSON');
    }
  }

  /** Reads on from `from`, to the end of the next item or, with -1, to the end of the chunk. */
  #scan(chunk: Buffer, from: number): number {
    for (let i = from; i < chunk.length; i += 1) {
      if (this.#inString) {
        i = this.#skipString(chunk, i);
        continue;
      }
      const byte = chunk[i] as number;
      if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        this.#open(chunk, i, byte);
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
        if (this.#close(i)) return i + 1;
      } else if (this.#inItems && this.#depth === ITEMS_DEPTH && byte !== COMMA && !WHITESPACE.has(byte)) {
        throw new KubeDecodeError('a list has an item that is not an object');
      } else if (byte === QUOTE) {
        this.#inString = true;
        this.#keyMatch = this.#depth === 1 ? 0 : -1;
      }
    }
    return -1;
  }

  #open(chunk: Buffer, at: number, byte: number): void {
    this.#depth += 1;
    if (byte === OPEN_ARRAY && this.#depth === ITEMS_DEPTH && this.#keyMatch === ITEMS.length) {
      this.#envelope.add(chunk.subarray(this.#start, at + 1));
      this.#inItems = true;
    } else if (this.#inItems && this.#depth === ITEMS_DEPTH + 1) {
      this.#start = at;
    }
  }

  /** True where the bracket at `at` ends an item. */
  #close(at: number): boolean {
    this.#depth -= 1;
    if (this.#depth < 0) throw new KubeDecodeError('unbalanced brackets in a list');
    if (this.#inItems && this.#depth < ITEMS_DEPTH) {
      this.#inItems = false;
      this.#start = at;
    }
    return this.#inItems && this.#depth === ITEMS_DEPTH;
  }

  /** Where the string that covers `from` ends, or the end of the chunk. Most bytes of a list pass through here. */
  #skipString(chunk: Buffer, from: number): number {
    const end = chunk.length;
    let keyMatch = this.#keyMatch;
    let isEscaped = this.#isEscaped;
    let i = from;
    for (; i < end; i += 1) {
      const byte = chunk[i];
      if (isEscaped) isEscaped = false;
      else if (byte === BACKSLASH) isEscaped = true;
      else if (byte === QUOTE) break;
      if (keyMatch >= 0) keyMatch = byte === ITEMS[keyMatch] ? keyMatch + 1 : -1;
    }
    this.#keyMatch = keyMatch;
    this.#isEscaped = isEscaped;
    this.#inString = i === end;
    return i;
  }
}
