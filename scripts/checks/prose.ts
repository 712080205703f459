/**
 * Finds phrases in texts, comments and pages that have a plainer form.
 *
 * A maintainer of etcd or Kubernetes writes subject, verb and object, with the fact first and the terms of the field. The list has
 * phrases that hide the subject or are hard to search for, and few that could be right somewhere.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../steps.ts';

/** Phrases, and a plainer form of each. */
const PHRASES: Readonly<Record<string, string>> = {
  'someone else': 'externally, another process',
  somebody: 'a caller, a client, or the passive',
  anybody: 'any caller, any client',
  everybody: 'all callers, all clients',
  nobody: 'no, none, not',
  whoever: 'the caller, the owner',
  whomever: 'any owner',
  meanwhile: 'concurrently, until then, or nothing',
  anew: 'again',
  'of a kin': 'similar',
  'put right': 'repair, restore, correct',
  'it is waited': 'waiting for',
  'waited for by': 'waits for',
  'for as long as': 'while',
  'by the clock': 'periodically',
  'the other way round': 'reversed',
  'dealt with': 'processed, handled',
  'without a word of': 'without an event of',
  'does without': 'does not use',
  'is told (?:of|by|about|whether|when)': 'receives, reports',
  'trying on': 'retrying',
  'looks? after': 'maintain',
  'hears? of': 'receive',
  'heard of': 'reachable, received',
  'let go of': 'release',
  'is none of (?:its|ours)': 'does not belong to',
  'not well': 'problem',
};

const PATHS = ['{src,demo,bench,scripts}/**/*.ts', '*.md', 'docs/**/*.md', '.github/**/*.{md,yml}'];
const IGNORED = /\/proto\/|^scripts\/checks\/prose\.ts$/;

/** In lower case, or at the start of a sentence: constants may have such a name. */
const pattern = new RegExp(
  `\\b(?:${Object.keys(PHRASES)
    .flatMap((phrase) => [phrase, capitalized(phrase)])
    .join('|')})\\b`,
  'g',
);

function capitalized(phrase: string): string {
  return phrase.replace(/[a-z]/, (letter) => letter.toUpperCase());
}

function advice(found: string): string {
  const entry = Object.entries(PHRASES).find(([phrase]) => new RegExp(`^(?:${phrase})$`, 'i').test(found));
  return entry?.[1] ?? '';
}

const findings = PATHS.flatMap((paths) => globSync(paths, { cwd: ROOT }))
  .filter((path) => !IGNORED.test(path))
  .toSorted()
  .flatMap((path) =>
    readFileSync(join(ROOT, path), 'utf8')
      .split('\n')
      .flatMap((line, index) =>
        [...line.matchAll(pattern)].map(([found]) => `${path}:${index + 1}: "${found}": ${advice(found)}`),
      ),
  );

for (const finding of findings) process.stdout.write(`${finding}\n`);
if (findings.length > 0) process.exitCode = 1;
