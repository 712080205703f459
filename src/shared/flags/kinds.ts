/**
 * The kinds of values a flag may have, each with its text form.
 *
 * The text forms are those of Go's flag packages, because the manifests that set them exist already.
 * A value that does not fit throws a FlagError that says what is allowed; the caller adds whose value it is.
 */
import { formatDuration, parseDurationMs } from '../duration.ts';
import { parseListenAddress } from '../listen-address.ts';
import { FlagError } from './error.ts';

export interface Kind<T> {
  /** What help shows behind the flag's name; empty for a boolean. */
  readonly name: string;
  /** The value of a flag that is named without one. */
  readonly implied?: string;
  parse(text: string): T;
  format(value: T): string;
  /** How a repeated flag adds to what it has; absent where the last one wins. */
  merge?(previous: T, next: T): T;
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

export const UINT16: Range = { min: 0, max: 0xffff };
export const UINT32: Range = { min: 0, max: 0xffff_ffff };
export const INT: Range = { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER };

const TRUE = ['1', 't', 'T', 'true', 'True', 'TRUE'];
const FALSE = ['0', 'f', 'F', 'false', 'False', 'FALSE'];

export const boolKind: Kind<boolean> = {
  name: '',
  implied: 'true',
  parse(text) {
    if (TRUE.includes(text)) return true;
    if (FALSE.includes(text)) return false;
    throw new FlagError(`${quoted(text)} is not a boolean; allowed: true or false`);
  },
  format: String,
};

export const textKind: Kind<string> = { name: 'string', parse: (text) => text, format: (value) => value };

export function choiceKind<const T extends string>(choices: readonly T[]): Kind<T> {
  return {
    name: 'string',
    parse(text) {
      const choice = choices.find((candidate) => candidate === text);
      if (choice === undefined) throw new FlagError(`${quoted(text)} is not known; allowed: ${choices.join(', ')}`);
      return choice;
    },
    format: (value) => value,
  };
}

export function wholeKind(name: string, range: Range): Kind<number> {
  return {
    name,
    parse(text) {
      const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
      if (value >= range.min && value <= range.max) return value;
      throw new FlagError(`${quoted(text)} is not a whole number that fits; allowed: ${range.min} to ${range.max}`);
    },
    format: String,
  };
}

export const decimalKind: Kind<number> = {
  name: 'float',
  parse(text) {
    const value = /^\d+(\.\d*)?$|^\.\d+$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isFinite(value)) return value;
    throw new FlagError(`${quoted(text)} is not a number; allowed: a decimal number from 0, such as 10 or 0.5`);
  },
  format: String,
};

/** Milliseconds, written as a Go duration; `range` is in milliseconds. */
export function durationKind(range: Range): Kind<number> {
  return {
    name: 'duration',
    parse(text) {
      const value = parseDurationMs(text);
      if (value === undefined) throw new FlagError(`${quoted(text)} is not a duration; allowed: such as 15m, 1h30m or 500ms`);
      if (value >= range.min && value <= range.max) return value;
      const allowed = range.max === Number.MAX_SAFE_INTEGER ? `from ${formatDuration(range.min)}` : describe(range);
      throw new FlagError(`${quoted(text)} is out of range; allowed: ${allowed}`);
    },
    format: formatDuration,
  };
}

/** An address to listen on; empty for none. */
export const addressKind: Kind<string> = {
  name: 'string',
  parse(text) {
    if (text === '' || parseListenAddress(text) !== undefined) return text;
    throw new FlagError(`${quoted(text)} is not an address to listen on; allowed: such as :9962, localhost:9889 or [::1]:9889`);
  },
  format: (value) => value,
};

export const listKind: Kind<readonly string[]> = {
  name: 'strings',
  parse: (text) => text.split(',').filter((item) => item !== ''),
  format: (value) => `[${value.join(',')}]`,
  merge: (previous, next) => [...previous, ...next],
};

export const mapKind: Kind<ReadonlyMap<string, string>> = {
  name: 'map',
  parse: (text) => new Map(text.split(',').filter(Boolean).map(splitPair)),
  format: (value) => [...value].map(([key, item]) => `${key}=${item}`).join(','),
  merge: (previous, next) => new Map([...previous, ...next]),
};

function splitPair(pair: string): [string, string] {
  const equals = pair.indexOf('=');
  if (equals <= 0) throw new FlagError(`${quoted(pair)} is not a pair; allowed: key=value, several separated by commas`);
  return [pair.slice(0, equals).trim(), pair.slice(equals + 1)];
}

function describe(range: Range): string {
  return `${formatDuration(range.min)} to ${formatDuration(range.max)}`;
}

/** `text` as a message may carry it: quoted, on one line, of bounded length. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
