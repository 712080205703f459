/** The inputs in the repository: those that fuzzing begins with, and those that failed once. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

type Kind = 'corpus' | 'regressions';

/** Name and content of each input of a target. */
export function inputsOf(kind: Kind, target: string): readonly (readonly [string, Buffer])[] {
  const directory = join(import.meta.dirname, kind, target);
  if (!existsSync(directory)) return [];
  return readdirSync(directory).map((name) => [name, readFileSync(join(directory, name))] as const);
}

/** Writes `input` under a name made of its content; returns its path. Idempotent. */
export function keepInput(kind: Kind, target: string, input: Uint8Array): string {
  const directory = join(import.meta.dirname, kind, target);
  mkdirSync(directory, { recursive: true });
  const path = join(directory, createHash('sha256').update(input).digest('hex').slice(0, 16));
  writeFileSync(path, input);
  return path;
}
