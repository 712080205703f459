/** All commands of the program, by name. */
import { certs } from './certs.ts';
import { clustermesh } from './clustermesh.ts';
import { combined } from './combined.ts';
import type { Command } from './command/command.ts';
import { commandNamed } from './command/command-group.ts';
import { programHelp } from './command/help.ts';
import { completion } from './completion/completion.ts';
import { clustermeshDbg } from './debug/clustermesh-dbg.ts';
import { kvstoremeshDbg } from './debug/kvstoremesh-dbg.ts';
import { doctor } from './doctor.ts';
import { etcdinit } from './etcdinit.ts';
import { kv } from './kv.ts';
import { kvstoremesh } from './kvstoremesh.ts';
import { mcsapiCorednsCfg } from './mcsapi-coredns-cfg.ts';
import { connect, disconnect, enable, quarantine, status, ui } from './mesh.ts';
import { version } from './version.ts';

export const commands: Readonly<Record<string, Command>> = {
  clustermesh,
  kvstoremesh,
  combined,
  'clustermesh-dbg': clustermeshDbg,
  'kvstoremesh-dbg': kvstoremeshDbg,
  etcdinit,
  'mcsapi-coredns-cfg': mcsapiCorednsCfg,
  certs,
  enable,
  connect,
  disconnect,
  status,
  doctor,
  kv,
  quarantine,
  ui,
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

/** The help of the program, or of the command `name`. */
export async function help([name]: readonly string[]): Promise<number> {
  if (name !== undefined && name !== 'help') return commandNamed(commands, name).run(['--help']);
  process.stdout.write(programHelp(commands));
  return 0;
}
