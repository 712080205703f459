/** `kvstoremesh-dbg`: the status of a running `kvstoremesh`, and checks of its connections to etcd. */
import { fetchStatus, StatusUnavailableError } from '../../kvstoremesh/status/status-client.ts';
import { ProgramError } from '../../shared/errors.ts';
import { parseFlags } from '../../shared/flags/parse.ts';
import type { Command } from '../command/command.ts';
import { commandGroup } from '../command/command-group.ts';
import { commandHelp } from '../command/help.ts';
import { print } from '../command/output.ts';
import { hostFlag, meshTroubleshootFlagTable, ownClusterName, statusFlagTable } from './flags.ts';

const NAME = 'kvstoremesh-dbg';
const EXIT_UNAVAILABLE = 1;
const STATUS_SUMMARY = 'Show the state of the remote clusters';
const TROUBLESHOOT_SUMMARY = 'Check the connections to the etcds of the remote clusters step by step';

const status: Command = {
  summary: STATUS_SUMMARY,
  flags: statusFlagTable,
  async run(argv) {
    const flags = parseFlags(statusFlagTable, argv);
    if (flags === 'help') {
      print(commandHelp(`${NAME} status`, STATUS_SUMMARY, statusFlagTable));
      return 0;
    }
    const { host, output, verbose } = flags.values;
    const format = output === '' ? await textOutput(verbose) : await structured(output);
    try {
      const answer = await fetchStatus(host);
      print(format(answer));
      return 0;
    } catch (thrown) {
      if (!(thrown instanceof ProgramError)) throw thrown;
      const what = thrown instanceof StatusUnavailableError ? 'retrieve' : 'output';
      print(`Failed to ${what} status information: ${thrown.message}\n`);
      return EXIT_UNAVAILABLE;
    }
  },
};

type Output = (answer: unknown) => string;

// Loaded when they are needed, so that no other command pays for them.

async function textOutput(verbose: boolean): Promise<Output> {
  const { statusText } = await import('../../kvstoremesh/status/status-text.ts');
  return (answer) => statusText(answer, { verbose, nowMs: Date.now() });
}

async function structured(option: string): Promise<Output> {
  const { structuredOutput } = await import('../command/structured-output.ts');
  return structuredOutput(option);
}

const troubleshoot: Command = {
  summary: TROUBLESHOOT_SUMMARY,
  flags: meshTroubleshootFlagTable,
  async run(argv) {
    const flags = parseFlags(meshTroubleshootFlagTable, argv, undefined, { takesOperands: true });
    if (flags === 'help') {
      print(commandHelp(`${NAME} troubleshoot`, TROUBLESHOOT_SUMMARY, meshTroubleshootFlagTable, '[clusters...]'));
      return 0;
    }
    const { clustermeshConfig: directory, etcdConfig, includeLocal, timeoutMs } = flags.values;
    const { etcdCheckTools: tools } = await import('./etcd-check-tools.ts');
    const { troubleshootMesh } = await import('../../shared/troubleshoot/troubleshoot.ts');
    const localConfig = includeLocal ? etcdConfig : undefined;
    const options = { tools, timeoutMs, ownName: ownClusterName(), localConfig, directory, clusters: flags.operands };
    for await (const text of troubleshootMesh(options)) print(text);
    return 0;
  },
};

export const kvstoremeshDbg = commandGroup({
  name: NAME,
  summary: 'Show the status of the kvstoremesh daemon and diagnose its connections to etcd',
  commands: { status, troubleshoot },
  leadingFlags: hostFlag,
});
