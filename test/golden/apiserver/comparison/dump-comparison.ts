/**
 * Two dumps of etcd compared: what differs in meaning, and what differs in bytes only.
 *
 * Values are compared as parsed JSON, endpoint slices by the fields of their message. Equal values in
 * other bytes are distinguished; the frame of a compressed value is free and is not compared.
 */
import { isDeepStrictEqual } from 'node:util';
import { differencesOf, shortened } from '../../value-differences.ts';
import type { DumpEntry } from '../recording/etcd-dump.ts';

export interface DumpDifference {
  /** One line each: a key that is missing, is too many, has another lease, or another value. */
  readonly meaning: readonly string[];
  /** Keys whose value means the same in other bytes. */
  readonly bytes: readonly string[];
}

export function compareDumps(expected: readonly DumpEntry[], actual: readonly DumpEntry[]): DumpDifference {
  const wanted = new Map(expected.map((entry) => [entry.key, entry]));
  const found = new Map(actual.map((entry) => [entry.key, entry]));
  const meaning: string[] = [];
  const bytes: string[] = [];
  for (const key of [...new Set([...wanted.keys(), ...found.keys()])].toSorted()) {
    const [want, have] = [wanted.get(key), found.get(key)];
    if (have === undefined) meaning.push(`missing  ${key}`);
    else if (want === undefined) meaning.push(`too many ${key} = ${shortened(parsed(have))}`);
    else {
      if (want.leased !== have.leased) meaning.push(`lease    ${key}: leased should be ${want.leased}`);
      const differences = differencesOf(parsed(want), parsed(have));
      meaning.push(...differences.map((difference) => `differs  ${key}${difference}`));
      if (differences.length === 0 && !hasSameBytes(want, have)) bytes.push(bytesLine(want, have));
    }
  }
  return { meaning, bytes };
}

function hasSameBytes(want: DumpEntry, have: DumpEntry): boolean {
  if (want.protobuf !== undefined && have.protobuf !== undefined) return want.protobuf.base64 === have.protobuf.base64;
  return isDeepStrictEqual(want.value, have.value);
}

function bytesLine(want: DumpEntry, have: DumpEntry): string {
  const [expected, actual] = [want.protobuf ?? want.value, have.protobuf ?? have.value];
  return `bytes    ${want.key}: expected ${shortened(expected)}, got ${shortened(actual)}`;
}

function parsed({ value, decoded }: DumpEntry): unknown {
  if (decoded !== undefined) return decoded;
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}
