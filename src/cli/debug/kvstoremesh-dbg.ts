/** `kvstoremesh-dbg`: the status of a running `kvstoremesh`, and checks of its connections to etcd. */
import { fetchStatus, StatusUnavailableError } from '../../kvstoremesh/status/status-client.ts';
import { ProgramError } from '../../shared/errors.ts';
import { commandGroup } from '../command/command-group.ts';
import { flagCommand } from '../command/flag-command.ts';
import { print } from '../command/output.ts';
import { meshDoctor } from './doctor.ts';
import { hostFlag, meshTroubleshootFlagTable, ownClusterName, statusFlagTable } from './flags.ts';
import { importPlan } from './import-plan.ts';
import { kv } from './kv.ts';

const NAME = 'kvstoremesh-dbg';
const EXIT_UNAVAILABLE = 1;

const status = flagCommand({
  name: `${NAME} status`,
  summary: 'Show the state of the remote clusters',
  flags: statusFlagTable,
  async run({ values: { host, output, verbose } }) {
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
});

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

const troubleshoot = flagCommand({
  name: `${NAME} troubleshoot`,
  summary: 'Check the connections to the etcds of the remote clusters step by step',
  flags: meshTroubleshootFlagTable,
  operands: '[clusters...]',
  async run({ values, operands: clusters }) {
    const { clustermeshConfig: directory, etcdConfig, includeLocal, timeoutMs } = values;
    const { etcdCheckTools: tools } = await import('./etcd-check-tools.ts');
    const { troubleshootMesh } = await import('../../shared/troubleshoot/troubleshoot.ts');
    const localConfig = includeLocal ? etcdConfig : undefined;
    const options = { tools, timeoutMs, ownName: ownClusterName(), localConfig, directory, clusters };
    for await (const text of troubleshootMesh(options)) print(text);
    return 0;
  },
});

export const kvstoremeshDbg = commandGroup({
  name: NAME,
  summary: 'Show the status of the kvstoremesh daemon and diagnose its connections to etcd',
  commands: { doctor: meshDoctor(NAME), status, troubleshoot, kv, 'import-plan': importPlan(NAME) },
  leadingFlags: hostFlag,
});
