/** From the command line to a command, and from its outcome to the exit status. */
import { certs } from './cli/certs.ts';
import { clustermesh } from './cli/clustermesh.ts';
import { combined } from './cli/combined.ts';
import type { Command } from './cli/command/command.ts';
import { commandNamed } from './cli/command/command-group.ts';
import { PROGRAM, programHelp } from './cli/command/help.ts';
import { completion } from './cli/completion/completion.ts';
import { clustermeshDbg } from './cli/debug/clustermesh-dbg.ts';
import { kvstoremeshDbg } from './cli/debug/kvstoremesh-dbg.ts';
import { etcdinit } from './cli/etcdinit.ts';
import { kvstoremesh } from './cli/kvstoremesh.ts';
import { mcsapiCorednsCfg } from './cli/mcsapi-coredns-cfg.ts';
import { connect, disconnect, status } from './cli/mesh.ts';
import { version } from './cli/version.ts';
import { ProgramError } from './shared/errors.ts';
import { EXIT_FAILURE } from './shared/process/lifecycle.ts';

const commands: Readonly<Record<string, Command>> = {
  clustermesh,
  kvstoremesh,
  combined,
  'clustermesh-dbg': clustermeshDbg,
  'kvstoremesh-dbg': kvstoremeshDbg,
  etcdinit,
  'mcsapi-coredns-cfg': mcsapiCorednsCfg,
  certs,
  connect,
  disconnect,
  status,
  version,
  completion: completion(() => commands),
  help: {
    summary: 'Show this text, or the help of a command',
    get operands() {
      return Object.keys(commands);
    },
    run: help,
  },
};

async function help([name]: readonly string[]): Promise<number> {
  if (name !== undefined && name !== 'help') return commandNamed(commands, name).run(['--help']);
  process.stdout.write(programHelp(commands));
  return 0;
}

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
