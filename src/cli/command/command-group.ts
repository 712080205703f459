/** A set of commands: looks up a command by name, and builds a command from its own commands. */
import { FlagError } from '../../shared/flags/error.ts';
import type { FlagTable } from '../../shared/flags/table.ts';
import { nearest } from '../../shared/nearest.ts';
import type { Command } from './command.ts';
import { groupHelp } from './help.ts';

/** The command `name`. Throws FlagError where there is none, with the one that was probably meant. */
export function commandNamed(commands: Readonly<Record<string, Command>>, name: string): Command {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command !== undefined) return command;
  const meant = nearest(name, Object.keys(commands));
  const question = meant === undefined ? '' : `did you mean ${meant}? `;
  throw new FlagError(`unknown command ${JSON.stringify(name)}; ${question}allowed: ${Object.keys(commands).join(', ')}`);
}

export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
  readonly commands: Readonly<Record<string, Command>>;
  /** Flags with a value that all of its commands have: they may precede the command's name. */
  readonly leadingFlags?: FlagTable;
}

/** A command that only chooses among others; without a choice it shows them. */
export function commandGroup({ name, summary, commands, leadingFlags = {} }: CommandGroup): Command {
  return {
    summary,
    flags: leadingFlags,
    commands,
    async run(argv) {
      const at = commandIndex(argv, flagNames(leadingFlags));
      const chosen = argv[at];
      if (chosen === undefined || chosen === 'help' || chosen === '-h' || chosen === '--help') {
        process.stdout.write(groupHelp(name, summary, commands));
        return 0;
      }
      return commandNamed(commands, chosen).run([...argv.slice(0, at), ...argv.slice(at + 1)]);
    },
  };
}

function flagNames(table: FlagTable): string[] {
  return Object.entries(table).flatMap(([name, { shorthand }]) => [
    `--${name}`,
    ...(shorthand === undefined ? [] : [`-${shorthand}`]),
  ]);
}

function commandIndex(argv: readonly string[], leadingFlags: readonly string[]): number {
  for (let index = 0; index < argv.length; index += 1) {
    const argument = argv[index] ?? '';
    if (leadingFlags.some((flag) => argument.startsWith(`${flag}=`))) continue;
    if (!leadingFlags.includes(argument)) return index;
    index += 1;
  }
  return argv.length;
}
