/** From the command line to a command, and from its outcome to the exit status. */
import { commandNamed } from './cli/command/command-group.ts';
import { PROGRAM } from './cli/command/help.ts';
import { commands, help } from './cli/commands.ts';
import { ProgramError } from './shared/errors.ts';
import { EXIT_FAILURE } from './shared/process/lifecycle.ts';

async function main([name = 'help', ...argv]: readonly string[]): Promise<number> {
  if (name === '--help' || name === '-h') return help([]);
  return commandNamed(commands, name).run(argv);
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (thrown) {
  const text = thrown instanceof ProgramError ? thrown.message : ((thrown as Error).stack ?? String(thrown));
  process.stderr.write(`${PROGRAM}: ${text}\n`);
  process.exit(EXIT_FAILURE);
}
