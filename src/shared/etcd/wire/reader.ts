/**
 * Reads the protobuf wire format, as little of it as etcd's messages need.
 *
 * Lengths and tags are numbers; 64-bit values are read as two halves, so that only leases and cluster IDs
 * become a bigint. Input that is truncated, overlong or of an unknown form is rejected
 * with MalformedResponseError.
 */
import { MalformedResponseError } from '../errors.ts';
import type { Revision } from '../types.ts';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

const TWO_32 = 2 ** 32;

/** A cursor over the part of `buffer` from `position` to `end`. */
export class WireReader {
  readonly buffer: Buffer;
  position: number;
  end: number;
  /** The halves of the last 64-bit value, unsigned. */
  low = 0;
  high = 0;

  /** How many fields may still be read: a message of nothing but empty fields would take seconds. */
  fieldsLeft: number;

  constructor(buffer: Buffer, position = 0, end = buffer.length, maxFields = Number.POSITIVE_INFINITY) {
    this.fieldsLeft = maxFields;
    this.buffer = buffer;
    this.position = position;
    this.end = end;
  }

  get done(): boolean {
    return this.position >= this.end;
  }

  /** Field number and wire type in one, as they travel. */
  tag(): number {
    const tag = this.uint32();
    if (tag < 8) throw new MalformedResponseError('field number 0');
    this.fieldsLeft -= 1;
    if (this.fieldsLeft < 0) throw new MalformedResponseError('too many fields');
    return tag;
  }

  /** A varint below 2^32: a tag, a length or a flag. */
  uint32(): number {
    const { buffer, end } = this;
    let at = this.position;
    if (at < end) {
      const first = buffer[at] as number;
      if (first < 0x80) {
        this.position = at + 1;
        return first;
      }
      at += 1;
      let value = first & 0x7f;
      for (let shift = 7; at < end && shift <= 28; shift += 7) {
        const byte = buffer[at] as number;
        at += 1;
        value += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) {
          if (value >= TWO_32) throw new MalformedResponseError('a length or tag of more than 32 bits');
          this.position = at;
          return value;
        }
      }
    }
    throw new MalformedResponseError(at >= end ? 'truncated' : 'a length or tag of more than 32 bits');
  }

  /** Reads a 64-bit varint into `low` and `high`. */
  varint64(): void {
    const { buffer, end } = this;
    let low = 0;
    let high = 0;
    let at = this.position;
    for (let shift = 0; at < end && shift < 70; shift += 7) {
      const byte = buffer[at] as number;
      const bits = byte & 0x7f;
      at += 1;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.position = at;
        // As numbers without a sign. Of the tenth byte one bit counts.
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw new MalformedResponseError(at >= end ? 'truncated' : 'a number of more than 64 bits');
  }

  /** A store's revision, or a count: from 0 to 2^53. */
  revision(): Revision {
    this.varint64();
    const value = this.high * TWO_32 + this.low;
    if (value > Number.MAX_SAFE_INTEGER) throw new MalformedResponseError('a revision below 0 or above 2^53');
    return value as Revision;
  }

  /** From -2^53 to 2^53. */
  int64(): number {
    this.varint64();
    const value = (this.high | 0) * TWO_32 + this.low;
    if (!Number.isSafeInteger(value)) throw new MalformedResponseError('a number beyond 2^53');
    return value;
  }

  uint64(): bigint {
    this.varint64();
    return (BigInt(this.high) << 32n) | BigInt(this.low);
  }

  bool(): boolean {
    this.varint64();
    return this.low !== 0 || this.high !== 0;
  }

  /** The end of a length-delimited field, whose content starts at `position`. */
  limit(): number {
    const length = this.uint32();
    const limit = this.position + length;
    if (limit > this.end) throw new MalformedResponseError('truncated');
    return limit;
  }

  /** A view, not a copy. */
  bytes(): Buffer {
    const limit = this.limit();
    const view = this.buffer.subarray(this.position, limit);
    this.position = limit;
    return view;
  }

  /** Bytes as a string with one character each. */
  latin1(): string {
    const limit = this.limit();
    const text = this.buffer.toString('latin1', this.position, limit);
    this.position = limit;
    return text;
  }

  /** The first `maxBytes` of a text. */
  text(maxBytes: number): string {
    const limit = this.limit();
    const text = this.buffer.toString('utf8', this.position, Math.min(limit, this.position + maxBytes));
    this.position = limit;
    return text;
  }

  /** Passes over the field that `tag` announced. */
  skip(tag: number): void {
    const type = tag & 7;
    if (type === VARINT) {
      this.varint64();
      return;
    }
    if (type === BYTES) {
      this.position = this.limit();
      return;
    }
    const size = type === FIXED64 ? 8 : type === FIXED32 ? 4 : undefined;
    if (size === undefined) throw new MalformedResponseError(`wire type ${type}`);
    if (this.position + size > this.end) throw new MalformedResponseError('truncated');
    this.position += size;
  }
}
