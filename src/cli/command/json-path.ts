/**
 * The path language of `kubectl -o jsonpath=…`, as far as needed for status responses.
 *
 * Text is printed unchanged; `{…}` contains a path from the root (`.a.b`, `['a']`, `[0]`, `[-1]`, `[0:2]`, `[*]`, `.*`, `..a`,
 * `[?(@.a=="b")]` with == != < <= > >= or no comparison), a quoted text, or `range` with a path and its `end`.
 * Several results are separated by a space; what does not exist prints nothing.
 */
import { FlagError } from '../../shared/flags/error.ts';
import { quoted } from '../../shared/flags/kinds.ts';
import { MAX_JSON_PATH_DEPTH, MAX_JSON_PATH_LENGTH } from '../../shared/limits.ts';

type Step = (values: readonly unknown[], root: unknown) => readonly unknown[];
type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'path'; readonly steps: readonly Step[] }
  | { readonly kind: 'range'; readonly steps: readonly Step[]; readonly parts: readonly Part[] };

/** What evaluates `template`. Throws FlagError where it cannot be understood. */
export function compileJsonPath(template: string): (root: unknown) => string {
  if (template.length > MAX_JSON_PATH_LENGTH) throw refused(template, `longer than ${MAX_JSON_PATH_LENGTH} characters`);
  const pieces = [...template.matchAll(/\{((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^{}"'])*)\}|([^{}]+)|(.)/gs)];
  const parts = partsOf(template, pieces[Symbol.iterator](), false);
  return (root) => print(parts, root);
}

function partsOf(template: string, pieces: Iterator<RegExpExecArray>, isRange: boolean): readonly Part[] {
  const parts: Part[] = [];
  for (let piece = pieces.next(); !piece.done; piece = pieces.next()) {
    const [, inside, text, stray] = piece.value;
    if (stray !== undefined) throw refused(template, `unmatched ${stray}`);
    if (text !== undefined) parts.push({ kind: 'text', text });
    if (inside === undefined) continue;
    const expression = inside.trim();
    if (expression === 'end') {
      if (!isRange) throw refused(template, 'end without range');
      return parts;
    }
    const range = /^range\s+(.*)$/s.exec(expression)?.[1];
    if (range !== undefined)
      parts.push({ kind: 'range', steps: stepsOf(template, range), parts: partsOf(template, pieces, true) });
    else if (/^["']/.test(expression)) parts.push({ kind: 'text', text: unquoted(expression) });
    else parts.push({ kind: 'path', steps: stepsOf(template, expression) });
  }
  if (isRange) throw refused(template, 'range without end');
  return parts;
}

const NAME = String.raw`(?:[^\s.,[\]$@{}()=!<>\\]|\\.)+`;
const STEP = new RegExp(
  [
    String.raw`(?<deep>\.\.)(?<deepName>${NAME})`,
    String.raw`\.(?<name>${NAME})`,
    String.raw`\[\s*(?<quotedName>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*\]`,
    String.raw`\[\s*(?<index>-?\d{1,9}|\*)\s*\]`,
    String.raw`\[\s*(?<from>-?\d{1,9})?\s*:\s*(?<to>-?\d{1,9})?\s*\]`,
    String.raw`\[\?\(\s*@(?<left>[^=!<>\s)]*)\s*(?:(?<operator>[=!<>]=|[<>])\s*(?<right>"[^"]*"|'[^']*'|[^\s)]+)\s*)?\)\]`,
    '(?<start>[$@])',
    String.raw`(?<dot>\.)$`,
  ].join('|'),
  'y',
);

function stepsOf(template: string, expression: string): readonly Step[] {
  const steps: Step[] = [];
  STEP.lastIndex = 0;
  // `{a.b}` is `{.a.b}`.
  const path = /^[A-Za-z_]/.test(expression) ? `.${expression}` : expression;
  let at = 0;
  while (at < path.length) {
    STEP.lastIndex = at;
    const match = STEP.exec(path);
    if (match?.groups === undefined) throw refused(template, `cannot parse ${quoted(path.slice(at))}`);
    at = STEP.lastIndex;
    steps.push(stepOf(template, match.groups));
  }
  return steps;
}

function stepOf(template: string, groups: Readonly<Record<string, string | undefined>>): Step {
  const { deepName, name, quotedName, index, from, to, left, operator, right } = groups;
  if (deepName !== undefined) return (values) => values.flatMap((value) => member(everyValue(value), unescaped(deepName)));
  if (name !== undefined) return (values) => member(values, unescaped(name));
  if (quotedName !== undefined) return (values) => member(values, unquoted(quotedName));
  if (index === '*') return (values) => values.flatMap(children);
  if (index !== undefined)
    return (values) => values.flatMap((value) => (Array.isArray(value) ? slice(value, Number(index)) : []));
  if (left !== undefined) {
    const steps = stepsOf(template, left);
    return (values, root) =>
      values
        .flatMap(children)
        .filter((child) => holds(walk(steps, [child], root), operator, right === undefined ? '' : literal(right)));
  }
  if (groups.start !== undefined || groups.dot !== undefined) return (values) => values;
  return (values) =>
    values.flatMap((value) =>
      Array.isArray(value) ? value.slice(from === undefined ? 0 : Number(from), to === undefined ? undefined : Number(to)) : [],
    );
}

function slice(list: readonly unknown[], index: number): readonly unknown[] {
  const at = index < 0 ? list.length + index : index;
  return at >= 0 && at < list.length ? [list[at]] : [];
}

function member(values: readonly unknown[], name: string): readonly unknown[] {
  if (name === '*') return values.flatMap(children);
  return values.flatMap((value) => {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject && Object.hasOwn(value, name) ? [(value as Readonly<Record<string, unknown>>)[name]] : [];
  });
}

function children(value: unknown): readonly unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value) : [];
}

function everyValue(value: unknown, depth = 0): readonly unknown[] {
  return depth > MAX_JSON_PATH_DEPTH ? [] : [value, ...children(value).flatMap((child) => everyValue(child, depth + 1))];
}

function holds(found: readonly unknown[], operator: string | undefined, right: unknown): boolean {
  if (found.length === 0) return false;
  if (operator === undefined) return true;
  const left = found[0];
  if (operator === '==') return left === right;
  if (operator === '!=') return left !== right;
  if ((typeof left !== 'number' || typeof right !== 'number') && (typeof left !== 'string' || typeof right !== 'string'))
    return false;
  if (operator === '<') return left < right;
  if (operator === '<=') return left <= right;
  return operator === '>' ? left > right : left >= right;
}

function walk(steps: readonly Step[], from: readonly unknown[], root: unknown): readonly unknown[] {
  return steps.reduce((values, step) => step(values, root), from);
}

function print(parts: readonly Part[], root: unknown): string {
  return parts
    .map((part) => {
      if (part.kind === 'text') return part.text;
      const found = walk(part.steps, [root], root);
      return part.kind === 'path' ? found.map(textOf).join(' ') : found.map((each) => print(part.parts, each)).join('');
    })
    .join('');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function literal(text: string): unknown {
  if (/^["']/.test(text)) return unquoted(text);
  if (text === 'true' || text === 'false') return text === 'true';
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

function unquoted(text: string): string {
  return unescaped(text.slice(1, -1));
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/gs, (_, character: string) => ESCAPES[character] ?? character);
}

function refused(template: string, why: string): FlagError {
  return new FlagError(`flag --output: jsonpath ${quoted(template)}: ${why}`);
}
