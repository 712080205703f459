/**
 * Keys and values that a scenario writes: text, or bytes described.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Binary } from '../../recorded-bytes.ts';

export type InputBytes =
  | string
  | Binary
  /** The text again and again, cut at `length` bytes. */
  | { readonly repeat: string; readonly length: number }
  /** Bytes that do not compress: the SHA-256 sums of `pattern/0`, `pattern/1` and so on, cut at `length` bytes. */
  | { readonly pattern: string; readonly length: number };

export interface InputEntry {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly ttlSeconds: number;
}

export function readEntries(file: string): readonly InputEntry[] {
  const entries = JSON.parse(readFileSync(file, 'utf8')) as { key: InputBytes; value: InputBytes; ttl?: number }[];
  return entries.map(({ key, value, ttl = 0 }) => ({ key: bytesOf(key), value: bytesOf(value), ttlSeconds: ttl }));
}

export function bytesOf(input: InputBytes): Buffer {
  if (typeof input === 'string') return Buffer.from(input);
  if ('base64' in input) return Buffer.from(input.base64, 'base64');
  if ('repeat' in input) return Buffer.alloc(input.length, input.repeat);
  const sums = Array.from({ length: Math.ceil(input.length / 32) }, (_, index) =>
    createHash('sha256').update(`${input.pattern}/${index}`).digest(),
  );
  return Buffer.concat(sums).subarray(0, input.length);
}
