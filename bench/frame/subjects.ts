/** The programs that are measured: this checkout, other checkouts of it, and other programs with the same flags. */
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

export interface Subject {
  /** Heads its columns. */
  readonly name: string;
  /** `peer`: not of this project. */
  readonly kind: 'own' | 'against' | 'peer';
  readonly binary: string;
  /** Appended to those of the bench. */
  readonly flags: readonly string[];
}

const ROOT = join(import.meta.dirname, '../..');

export const OWN: Subject = { name: 'own', kind: 'own', binary: join(ROOT, 'bin/clustermesh-apiserver'), flags: [] };

/** `DIR FLAG…` or `NAME=DIR FLAG…`. Throws if the checkout is not built: its sources and a built program do not compare. */
export function againstCheckout(text: string): Subject {
  const { name, path, flags } = parsed(text);
  if (!existsSync(join(path, 'dist/clustermesh-apiserver.js')))
    throw new Error(`${path} has no dist/clustermesh-apiserver.js; build it: cd ${path} && npm run build`);
  return { name, kind: 'against', binary: join(path, 'bin/clustermesh-apiserver'), flags };
}

/** `BINARY FLAG…` or `NAME=BINARY FLAG…`. */
export function peer(text: string): Subject {
  const { name, path, flags } = parsed(text);
  if (!existsSync(path)) throw new Error(`--peer ${text}: there is no ${path}`);
  return { name, kind: 'peer', binary: path, flags };
}

function parsed(text: string): { name: string; path: string; flags: string[] } {
  const [first = '', ...flags] = text.split(/\s+/);
  const [, name, given = ''] = /^(?:([\w.-]+)=)?(.*)$/.exec(first) ?? [];
  const path = resolve(given);
  return { name: name ?? basename(path), path, flags };
}
