/**
 * Where two JSON values differ.
 */
import { isDeepStrictEqual } from 'node:util';

/** One line for each difference: ` at .frontends.10.0.0.1: expected …, got …`. */
export function differencesOf(expected: unknown, actual: unknown, path = ''): string[] {
  if (isDeepStrictEqual(expected, actual)) return [];
  if (isFields(expected) && isFields(actual)) {
    const names = [...new Set([...Object.keys(expected), ...Object.keys(actual)])].toSorted();
    return names.flatMap((name) => differencesOf(expected[name], actual[name], `${path}.${name}`));
  }
  if (Array.isArray(expected) && Array.isArray(actual) && expected.length === actual.length) {
    return expected.flatMap((item, index) => differencesOf(item, actual[index], `${path}[${index}]`));
  }
  return [` at ${path === '' ? 'the value' : path}: expected ${shortened(expected)}, got ${shortened(actual)}`];
}

/** A value for a message. */
export function shortened(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
