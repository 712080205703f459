/**
 * Parses a command line and the environment by a table of flags.
 *
 * `--name=value`, `--name value`, `--bool`, `--bool=false`, `-D`; a flag that is not on the command line
 * uses the variable `CILIUM_<NAME>` if that is set and not blank, else its default. Invalid
 * input throws a FlagError.
 *
 * White space at the ends of a value is removed. A value of a ConfigMap or Secret often ends with a line break; the
 * agents, which read the same ConfigMap as files, remove it too.
 */
import { asError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { FlagError } from './error.ts';
import { quoted, type Source } from './kinds.ts';
import { environmentName, type Flag, type FlagTable, type FlagValues, valueName } from './table.ts';

export interface ParsedFlags<Table extends FlagTable> {
  readonly values: FlagValues<Table>;
  /** Every flag as text, sorted by name: for the log at start. */
  readonly effective: Readonly<Record<string, string>>;
  /** Flags that were set although nothing reads them. */
  readonly inert: readonly string[];
  /** Warnings about values that may be unexpected; each with its flag or variable. */
  readonly remarks: readonly string[];
  /** The arguments that are no flags, if the command accepts them. */
  readonly operands: readonly string[];
}

/** One flag of a command line, its value still text. */
interface Setting {
  readonly name: string;
  readonly text: string;
}

const HELP = 'help';

/**
 * Throws FlagError at the first problem; returns `help` if it is requested before that. With
 * `takesOperands`, arguments that are no flags are collected rather than rejected.
 */
export function parseFlags<Table extends FlagTable>(
  table: Table,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
  options: { readonly takesOperands?: boolean } = {},
): ParsedFlags<Table> | typeof HELP {
  const set = new Map<string, unknown>();
  const operands: string[] = [];
  const remarks: string[] = [];
  for (const { name, text } of settings(table, argv, options.takesOperands ? operands : undefined)) {
    const flag = flagOf(table, name);
    if (flag === undefined) return HELP;
    const value = parseValue(flag, { text, source: 'flag', whose: `flag --${name}` }, remarks);
    set.set(name, set.has(name) && flag.kind.merge ? flag.kind.merge(set.get(name), value) : value);
  }
  for (const [name, flag] of Object.entries(table)) {
    const text = env[environmentName(name)];
    if (set.has(name) || text === undefined || text.trim() === '') continue;
    const whose = `environment variable ${environmentName(name)}`;
    set.set(name, parseValue(flag, { text, source: 'environment', whose }, remarks));
  }
  return { ...assemble(table, set), remarks, operands };
}

function assemble<Table extends FlagTable>(
  table: Table,
  set: ReadonlyMap<string, unknown>,
): Pick<ParsedFlags<Table>, 'values' | 'effective' | 'inert'> {
  const values: Record<string, unknown> = {};
  const effective: Record<string, string> = {};
  for (const name of Object.keys(table).sort()) {
    const flag = table[name] as Flag<unknown, string>;
    const value = set.has(name) ? set.get(name) : flag.default;
    values[valueName(name, flag)] = value;
    effective[name] = flag.kind.format(value);
  }
  const inert = [...set.keys()].filter((name) => table[name]?.inert);
  return { values: values as FlagValues<Table>, effective, inert };
}

/** The flags of `argv` in order; `help` is yielded for `--help` and `-h`. What is no flag goes into `operands`, where there are any. */
function* settings(table: FlagTable, argv: readonly string[], operands: string[] | undefined): Generator<Setting> {
  let lastBoolean: string | undefined;
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index] ?? '';
    if (operands !== undefined && !argument.startsWith('-')) {
      operands.push(argument);
      continue;
    }
    if (!argument.startsWith('-') || argument === '-' || argument === '--') throw unexpected(argument, lastBoolean);
    const { name, text } = split(table, argument);
    const kind = flagOf(table, name)?.kind;
    const implied = name === HELP ? '' : kind?.implied;
    if (text === undefined && implied === undefined) index += 1;
    const value = text ?? implied ?? argv[index];
    if (value === undefined) throw new FlagError(`flag --${name} requires a value: --${name}=${kind?.name}`);
    lastBoolean = text === undefined && implied === 'true' ? name : undefined;
    yield { name, text: value };
  }
}

/** `--name=text`, `-D=text` and so on, as the flag's name and the text after the equals sign. */
function split(table: FlagTable, argument: string): { name: string; text: string | undefined } {
  const equals = argument.indexOf('=');
  const written = equals < 0 ? argument : argument.slice(0, equals);
  const text = equals < 0 ? undefined : argument.slice(equals + 1);
  if (written === '-h' || written === '--help') return { name: HELP, text: '' };
  const name = written.startsWith('--') ? written.slice(2) : byShorthand(table, written.slice(1));
  if (name === undefined || flagOf(table, name) === undefined) throw unknown(table, written);
  return { name, text };
}

function flagOf(table: FlagTable, name: string): Flag<unknown, string> | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function byShorthand(table: FlagTable, letter: string): string | undefined {
  return Object.keys(table).find((name) => table[name]?.shorthand === letter);
}

interface Given {
  readonly text: string;
  readonly source: Source;
  /** Named by messages. */
  readonly whose: string;
}

function parseValue({ kind }: Flag<unknown, string>, { text, source, whose }: Given, remarks: string[]): unknown {
  const trimmed = text.trim();
  try {
    const value = kind.parse(trimmed, source);
    const remark = kind.remark?.(trimmed, source);
    if (remark !== undefined) remarks.push(`${whose}: ${remark}`);
    return value;
  } catch (thrown) {
    throw new FlagError(`${whose}: ${asError(thrown).message}`, { cause: thrown });
  }
}

function unknown(table: FlagTable, written: string): FlagError {
  const visible = Object.keys(table).filter((name) => !table[name]?.hidden);
  const name = nearest(written.replace(/^-+/, ''), visible);
  const remedy = name === undefined ? '--help lists all' : `did you mean --${name}? (--help lists all)`;
  return new FlagError(`unknown flag ${quoted(written)}; ${remedy}`);
}

function unexpected(argument: string, lastBoolean: string | undefined): FlagError {
  const remedy =
    lastBoolean === undefined
      ? 'only flags are allowed here, such as --name=value'
      : `set a boolean flag with an equals sign: --${lastBoolean}=${argument}`;
  return new FlagError(`unexpected argument ${quoted(argument)}; ${remedy}`);
}
