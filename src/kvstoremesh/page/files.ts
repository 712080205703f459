/**
 * The files of the status page, from the folder browser.
 *
 * The bundler puts them into the program, the scripts as one. A run from source serves each script without its types.
 */
import { globSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import type { PageFile } from '../../shared/http/server.ts';

/** Replaced by the bundler with the texts of the files by path; a run from source has no such name. */
declare const PAGE_FILES: Readonly<Record<string, string>> | undefined;

const TYPES: readonly (readonly [ending: string, type: string])[] = [
  ['.css', 'text/css; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['', 'text/html; charset=utf-8'],
];

/** By path: `/` and everything below `/page/`. */
export function pageFiles(): Readonly<Record<string, PageFile>> {
  const texts = typeof PAGE_FILES === 'object' ? PAGE_FILES : readSources(join(import.meta.dirname, 'browser'));
  return Object.fromEntries(Object.entries(texts).map(([path, body]) => [path, { type: typeOf(path), body }]));
}

function typeOf(path: string): string {
  return TYPES.find(([ending]) => path.endsWith(ending))?.[1] ?? '';
}

function readSources(directory: string): Record<string, string> {
  const read = (name: string) => readFileSync(join(directory, name), 'utf8');
  const scripts = globSync('*.ts', { cwd: directory }).map(
    (name) => [`/page/${asScript(name)}`, asScript(withoutTypes(read(name)))] as const,
  );
  return { '/': read('index.html'), '/page/page.css': read('page.css'), ...Object.fromEntries(scripts) };
}

/** Names of scripts in a name or a text, as the browser knows them. */
function asScript(text: string): string {
  return text.replaceAll(/(?<=^|'\.\/)([\w-]+)\.ts\b/g, '$1.js');
}

/** Node warns on the standard error, which is the log, that this function is new. */
function withoutTypes(source: string): string {
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = emitWarning;
  }
}
