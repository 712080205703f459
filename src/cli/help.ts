/** The texts that a person reads who asks for help. */
import { flagHelp } from '../shared/flags/help.ts';
import type { FlagTable } from '../shared/flags/table.ts';

export const PROGRAM = 'clustermesh-apiserver';

/** What the program can do, by subcommand. */
export function programHelp(commands: Readonly<Record<string, { readonly summary: string }>>): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const rows = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}   ${summary}\n`);
  return [
    'Connects the services, nodes, identities and endpoints of Cilium clusters.\n\n',
    `Usage:\n  ${PROGRAM} <command> [flags]\n\n`,
    `Commands:\n${rows.join('')}\n`,
    `"${PROGRAM} <command> --help" lists the flags of a command.\n`,
  ].join('');
}

/** What one subcommand does, and its flags. */
export function commandHelp(name: string, summary: string, table: FlagTable): string {
  return [
    `${summary}.\n\n`,
    `Usage:\n  ${PROGRAM} ${name} [flags]\n\n`,
    'A flag that is not given takes the environment variable in brackets, else its default.\n\n',
    `Flags:\n${flagHelp(table)}`,
  ].join('');
}
