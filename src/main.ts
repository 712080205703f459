/** From the command line to a command, and from its outcome to the exit status. */
import { clustermesh } from './cli/clustermesh.ts';
import type { Command } from './cli/command.ts';
import { etcdinit } from './cli/etcdinit.ts';
import { PROGRAM, programHelp } from './cli/help.ts';
import { kvstoremesh } from './cli/kvstoremesh.ts';
import { version } from './cli/version.ts';
import { ProgramError } from './shared/errors.ts';
import { FlagError } from './shared/flags/error.ts';
import { EXIT_FAILURE } from './shared/lifecycle.ts';
import { nearest } from './shared/nearest.ts';

const commands: Readonly<Record<string, Command>> = {
  clustermesh,
  kvstoremesh,
  etcdinit,
  version,
  help: { summary: 'Show this text, or the help of a command', run: help },
};

async function help([name]: readonly string[]): Promise<number> {
  if (name !== undefined && name !== 'help') return commandNamed(name).run(['--help']);
  process.stdout.write(programHelp(commands));
  return 0;
}

function commandNamed(name: string): Command {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command !== undefined) return command;
  const meant = nearest(name, Object.keys(commands));
  const question = meant === undefined ? '' : `did you mean ${meant}? `;
  throw new FlagError(`command ${JSON.stringify(name)} is not known; ${question}allowed: ${Object.keys(commands).join(', ')}`);
}

async function main([name = 'help', ...argv]: readonly string[]): Promise<number> {
  if (name === '--help' || name === '-h') return help([]);
  return commandNamed(name).run(argv);
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (thrown) {
  const text = thrown instanceof ProgramError ? thrown.message : ((thrown as Error).stack ?? String(thrown));
  process.stderr.write(`${PROGRAM}: ${text}\n`);
  process.exit(EXIT_FAILURE);
}
