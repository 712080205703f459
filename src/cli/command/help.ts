/** The help texts. */
import { flagHelp } from '../../shared/flags/help.ts';
import type { FlagTable } from '../../shared/flags/table.ts';

export const PROGRAM = 'clustermesh-apiserver';

type Summaries = Readonly<Record<string, { readonly summary: string }>>;

/** What the program can do, by subcommand. */
export function programHelp(commands: Summaries): string {
  return listing(PROGRAM, 'Connects the services, nodes, identities and endpoints of Cilium clusters', commands);
}

/** The help of a command with subcommands. */
export function groupHelp(name: string, summary: string, commands: Summaries): string {
  return listing(`${PROGRAM} ${name}`, summary, commands);
}

function listing(called: string, summary: string, commands: Summaries): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const rows = Object.entries(commands).map((command) => `  ${command[0].padEnd(width)}   ${command[1].summary}\n`);
  return [
    `${summary}.\n\n`,
    `Usage:\n  ${called} <command> [flags]\n\n`,
    `Commands:\n${rows.join('')}\n`,
    `"${called} <command> --help" lists the flags of a command.\n`,
  ].join('');
}

/** The help of a command that takes the flags of several others, in lists that `--` separates. */
export function combinedHelp(name: string, summary: string, others: readonly string[]): string {
  const lists = others.map((other) => `<flags of ${other}>`);
  return [
    `${summary}.\n\n`,
    `Usage:\n  ${PROGRAM} ${name} ${lists.join(' -- ')}\n\n`,
    'Ports and flags are those of the separate commands; no port may be used twice. An environment variable sets the flag of\n',
    'every daemon that has it. SIGTERM stops all daemons, and the failure of one ends the process.\n\n',
    others.map((other) => `"${PROGRAM} ${other} --help" lists the flags of ${other}.\n`).join(''),
  ].join('');
}

/** The help of a command, with its flags. `operands`: its arguments besides flags. `examples`: command lines without the program. */
export function commandHelp(
  name: string,
  summary: string,
  table: FlagTable,
  more: { readonly operands?: string | undefined; readonly examples?: readonly string[] | undefined } = {},
): string {
  const { operands = '', examples = [] } = more;
  const lines = examples.map((example) => `  ${PROGRAM} ${example}\n`);
  return [
    `${summary}.\n\n`,
    `Usage:\n  ${PROGRAM} ${name} [flags]${operands === '' ? '' : ` ${operands}`}\n\n`,
    examples.length === 0 ? '' : `Examples:\n${lines.join('')}\n`,
    'A flag that is not set takes the value of the environment variable in brackets, or its default.\n\n',
    `Flags:\n${flagHelp(table)}`,
  ].join('');
}
