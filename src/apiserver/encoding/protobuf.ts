/**
 * Writing of protobuf messages, as much of it as one message type needs: text, sub-messages, integers.
 *
 * Fields are written in the order of the calls. Absent is for the caller to decide: what is written here is
 * present on the wire, also a zero and an empty text. Bytes are collected as a string with one character per
 * byte, which costs a fraction of as many small buffers.
 */
const VARINT = 0;
const LENGTH_DELIMITED = 2;

// biome-ignore lint/suspicious/noControlCharactersInRegex: the test is exactly "only ASCII"
const ASCII = /^[\x00-\x7f]*$/;

export class ProtobufWriter {
  #bytes = '';

  text(field: number, text: string): this {
    return this.#delimited(field, ASCII.test(text) ? text : Buffer.from(text).toString('latin1'));
  }

  message(field: number, message: ProtobufWriter): this {
    return this.#delimited(field, message.#bytes);
  }

  boolean(field: number, value: boolean): this {
    return this.integer(field, value ? 1 : 0);
  }

  /** A uint32 or int32; a negative one takes ten bytes, as its sign extends to 64 bits. */
  integer(field: number, value: number): this {
    this.#bytes += tag(field, VARINT) + (value < 0 ? negativeVarint(value) : varint(value));
    return this;
  }

  finish(): Buffer {
    return Buffer.from(this.#bytes, 'latin1');
  }

  #delimited(field: number, bytes: string): this {
    this.#bytes += tag(field, LENGTH_DELIMITED) + varint(bytes.length) + bytes;
    return this;
  }
}

function tag(field: number, wireType: number): string {
  return varint(field * 8 + wireType);
}

function varint(value: number): string {
  let bytes = '';
  let rest = value;
  while (rest > 0x7f) {
    bytes += String.fromCharCode((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return bytes + String.fromCharCode(rest);
}

function negativeVarint(value: number): string {
  let bytes = '';
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 0x7fn) {
    bytes += String.fromCharCode(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return bytes + String.fromCharCode(Number(rest));
}
