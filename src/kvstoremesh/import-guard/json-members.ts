/**
 * Finds given members of a JSON object without parsing the rest.
 *
 * A remote writes the values: they may be long, deep or broken. One pass over the bytes with a depth counter costs the same
 * for all of them. The readers are Go programs: member names match in any letter case and the last occurrence wins, so
 * every occurrence is reported.
 */

/** Calls for each member whose name is `names[index]`: its value is `json[from, to)`. */
export type MemberVisitor = (index: number, from: number, to: number) => void;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const SLASH = 0x2f;
const SMALL_K = 0x6b;
const SMALL_S = 0x73;
const SMALL_U = 0x75;
const LONG_S = 0x17f;
const KELVIN = 0x212a;
const LOWER_CASE = 0x20;

const BROKEN = -1;

/**
 * The members of an object, one after another: a loop over them calls nothing for a member that it does not want. The name of the
 * present one, without the quotes, is `json[nameFrom, nameTo)`, its value `json[from, to)`.
 */
export class MemberCursor {
  nameFrom = 0;
  nameTo = 0;
  /** The name is ASCII without escapes. */
  isPlainName = true;
  from = 0;
  to = 0;
  /** All was read, and it was an object; its values are not validated. */
  isComplete = false;
  #at = 0;
  #end = 0;
  #isFirst = true;

  /** The object is `json[start, end)`. */
  open(json: Buffer, start: number, end: number): void {
    const from = afterSpace(json, start);
    this.#at = json[from] === OPEN_OBJECT ? afterSpace(json, from + 1) : BROKEN;
    this.#end = end;
    this.#isFirst = true;
    this.isComplete = false;
  }

  /** False where there is none left, or no further one can be read. `json` as for `open`. */
  next(json: Buffer): boolean {
    let at = this.#at;
    if (at === BROKEN) return false;
    this.#at = BROKEN;
    if (json[at] === CLOSE_OBJECT) {
      this.isComplete = isEnd(json, at + 1, this.#end);
      return false;
    }
    if (this.#isFirst) this.#isFirst = false;
    else {
      if (json[at] !== COMMA) return false;
      at = afterSpace(json, at + 1);
    }
    if (json[at] !== QUOTE) return false;
    const nameFrom = at + 1;
    let bits = 0;
    let hasEscape = false;
    for (at = nameFrom; json[at] !== QUOTE; at += 1) {
      if (at >= json.length) return false;
      const byte = json[at] as number;
      bits |= byte;
      if (byte !== BACKSLASH) continue;
      hasEscape = true;
      at += 1;
    }
    const nameTo = at;
    at = afterSpace(json, at + 1);
    if (json[at] !== COLON) return false;
    const from = afterSpace(json, at + 1);
    at = afterValue(json, from);
    if (at === BROKEN) return false;
    this.isPlainName = bits < 0x80 && !hasEscape;
    this.nameFrom = nameFrom;
    this.nameTo = nameTo;
    this.from = from;
    this.to = at;
    this.#at = afterSpace(json, at);
    return true;
  }
}

/** Not reentrant: a visitor may use another one. */
export class JsonMembers {
  readonly #names: readonly string[];
  /** The places of the names with that many letters. */
  readonly #ofLength: readonly (readonly number[])[];
  readonly #scratch: Buffer;
  readonly #members = new MemberCursor();

  /** `names`: ASCII letters and digits, in lower case. */
  constructor(...names: readonly string[]) {
    this.#names = names;
    const longest = Math.max(...names.map(({ length }) => length));
    this.#ofLength = Array.from({ length: longest + 1 }, (_, length) =>
      names.flatMap((name, index) => (name.length === length ? [index] : [])),
    );
    this.#scratch = Buffer.alloc(longest);
  }

  /**
   * False where `json`, or its part from `start` to `end`, is not a JSON object; members before the error may have been
   * reported. Other values are not validated.
   */
  scan(json: Buffer, visit: MemberVisitor, start = 0, end = json.length): boolean {
    const members = this.#members;
    members.open(json, start, end);
    while (members.next(json)) {
      const index = this.#find(json);
      if (index >= 0) visit(index, members.from, members.to);
    }
    return members.isComplete;
  }

  #find(json: Buffer): number {
    const { nameFrom, nameTo, isPlainName } = this.#members;
    const length = nameTo - nameFrom;
    if (length < this.#ofLength.length) {
      const candidates = this.#ofLength[length] as readonly number[];
      for (let at = 0; at < candidates.length; at += 1) {
        const index = candidates[at] as number;
        if (isSameWord(json, nameFrom, this.#names[index] as string)) return index;
      }
    }
    if (isPlainName) return -1;
    const decoded = asciiOf(json, nameFrom, nameTo, this.#scratch, true);
    return this.#names.findIndex((name) => name.length === decoded && isSameWord(this.#scratch, 0, name));
  }
}

/** Calls for each element of the list `json[start, end)`: it is `json[from, to)`. False where that is no list. */
export function eachElement(json: Buffer, visit: (from: number, to: number) => void, start: number, end: number): boolean {
  let at = afterSpace(json, start);
  if (json[at] !== OPEN_LIST) return false;
  at = afterSpace(json, at + 1);
  if (json[at] === CLOSE_LIST) return isEnd(json, at + 1, end);
  for (;;) {
    const from = at;
    at = afterValue(json, from);
    if (at === BROKEN) return false;
    visit(from, at);
    at = afterSpace(json, at);
    if (json[at] === CLOSE_LIST) return isEnd(json, at + 1, end);
    if (json[at] !== COMMA) return false;
    at = afterSpace(json, at + 1);
  }
}

function isEnd(json: Buffer, at: number, end: number): boolean {
  return at === end || afterSpace(json, at) === end;
}

/**
 * The bytes of the string whose content is `json[from, to)`, its escapes resolved, in `into`; how many they are. Less
 * than 0 where they are not all ASCII, or more than there is room for. `folding`: also the two letters beyond ASCII
 * that Go takes for letters of ASCII in another case.
 */
export function asciiOf(json: Buffer, from: number, to: number, into: Buffer, folding = false): number {
  let length = 0;
  for (let at = from; at < to; length += 1) {
    if (length >= into.length) return -1;
    let code = json[at] as number;
    at += 1;
    if (code === BACKSLASH) {
      const kind = json[at] as number;
      at += 1;
      if (kind === SMALL_U) {
        code = hexOf(json, at, to);
        at += 4;
      } else {
        code = kind;
        if (kind !== QUOTE && kind !== BACKSLASH && kind !== SLASH) return -1;
      }
    } else if (code === 0xc5 && json[at] === 0xbf) {
      code = LONG_S;
      at += 1;
    } else if (code === 0xe2 && json[at] === 0x84 && json[at + 1] === 0xaa) {
      code = KELVIN;
      at += 2;
    } else if (code >= 0x80) {
      return -1;
    }
    if (folding && code === LONG_S) code = SMALL_S;
    if (folding && code === KELVIN) code = SMALL_K;
    if (code < 0 || code >= 0x80) return -1;
    into[length] = code;
  }
  return length;
}

/** Four hexadecimal digits; less than 0 for anything else. */
function hexOf(json: Buffer, from: number, to: number): number {
  let code = 0;
  for (let at = from; at < from + 4; at += 1) {
    const byte = at < to ? (json[at] as number) : 0;
    const letter = (byte | LOWER_CASE) - 0x61;
    const digit = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : letter >= 0 && letter < 6 ? letter + 10 : -1;
    if (digit < 0) return -1;
    code = code * 16 + digit;
  }
  return code;
}

/** The whole number `json[from, to)` from 0 to 2^32 - 1; undefined for anything else. */
export function uint32Of(json: Buffer, from: number, to: number): number | undefined {
  if (to - from > 10 || to === from || (json[from] === 0x30 && to - from > 1)) return undefined;
  let number = 0;
  for (let at = from; at < to; at += 1) {
    const digit = (json[at] as number) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    number = number * 10 + digit;
  }
  return number <= 0xffff_ffff ? number : undefined;
}

/** Go treats `null` like an absent member. */
export function isNull(json: Buffer, from: number, to: number): boolean {
  return to - from === 4 && json[from] === 0x6e && json[from + 1] === 0x75 && json[from + 2] === 0x6c && json[from + 3] === 0x6c;
}

/** ASCII without escapes. */
export function isPlain(json: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) {
    const byte = json[at] as number;
    if (byte === BACKSLASH || byte >= 0x80) return false;
  }
  return true;
}

function isSameWord(json: Buffer, from: number, word: string): boolean {
  for (let i = 0; i < word.length; i += 1) {
    if (((json[from + i] as number) | LOWER_CASE) !== word.charCodeAt(i)) return false;
  }
  return true;
}

function afterSpace(json: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const byte = json[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at += 1;
  }
}

/** Where the string that begins at `from` has ended. */
function afterString(json: Buffer, from: number): number {
  for (let at = from + 1; at < json.length; at += 1) {
    const byte = json[at];
    if (byte === QUOTE) return at + 1;
    if (byte === BACKSLASH) at += 1;
  }
  return BROKEN;
}

function afterValue(json: Buffer, from: number): number {
  const first = json[from];
  if (first === QUOTE) return afterString(json, from);
  if (first === OPEN_OBJECT || first === OPEN_LIST) return afterNested(json, from);
  let at = from;
  while (at < json.length && !isAfterScalar(json[at] as number)) at += 1;
  return at === from ? BROKEN : at;
}

function isAfterScalar(byte: number): boolean {
  return byte === COMMA || byte === CLOSE_OBJECT || byte === CLOSE_LIST || byte <= 0x20;
}

function afterNested(json: Buffer, from: number): number {
  let depth = 0;
  for (let at = from; at < json.length; at += 1) {
    const byte = json[at];
    if (byte === QUOTE) {
      at = afterString(json, at) - 1;
      if (at < 0) return BROKEN;
    } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      depth += 1;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return BROKEN;
}
