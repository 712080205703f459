/** Flags and operands of the `kv` commands; those of a workstation pass them on to the ones in the Pod. */
import { duration, text, uint } from '../../shared/flags/table.ts';

const output = {
  output: text('', "Another form of output: json, yaml or jsonpath='{…}'", {
    shorthand: 'o',
    candidates: ['json', 'yaml', 'jsonpath='],
  }),
};
const cluster = { cluster: text('', 'Cluster whose keys are read; empty for all clusters') };

export const KV_COMMANDS = {
  get: {
    summary: 'Show a key with its value decoded; the exit status is 1 if it does not exist',
    operands: 'KIND NAME',
    flags: { ...output, ...cluster },
    examples: ['get services shop/cart --cluster=west', 'get nodes west/worker-1 -o json', 'get cluster-config west'],
  },
  list: {
    summary: 'List keys; with -o also their values',
    operands: 'KIND',
    flags: { ...output, ...cluster, limit: uint(1_000, 'Maximum number of keys; 0 for no limit') },
    examples: ['list services --cluster=west', 'list identities -o json'],
  },
  watch: {
    summary: 'Print changes of keys as they happen',
    operands: 'KIND',
    flags: {
      output: text('', 'Another form of output: json, one object in a line', { shorthand: 'o', candidates: ['json'] }),
      ...cluster,
      duration: duration('10m', 'Time after which the command ends', { min: '1s', max: '24h' }),
    },
    examples: ['watch services --cluster=west', 'watch endpoints --duration=1m -o json'],
  },
  diff: {
    summary: 'Compare a remote cluster with its mirror; the exit status is 1 if they differ',
    operands: 'CLUSTER [KIND]',
    flags: output,
    examples: ['diff west', 'diff west services -o json'],
  },
  decode: {
    summary: 'Decode a value from standard input, as etcd has it',
    operands: 'KIND',
    flags: output,
    examples: ['decode endpointslices < value'],
  },
} as const;

export type KvCommandName = keyof typeof KV_COMMANDS;

/** With the name of the group, as it is called: `kvstoremesh-dbg kv`. */
export function kvExamples(group: string, name: KvCommandName): readonly string[] {
  return KV_COMMANDS[name].examples.map((example) => `${group} ${example}`);
}
