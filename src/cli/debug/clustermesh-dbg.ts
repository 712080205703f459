/** `clustermesh-dbg`: why the `clustermesh` daemon does not reach its etcd. */
import { commandGroup } from '../command/command-group.ts';
import { flagCommand } from '../command/flag-command.ts';
import { print } from '../command/output.ts';
import { localDoctor } from './doctor.ts';
import { localTroubleshootFlagTable } from './flags.ts';

const NAME = 'clustermesh-dbg';

const troubleshoot = flagCommand({
  name: `${NAME} troubleshoot`,
  summary: 'Check the connection to the local etcd step by step',
  flags: localTroubleshootFlagTable,
  async run({ values: { etcdConfig, timeoutMs } }) {
    // Loaded here, so that no other command pays for it.
    const { etcdCheckTools: tools } = await import('./etcd-check-tools.ts');
    const { troubleshootLocal } = await import('../../shared/troubleshoot/troubleshoot.ts');
    for await (const text of troubleshootLocal(etcdConfig, { tools, timeoutMs })) print(text);
    return 0;
  },
});

export const clustermeshDbg = commandGroup({
  name: NAME,
  summary: 'Diagnose the connection of the clustermesh daemon to its etcd',
  commands: { doctor: localDoctor(NAME), troubleshoot },
});
