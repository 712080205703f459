/**
 * JSON text exactly as written by Go's encoding/json.
 *
 * Readers parse the values, so the exact bytes matter only for one reason: in a fleet that mixes this
 * program with the original, equal state must be equal bytes, or every change of the writer would
 * rewrite every key. Hence maps are sorted bytewise, and text is escaped as in Go.
 *
 * Text is built by hand rather than with `JSON.stringify` of objects, because JavaScript moves
 * integer-like names (a port called `8080`) to the front and handles `__proto__` specially.
 */

/** A piece of finished JSON text. */
declare const jsonBrand: unique symbol;
export type Json = string & { readonly [jsonBrand]: true };

export const JSON_NULL = 'null' as Json;

const BEYOND_JSON_STRINGIFY = /[<>&\u2028\u2029]/;
const BEYOND_JSON_STRINGIFY_ALL = /[<>&\u2028\u2029]/g;

/** Nothing of this has to be escaped: most of what is written. */
const PLAIN = /^[ !#-%'-;=?-[\]-~]*$/;

/** `text` in quotes. A lone surrogate, which no UTF-8 can carry, becomes U+FFFD. */
export function jsonText(text: string): Json {
  if (PLAIN.test(text)) return `"${text}"` as Json;
  const quoted = JSON.stringify(text.toWellFormed());
  if (!BEYOND_JSON_STRINGIFY.test(quoted)) return quoted as Json;
  return quoted.replace(
    BEYOND_JSON_STRINGIFY_ALL,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  ) as Json;
}

/** `value`, an integer. */
export function jsonInteger(value: number): Json {
  return String(value) as Json;
}

export function jsonBoolean(value: boolean): Json {
  return String(value) as Json;
}

/** A struct: fields in the order given, those that are undefined left out. */
export function jsonStruct(fields: Readonly<Record<string, Json | undefined>>): Json {
  let text = '';
  for (const name in fields) {
    const value = fields[name];
    if (value !== undefined) text += `${text === '' ? '' : ','}"${name}":${value}`;
  }
  return `{${text}}` as Json;
}

/** A map: names sorted bytewise. Where two names are equal the last one wins. */
export function jsonMap(entries: Iterable<readonly [name: string, value: Json]>): Json {
  const sorted = [...new Map(entries)].sort(([a], [b]) => compareBytes(a, b));
  return `{${sorted.map(([name, value]) => `${jsonText(name)}:${value}`).join(',')}}` as Json;
}

/** A map from text to text. */
export function jsonTextMap(map: Readonly<Record<string, string>>): Json {
  return jsonMap(Object.entries(map).map(([name, value]) => [name, jsonText(value)] as const));
}

/** A list, order kept. */
export function jsonList(items: readonly Json[]): Json {
  return `[${items.join(',')}]` as Json;
}

/**
 * The order of the UTF-8 bytes of `a` and `b`, for sorting.
 *
 * It is the order of their UTF-16 units except if a surrogate is compared with a character from U+E000 up:
 * the pair encodes a character beyond U+FFFF and comes later.
 */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return byteRank(left) - byteRank(right);
  }
  return a.length - b.length;
}

function byteRank(unit: number): number {
  const isSurrogate = unit >= 0xd800 && unit <= 0xdfff;
  return isSurrogate ? unit + 0x10000 : unit;
}
