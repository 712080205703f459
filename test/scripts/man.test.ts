/** The manual pages, as `man` shows them. */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { kvstoremeshFlagTable } from '../../src/kvstoremesh/flags.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = globSync('man/man1/*.1', { cwd: ROOT }).sort();

test('the pages are those of the commands as they are', () => {
  const { status, stdout } = spawnSync(process.execPath, ['scripts/docs/man.ts', '--check'], { cwd: ROOT, encoding: 'utf8' });
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
});

test('package.json names every page', async () => {
  const { default: pkg } = await import('../../package.json', { with: { type: 'json' } });
  expect(pkg.man).toEqual(PAGES.map((page) => `./${page}`));
});

const formatter = spawnSync('groff', ['--version']).status === 0 ? undefined : 'needs groff';

describe.skipIf(formatter !== undefined)(`formatted${formatter === undefined ? '' : ` (${formatter})`}`, () => {
  const rendered = (page: string) =>
    spawnSync('groff', ['-man', '-Tascii', '-ww', '-P-cbou', '-rLL=500n', page], { cwd: ROOT, encoding: 'utf8' });

  test.each(PAGES)('%s has no fault', (page) => {
    const { status, stdout, stderr } = rendered(page);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^NAME\n(?:.*\n)+SYNOPSIS$/m);
  });

  test('every flag that help shows is there, with the words that help has', () => {
    const { stdout } = rendered('man/man1/clustermesh-apiserver-kvstoremesh.1');
    const words = stdout.replaceAll(/\s+/g, ' ');
    for (const [name, { hidden, usage }] of Object.entries(kvstoremeshFlagTable)) {
      expect({ name, isShown: new RegExp(`--${name}[ .]`).test(words) }).toEqual({ name, isShown: hidden !== true });
      if (hidden !== true) expect(words).toContain(usage.replaceAll('…', '...').replaceAll('’', "'"));
    }
  });
});
