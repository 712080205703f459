/** `clustermesh-dbg`: why the `clustermesh` daemon does not reach its etcd. */
import { parseFlags } from '../../shared/flags/parse.ts';
import type { Command } from '../command/command.ts';
import { commandGroup } from '../command/command-group.ts';
import { commandHelp } from '../command/help.ts';
import { print } from '../command/output.ts';
import { localTroubleshootFlagTable } from './flags.ts';

const NAME = 'clustermesh-dbg';
const SUMMARY = 'Check the connection to the local etcd step by step';

const troubleshoot: Command = {
  summary: SUMMARY,
  flags: localTroubleshootFlagTable,
  async run(argv) {
    const flags = parseFlags(localTroubleshootFlagTable, argv);
    if (flags === 'help') {
      print(commandHelp(`${NAME} troubleshoot`, SUMMARY, localTroubleshootFlagTable));
      return 0;
    }
    const { etcdConfig, timeoutMs } = flags.values;
    // Loaded here, so that no other command pays for it.
    const { etcdCheckTools: tools } = await import('./etcd-check-tools.ts');
    const { troubleshootLocal } = await import('../../shared/troubleshoot/troubleshoot.ts');
    for await (const text of troubleshootLocal(etcdConfig, { tools, timeoutMs })) print(text);
    return 0;
  },
};

export const clustermeshDbg = commandGroup({
  name: NAME,
  summary: 'Diagnose the connection of the clustermesh daemon to its etcd',
  commands: { troubleshoot },
});
