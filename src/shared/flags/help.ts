/** The help of a command, generated from its table of flags in the layout of the field's other programs. */
import { environmentName, type Flag, type FlagTable } from './table.ts';

/** Text forms of defaults that go without saying. */
const SILENT_DEFAULTS = ['', '0', '0s', 'false', '[]'];

/** A flag as help shows it. */
export interface ShownFlag {
  readonly name: string;
  /** With its shorthand and the placeholder of its value: `-o, --output string`. */
  readonly names: string;
  /** Description, default, environment variable. */
  readonly usage: string;
}

/** The flags that are not hidden, and `--help`, by name. */
export function shownFlags(table: FlagTable): readonly ShownFlag[] {
  const rows = Object.entries(table)
    .filter(([, flag]) => !flag.hidden)
    .map(([name, flag]) => ({ name, names: names(name, flag), usage: usage(name, flag) }));
  rows.push({ name: 'help', names: '  -h, --help', usage: 'Show this text' });
  return rows.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The same as text, one line each. */
export function flagHelp(table: FlagTable): string {
  const rows = shownFlags(table);
  const width = Math.max(...rows.map((row) => row.names.length));
  return rows.map((row) => `${row.names.padEnd(width)}   ${row.usage}\n`).join('');
}

function names(name: string, flag: Flag<unknown, string>): string {
  const shorthand = flag.shorthand === undefined ? '    ' : `-${flag.shorthand}, `;
  return `  ${shorthand}--${name} ${flag.kind.name}`.trimEnd();
}

function usage(name: string, flag: Flag<unknown, string>): string {
  const preset = flag.kind.format(flag.default);
  const shown = SILENT_DEFAULTS.includes(preset) ? '' : ` (default ${preset})`;
  return `${flag.usage}${shown} [${environmentName(name)}]`;
}
