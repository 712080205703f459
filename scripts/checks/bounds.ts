/**
 * Writes docs/reference/bounds.md from the sources: every limit, timeout and interval with its reason. With `--check` it only compares.
 *
 * A bound is a constant with a number: all of those in a `limits.ts`, and elsewhere those that are named `MAX_…` or end with
 * a unit of time. Its reason is the doc comment before it, which may cover several constants in a row.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { ROOT } from '../steps.ts';

const PAGE = join(ROOT, 'docs/reference/bounds.md');

const INTRODUCTION = `# Bounds

Every limit, timeout and interval of the program. This page is generated from the sources: \`node scripts/checks/bounds.ts\`.
`;

/** A number, or an expression of numbers. */
const CONSTANT = /^(?:export )?const ([A-Z][A-Z0-9_]*) = ([-\d_ *()+]+);$/;

interface Bound {
  readonly name: string;
  readonly value: string;
  readonly reason: string;
}

function isBound(path: string, name: string): boolean {
  return path.endsWith('/limits.ts') || /^MAX_|_(?:MS|SECONDS)$/.test(name);
}

function boundsOf(path: string): readonly Bound[] {
  const bounds: Bound[] = [];
  let reason = '';
  let comment: string[] | undefined;
  for (const line of readFileSync(join(ROOT, path), 'utf8').split('\n')) {
    if (line.startsWith('/**')) [comment, reason] = [[], ''];
    if (comment !== undefined) {
      comment.push(
        line
          .replace(/\*\/$/, '')
          .replace(/^\/?\s*\*+/, '')
          .trim(),
      );
      if (!line.endsWith('*/')) continue;
      reason = comment.join(' ').trim();
      comment = undefined;
      continue;
    }
    const [, name = '', expression = ''] = CONSTANT.exec(line) ?? [];
    if (name === '') reason = '';
    else if (isBound(path, name)) bounds.push({ name, value: shown(name, Number(runInNewContext(expression))), reason });
  }
  return bounds;
}

function shown(name: string, value: number): string {
  if (name.endsWith('_MS')) return time(value);
  if (name.includes('BYTES')) return bytes(value);
  return value.toLocaleString('en');
}

function time(ms: number): string {
  if (ms >= 86_400_000 && ms % 86_400_000 === 0) return `${ms / 86_400_000} d`;
  if (ms >= 120_000 && ms % 60_000 === 0) return `${ms / 60_000} min`;
  return ms >= 1_000 && ms % 100 === 0 ? `${ms / 1_000} s` : `${ms.toLocaleString('en')} ms`;
}

function bytes(value: number): string {
  if (value % (1 << 20) === 0) return `${value >> 20} MiB`;
  return value % 1024 === 0 ? `${value / 1024} KiB` : `${value} B`;
}

function section(path: string): string {
  const rows = boundsOf(path).map(({ name, value, reason }) => `| \`${name}\` | ${value} | ${reason.replaceAll('|', '\\|')} |`);
  return rows.length === 0 ? '' : `\n## ${path}\n\n| bound | value | reason |\n|---|---|---|\n${rows.join('\n')}\n`;
}

const paths = globSync('src/**/*.ts', { cwd: ROOT }).toSorted();
const page = INTRODUCTION + paths.map(section).join('');

const unexplained = paths.flatMap(boundsOf).filter(({ reason }) => reason === '');
if (unexplained.length > 0) {
  process.stdout.write(`without a doc comment: ${unexplained.map(({ name }) => name).join(', ')}\n`);
  process.exitCode = 1;
}
if (!process.argv.includes('--check')) writeFileSync(PAGE, page);
else if (readFileSync(PAGE, 'utf8') !== page) {
  process.stdout.write('docs/reference/bounds.md differs from the sources: run node scripts/checks/bounds.ts\n');
  process.exitCode = 1;
}
