/**
 * The types of flag values, each with its text form; lists and maps are in collections.ts.
 *
 * The text forms are those of Go's flag packages, because existing manifests use them.
 * An invalid value throws a FlagError with the allowed values; the caller adds the name of the flag.
 */

import { parseListenAddress } from '../http/listen-address.ts';
import { formatDuration, parseDurationMs } from '../time/duration.ts';
import { FlagError } from './error.ts';
import { parseFraction, parseWholeNumber } from './numbers.ts';

/** Where a text comes from: the original reads the two with different libraries. */
export type Source = 'flag' | 'environment';

export interface Kind<T> {
  /** The placeholder after the flag's name in the help; empty for a boolean. */
  readonly name: string;
  /** The value of a flag that is named without one. */
  readonly implied?: string;
  /** `text` has no white space at its ends. */
  parse(text: string, source: Source): T;
  format(value: T): string;
  /** A warning about a text with an unexpected value; undefined if there is none. */
  remark?(text: string, source: Source): string | undefined;
  /** How a repeated flag extends its value; absent if the last one wins. */
  merge?(previous: T, next: T): T;
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Of whole numbers; those of 64 bits are rounded to the nearest number that there is. */
export interface WholeRange {
  readonly min: number | bigint;
  readonly max: number | bigint;
}

export const UINT16: WholeRange = { min: 0, max: 0xffff };
export const UINT32: WholeRange = { min: 0, max: 0xffff_ffff };
export const UINT: WholeRange = { min: 0, max: 2n ** 64n - 1n };
export const INT: WholeRange = { min: -(2n ** 63n), max: 2n ** 63n - 1n };

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

/**
 * A boolean that the original reads with viper, which treats every other word in the environment as false. On the command
 * line it is like any other boolean.
 */
export const lenientBoolKind: Kind<boolean> = {
  ...boolKind,
  parse: (text, source) => (source === 'environment' && !isBoolean(text) ? false : boolKind.parse(text, source)),
  remark(text, source) {
    if (source === 'flag' || isBoolean(text)) return undefined;
    return `${quoted(text)} is not a boolean and counts as false, as in the original; allowed: true or false`;
  },
};

function isBoolean(text: string): boolean {
  return TRUE.includes(text) || FALSE.includes(text);
}

export const textKind: Kind<string> = { name: 'string', parse: (text) => text, format: (value) => value };

export function choiceKind<const T extends string>(choices: readonly T[]): Kind<T> {
  return {
    name: 'string',
    parse(text) {
      const choice = choices.find((candidate) => candidate === text);
      if (choice === undefined) throw new FlagError(`${quoted(text)} is not supported; allowed: ${choices.join(', ')}`);
      return choice;
    },
    format: (value) => value,
  };
}

export function wholeKind(name: string, range: WholeRange): Kind<number> {
  const read = (text: string) => parseWholeNumber(text, { signed: range.min < 0 });
  return {
    name,
    parse(text) {
      const value = read(text);
      if (value !== undefined && value >= range.min && value <= range.max) return Number(value);
      const octal =
        /^0\d*$/.test(text) && /[89]/.test(text) ? ': a leading zero makes it octal, as in all Cilium programs' : ' that fits';
      throw new FlagError(`${quoted(text)} is not a whole number${octal}; allowed: ${range.min} to ${range.max}`);
    },
    format: String,
    remark: (text) =>
      /^[+-]?(?:0|[1-9]\d*)$/.test(text) ? undefined : `${quoted(text)} is ${read(text)}, as in all Cilium programs`,
  };
}

export const decimalKind: Kind<number> = {
  name: 'float',
  parse(text) {
    const value = parseFraction(text);
    if (value !== undefined) return value;
    throw new FlagError(`${quoted(text)} is not a number; allowed: a decimal number such as 10, 0.5 or 1e2`);
  },
  format: String,
};

/** Milliseconds, written as a Go duration; `range` is in milliseconds. */
export function durationKind(range: Range): Kind<number> {
  return {
    name: 'duration',
    parse(text) {
      const value = parseDurationMs(text);
      if (value === undefined)
        throw new FlagError(`${quoted(text)} ${durationProblem(text)}; allowed: such as 15m, 1h30m or 500ms`);
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

/** What is wrong with a text that is no duration. */
function durationProblem(text: string): string {
  const isOnlyTooLong = parseDurationMs(text.slice(0, 1000).replaceAll(/\d+/g, '1')) !== undefined;
  return isOnlyTooLong ? 'is longer than 292 years, the longest duration' : 'is not a duration';
}

function describe(range: Range): string {
  return `${formatDuration(range.min)} to ${formatDuration(range.max)}`;
}

/** `text` as a message may carry it: quoted, on one line, of bounded length. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
