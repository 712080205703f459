/** `connect` and `disconnect`: commands for a workstation with a kubeconfig, also as `kubectl clustermesh`. */

import { connectFlagTable, disconnectFlagTable } from '../mesh/flags.ts';
import { flagCommand } from './command/flag-command.ts';
import { print } from './command/output.ts';

// What they run is loaded there, so that no other command pays for it.

export const connect = flagCommand({
  name: 'connect',
  summary: 'Connect this cluster with others; the exit status is 1 after a failed check, 2 if Helm manages the Secrets',
  flags: connectFlagTable,
  async run({ values }) {
    const [{ connect, MESH_STATUS }, format] = await Promise.all([import('../mesh/connect.ts'), formatOf(values.output)]);
    const report = await connect(values, surroundings());
    print(format(report));
    return MESH_STATUS[report.verdict];
  },
});

export const disconnect = flagCommand({
  name: 'disconnect',
  summary: 'Disconnect this cluster from others; the exit status is 2 if Helm manages the Secrets',
  flags: disconnectFlagTable,
  async run({ values }) {
    const [{ disconnect, MESH_STATUS }, format] = await Promise.all([import('../mesh/connect.ts'), formatOf(values.output)]);
    const report = await disconnect(values, surroundings());
    print(format(report));
    return MESH_STATUS[report.verdict];
  },
});

async function formatOf(output: string) {
  if (output !== '') return (await import('./command/structured-output.ts')).structuredOutput(output);
  return (await import('../mesh/report-text.ts')).reportText;
}

/** A write is atomic, and another run completes what a signal interrupts. */
function surroundings() {
  return { signal: new AbortController().signal };
}
