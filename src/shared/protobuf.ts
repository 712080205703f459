/**
 * Writes protobuf messages: those sent to etcd, and the value of an exported endpoint slice.
 *
 * Two levels. `varint`, `latin1` and `bytes` write content behind a tag that the caller has written, for the hot path. The
 * others write whole fields, in the order of the calls, zeros and empty texts too: the caller decides what is absent.
 */
const VARINT = 0;
const LENGTH_DELIMITED = 2;

/** Holds most messages; a larger one doubles its buffer. */
const DEFAULT_CAPACITY_BYTES = 64;

export class ProtobufWriter {
  #buffer: Buffer;
  #length = 0;

  /** `capacityBytes`: the size of the message, where it is known. */
  constructor(capacityBytes = DEFAULT_CAPACITY_BYTES) {
    this.#buffer = Buffer.allocUnsafe(capacityBytes);
  }

  text(field: number, text: string): this {
    const size = Buffer.byteLength(text);
    this.varint(field * 8 + LENGTH_DELIMITED);
    this.varint(size);
    this.#reserve(size);
    this.#length += this.#buffer.write(text, this.#length, 'utf8');
    return this;
  }

  /** Bytes as a string with one character each. */
  key(field: number, key: string): this {
    this.varint(field * 8 + LENGTH_DELIMITED);
    this.latin1(key);
    return this;
  }

  message(field: number, message: ProtobufWriter): this {
    this.varint(field * 8 + LENGTH_DELIMITED);
    this.bytes(message.finish());
    return this;
  }

  boolean(field: number, value: boolean): this {
    return this.integer(field, value ? 1 : 0);
  }

  /** An integer from -2^53 to 2^53; a negative one takes ten bytes, as its sign extends to 64 bits. */
  integer(field: number, value: number): this {
    this.varint(field * 8 + VARINT);
    if (value < 0) this.varint64(BigInt(value));
    else this.varint(value);
    return this;
  }

  integer64(field: number, value: bigint): this {
    this.varint(field * 8 + VARINT);
    this.varint64(value);
    return this;
  }

  /** From 0 to 2^53. */
  varint(value: number): void {
    this.#reserve(MAX_VARINT_BYTES);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length] = (rest % 128) | 0x80;
      this.#length += 1;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.#length] = rest;
    this.#length += 1;
  }

  varint64(value: bigint): void {
    const bytes = varint64(value);
    this.#reserve(bytes.length);
    this.#length += bytes.copy(this.#buffer, this.#length);
  }

  /** The length of `text` and its characters, one byte each. */
  latin1(text: string): void {
    this.varint(text.length);
    this.#reserve(text.length);
    this.#length += this.#buffer.write(text, this.#length, 'latin1');
  }

  /** The length of `bytes` and the bytes. */
  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** The message so far: a view, valid until the next call. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Room for `size` bytes more. */
  #reserve(size: number): void {
    const needed = this.#length + size;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** Of a value of 64 bits. */
export const MAX_VARINT_BYTES = 10;

/** Bytes that `value` takes as a varint. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

/** The last 64-bit value that was encoded: the keys of a transaction share few leases. */
let lastValue = 0n;
let lastVarint = Buffer.of(0);

/** A 64-bit `value` as a varint. */
function varint64(value: bigint): Buffer {
  if (value === lastValue) return lastVarint;
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  lastValue = value;
  lastVarint = Buffer.from(bytes);
  return lastVarint;
}

/** Bytes that a 64-bit `value` takes as a varint. */
export function varint64Size(value: bigint): number {
  return varint64(value).length;
}
