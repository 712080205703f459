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

/** Throws if the checkout is not built: measuring it from its sources would compare different things. */
export function againstCheckout(text: string): Subject {
  const [directory = '', ...flags] = text.split(/\s+/);
  const root = resolve(directory);
  if (!existsSync(join(root, 'dist/clustermesh-apiserver.js')))
    throw new Error(`${root} has no dist/clustermesh-apiserver.js; build it: cd ${root} && npm run build`);
  return { name: basename(root), kind: 'against', binary: join(root, 'bin/clustermesh-apiserver'), flags };
}

export function peer(text: string): Subject {
  const [program = '', ...flags] = text.split(/\s+/);
  const binary = resolve(program);
  if (!existsSync(binary)) throw new Error(`--peer ${program}: there is no such program`);
  return { name: [basename(binary), ...flags].join(' ').slice(0, 40), kind: 'peer', binary, flags };
}
