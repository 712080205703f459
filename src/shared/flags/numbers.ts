/**
 * Numbers as Go programs read them: `strconv` with base 0, which pflag uses for flags and mapstructure for variables.
 *
 * All programs of a cluster read the same text, the agents among them: `010` is 8 for all of them or they disagree about the
 * ID of their cluster.
 */
const SIGN = /^[+-]?/;

/** Underscores are allowed between digits, and after the letter of a base. No pattern matches a text in two ways. */
const DECIMAL = /^(?:0|[1-9](?:_?\d)*)$/;
const OCTAL = /^0[oO]?(?:_?[0-7])+$/;
const HEXADECIMAL = /^0[xX](?:_?[\da-fA-F])+$/;
const BINARY = /^0[bB](?:_?[01])+$/;

/** More digits than any number of 64 bits has, in whichever base. */
const MAX_NUMBER_LENGTH = 100;

/** The whole number that `text` is, undefined where it is none. Only a signed one may have a sign. */
export function parseWholeNumber(text: string, options: { readonly signed: boolean }): bigint | undefined {
  const sign = SIGN.exec(text)?.[0] ?? '';
  if (text.length > MAX_NUMBER_LENGTH || (sign !== '' && !options.signed)) return undefined;
  const size = magnitude(text.slice(sign.length));
  return sign === '-' && size !== undefined ? -size : size;
}

function magnitude(text: string): bigint | undefined {
  const digits = text.replaceAll('_', '').toLowerCase();
  if (DECIMAL.test(text) || HEXADECIMAL.test(text) || BINARY.test(text)) return BigInt(digits);
  return OCTAL.test(text) ? BigInt(`0o${digits.replace(/^0o?/, '')}`) : undefined;
}

const DECIMAL_FRACTION = /^(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?$/;
const HEXADECIMAL_FRACTION = /^0[xX]((?:_?[\da-fA-F])*)(?:\.((?:[\da-fA-F]_?)*))?[pP]([+-]?\d{1,5})$/;
const INFINITE = /^inf(?:inity)?$/i;

/** The number that `text` is, as `strconv.ParseFloat` reads it but for NaN; undefined where it is none. A leading zero means nothing. */
export function parseFraction(text: string): number | undefined {
  const sign = SIGN.exec(text)?.[0] ?? '';
  if (text.length > MAX_NUMBER_LENGTH) return undefined;
  const size = fraction(text.slice(sign.length));
  return sign === '-' && size !== undefined ? 0 - size : size;
}

function fraction(text: string): number | undefined {
  if (INFINITE.test(text)) return Number.POSITIVE_INFINITY;
  if (DECIMAL_FRACTION.test(text)) return finite(Number(text.replaceAll('_', '')));
  const [, whole = '', part = '', exponent = ''] = HEXADECIMAL_FRACTION.exec(text) ?? [];
  const digits = (whole + part).replaceAll('_', '');
  if (digits === '') return undefined;
  return finite(Number(`0x${digits}`) * 2 ** (Number(exponent) - 4 * part.replaceAll('_', '').length));
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}
