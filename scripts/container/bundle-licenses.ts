/**
 * Collects the licences of the packages in the bundle: `bundle-licenses.ts METAFILE DIRECTORY`. METAFILE is what
 * scripts/build.ts writes; each package gets a directory NAME@VERSION below DIRECTORY.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Metafile {
  readonly inputs: Readonly<Record<string, unknown>>;
}

interface PackageFile {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

/** The last one in a path: packages can have packages of their own. */
const PACKAGE = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/;
const LICENCE = /^(?:licen[cs]e|copying|notice)/i;

const [, , metafile, directory] = process.argv;
if (metafile === undefined || directory === undefined) throw new Error('usage: bundle-licenses.ts METAFILE DIRECTORY');
const { inputs } = JSON.parse(readFileSync(metafile, 'utf8')) as Metafile;
const packages = new Set(Object.keys(inputs).flatMap((path) => PACKAGE.exec(path)?.[0] ?? []));
for (const path of packages) {
  const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as PackageFile;
  const target = join(directory, `${name}@${version}`);
  mkdirSync(target, { recursive: true });
  const files = readdirSync(path).filter((file) => LICENCE.test(file));
  for (const file of files) copyFileSync(join(path, file), join(target, file));
  // A package without a text of its own names a well-known one.
  if (files.length === 0) writeFileSync(join(target, 'LICENSE.spdx'), `SPDX-License-Identifier: ${license ?? 'NOASSERTION'}\n`);
}
