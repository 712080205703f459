/** The documents and the pages built from them: links lead somewhere, and commands are ones that the program takes. */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { renderMarkdown } from '../../scripts/docs/markdown.ts';
import type { Command } from '../../src/cli/command/command.ts';
import { commands } from '../../src/cli/commands.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const ROOT = join(import.meta.dirname, '../..');
const DOCUMENTS = ['*.md', 'docs/**/*.md', 'examples/**/*.md', 'charts/**/*.md']
  .flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
  .sort();

const isElsewhere = (link: string) => /^[a-z]+:/.test(link);

const parsed = new Map(DOCUMENTS.map((path) => [path, renderMarkdown(readFileSync(join(ROOT, path), 'utf8'))]));

test.each(DOCUMENTS)('every link of %s leads to a file, and to a heading of it', (document) => {
  const broken = (parsed.get(document)?.links ?? []).filter((link) => {
    if (isElsewhere(link)) return !link.startsWith('https://');
    const [path = '', anchor] = link.split('#');
    const file = path === '' ? document : posix.join(posix.dirname(document), path);
    if (!existsSync(join(ROOT, file))) return true;
    return anchor !== undefined && parsed.get(file)?.anchors.includes(anchor) !== true;
  });
  expect(broken).toEqual([]);
});

test('docs/README.md and README.md lead to every document of docs', () => {
  const linked = ['README.md', 'docs/README.md'].flatMap((document) =>
    (parsed.get(document)?.links ?? []).map((link) => posix.join(posix.dirname(document), link.replace(/#.*/, ''))),
  );
  const documents = globSync('docs/*.md', { cwd: ROOT }).filter((path) => path !== 'docs/README.md');
  expect(documents.filter((path) => !linked.includes(path))).toEqual([]);
});

test.each(globSync('docs/images/*.svg', { cwd: ROOT }))(
  '%s is small, has a title and a description, and refers to nothing',
  (path) => {
    const image = readFileSync(join(ROOT, path), 'utf8');
    expect(Buffer.byteLength(image)).toBeLessThan(20_000);
    expect(image).toMatch(/<title id="title">[^<]+<\/title>\s*<desc id="desc">[^<]{100,}<\/desc>/);
    expect(image).toContain('prefers-color-scheme: dark');
    expect(image.replace('xmlns="http://www.w3.org/2000/svg"', '')).not.toMatch(
      /https?:|href=|<script|<image|@import|url\((?!#)/,
    );
  },
);

describe('the site', () => {
  const output = temporaryDirectory('site');
  let pages: ReadonlyMap<string, string>;

  beforeAll(() => {
    const { status, stderr } = spawnSync(process.execPath, ['scripts/docs/site.ts', `--output=${output}`], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const files = globSync('**/*.html', { cwd: output });
    pages = new Map(files.map((path) => [path, readFileSync(join(output, path), 'utf8')]));
  }, 30_000);

  test('has a page for each document', () => {
    const missing = DOCUMENTS.filter((path) => !/^(charts|examples)\//.test(path)).filter(
      (path) => !pages.has(path.replace(/README\.md$/, 'index.html').replace(/\.md$/, '.html')),
    );
    expect(missing).toEqual([]);
  });

  test('has links from any path that lead to a file and an anchor of it', () => {
    const broken: string[] = [];
    for (const [page, html] of pages)
      for (const [, link = ''] of html.matchAll(/ (?:href|src)="([^"]*)"/g)) {
        if (isElsewhere(link)) continue;
        const [path = '', anchor] = link.split('#');
        const file = path === '' ? page : posix.join(posix.dirname(page), path);
        const isBroken = path.startsWith('/') || path.endsWith('/') || !existsSync(join(output, file));
        if (isBroken || (anchor !== undefined && pages.get(file)?.includes(` id="${anchor}"`) !== true))
          broken.push(`${page}: ${link}`);
      }
    expect(broken).toEqual([]);
  });

  test('requests nothing from elsewhere, and runs nothing', () => {
    const foreign = [...pages].filter(([, html]) =>
      /<(?:script|iframe|object|embed|base)\b|<(?:link|img|source)\b[^>]*"(?:[a-z]+:)?\/\/|@import|url\(/i.test(html),
    );
    expect(foreign.map(([page]) => page)).toEqual([]);
    expect(readFileSync(join(output, 'style.css'), 'utf8')).not.toMatch(/@import|url\(|:\/\//);
  });
});

/** Lines of code blocks that run the program, without the prompt, the path and what runs it in a container. */
function commandsOf(document: string): readonly string[] {
  const text = readFileSync(join(ROOT, document), 'utf8').replaceAll(/\\\n\s*/g, ' ');
  const blocks = [...text.matchAll(/^```[^\n]*\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
  const indented = [...text.replaceAll(/^```[^\n]*\n[\s\S]*?^```$/gm, '').matchAll(/^(?: {4}|\t)(\S.*)$/gm)].map(
    ([, line = '']) => line,
  );
  return [...blocks.flatMap((block) => block.split('\n')), ...indented].flatMap((line) => {
    const [, plugin] = /^\s*(?:\$ )?kubectl (clustermesh .*)/.exec(line) ?? [];
    if (plugin !== undefined) return [plugin.replace(/^clustermesh /, '')];
    const [, words] = /(?:^|\$ |-- |bin\/|^\w+=\S+ )clustermesh-apiserver (.*)/.exec(line.replace(/ +#.*/, '').trim()) ?? [];
    return words === undefined ? [] : [words];
  });
}

/** Words as a shell splits them, as far as documents need it; what is left out, `…`, is no word. */
function wordsOf(line: string): readonly string[] {
  const [command = ''] = line.split(/ (?:#|\||>|&&|2>) ?/);
  return [...command.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)]
    .map(([word]) => word.replaceAll(/['"]/g, ''))
    .filter((word) => !/^(?:…|\[.*|<.*)$/.test(word));
}

function problemOf(words: readonly string[]): string | undefined {
  let [name = '', ...rest] = words;
  let command: Command | undefined = commands[name];
  while (command?.commands !== undefined) {
    [name = '', ...rest] = rest;
    if (name === '--help') return undefined;
    command = command.commands[name];
  }
  if (command === undefined) return `${name} is no command`;
  const { flags, furtherFlags } = command;
  if (flags === undefined) return undefined;
  const end = rest.indexOf('--');
  const lists =
    furtherFlags === undefined || end < 0
      ? [[flags, rest] as const]
      : [[flags, rest.slice(0, end)] as const, [furtherFlags, rest.slice(end + 1)] as const];
  try {
    for (const [table, argv] of lists) parseFlags(table, argv, {}, { takesOperands: true });
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
}

test('the commands of the documents have flags and values that the program takes', () => {
  const found = DOCUMENTS.flatMap((document) => commandsOf(document).map((line) => ({ document, line })));
  const refused = found.flatMap(({ document, line }) => {
    const problem = problemOf(wordsOf(line));
    return problem === undefined ? [] : [`${document}: ${line}: ${problem}`];
  });
  expect(refused).toEqual([]);
  expect(found.length).toBeGreaterThan(20);
});
