/**
 * Lists and maps, in the syntax of pflag on the command line and of cilium/hive in the environment.
 *
 * Both accept the other syntax too, if it is unambiguous: quoted fields in a variable, JSON on the
 * command line.
 */
import { asError } from '../errors.ts';
import { FlagError } from './error.ts';
import { type Kind, quoted, type Source } from './kinds.ts';

/** Split at commas, fields in quotes as in CSV; where that gives one part, at white space. Empty parts are none. */
export const listKind: Kind<readonly string[]> = {
  name: 'strings',
  parse(text) {
    const fields = readFields(text);
    if (fields === undefined) throw new FlagError(`${quoted(text)} has an unmatched quote; allowed: a,b or "a,b",c`);
    const parts = fields.length === 1 ? (fields[0] ?? '').split(/\s/) : fields;
    return parts.map((part) => part.trim()).filter((part) => part !== '');
  },
  format: (value) => `[${value.join(',')}]`,
  merge: (previous, next) => [...previous, ...next],
};

/** `key=value` separated by commas, or a JSON object of texts. */
export const mapKind: Kind<ReadonlyMap<string, string>> = {
  name: 'map',
  parse: (text, source) => new Map(/^\s*[[{]/.test(text) ? pairsOfJson(text) : pairsOfText(text, source).map(splitPair)),
  format: (value) => [...value].map(([key, item]) => `${key}=${item}`).join(','),
  merge: (previous, next) => new Map([...previous, ...next]),
};

function withoutQuotes(text: string): string {
  let [start, end] = [0, text.length];
  while (text[start] === '"') start += 1;
  while (end > start && text[end - 1] === '"') end -= 1;
  return text.slice(start, end);
}

function pairsOfVariable(text: string): readonly string[] {
  const pairs: string[] = [];
  for (const part of text.split(',')) {
    const last = pairs.length - 1;
    if (last < 0 || part.includes('=')) pairs.push(part);
    else pairs[last] += `,${part}`;
  }
  return pairs;
}

function pairsOfText(text: string, source: Source): readonly string[] {
  // A single pair may have commas in its value, with or without quotes around it all.
  if (source === 'flag' && text.split('=').length <= 2) return [withoutQuotes(text)];
  // A variable may have commas in any value: a new pair starts at a key.
  if (source === 'environment' && !text.includes('"')) return pairsOfVariable(text);
  const fields = readFields(text);
  if (fields === undefined) throw new FlagError(`${quoted(text)} has an unmatched quote; allowed: "key=a,b",key=value`);
  return fields;
}

function splitPair(pair: string): [string, string] {
  const equals = pair.indexOf('=');
  if (equals <= 0) {
    throw new FlagError(`${quoted(pair)} is not a pair; allowed: key=value, separated by commas`);
  }
  return [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()];
}

function pairsOfJson(text: string): [string, string][] {
  const content = jsonOf(text);
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new FlagError(`${quoted(text)} is not a JSON object; allowed: {"key": "value"}`);
  }
  return Object.entries(content).map(([key, value]: [string, unknown]) => {
    if (value !== null && typeof value !== 'string') {
      throw new FlagError(`${quoted(text)}: ${quoted(key)} is not a string; allowed: {"key": "value"}, numbers in quotes too`);
    }
    return [key, value ?? ''];
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new FlagError(`${quoted(text)} is not JSON (${asError(thrown).message.slice(0, 80)}); allowed: {"key": "value"}`);
  }
}

/**
 * The fields of a CSV line, as in RFC 4180 and Go's `encoding/csv`; undefined if a quote occurs in a field without
 * quotes, or after one with quotes. Line breaks outside of quotes are white space.
 */
function readFields(text: string): string[] | undefined {
  if (text === '') return [];
  const fields: string[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (;;) {
    const match = field.exec(text);
    if (match === null) return undefined;
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
    if (match[3] === '') return fields;
  }
}
