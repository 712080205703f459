/** `kv`: keys of the etcd of a cluster, read from a workstation with a kubeconfig. */
import { placeFlags } from '../mesh/flags.ts';
import { interruption } from '../shared/process/interruption.ts';
import type { Command } from './command/command.ts';
import { commandGroup } from './command/command-group.ts';
import { flagCommand } from './command/flag-command.ts';
import { KV_COMMANDS, type KvCommandName, kvExamples } from './command/kv-flags.ts';
import { print } from './command/output.ts';

const NAME = 'kv';

const remote = (Object.keys(KV_COMMANDS) as KvCommandName[]).filter((name) => name !== 'decode');

function remoteCommand(name: KvCommandName): Command {
  const { summary, operands, flags } = KV_COMMANDS[name];
  const isEndless = name === 'watch';
  return flagCommand({
    name: `${NAME} ${name}`,
    summary,
    flags: { ...flags, ...placeFlags },
    operands,
    examples: kvExamples(NAME, name).map((example, index) => (index === 0 ? `${example} --context=east` : example)),
    async run({ values, effective, operands: given }) {
      const { runKv } = await import('../mesh/verbs/kv.ts');
      const passedOn = Object.keys(flags).map((flag) => `--${flag}=${effective[flag] ?? ''}`);
      const signal = interruption();
      const onOutput = (stream: 'stdout' | 'stderr', text: string) => {
        if (stream === 'stdout') print(text);
        else process.stderr.write(text);
      };
      const argv = [name, ...given, ...passedOn, ...(isEndless ? ['--end-with-input'] : [])];
      try {
        return await runKv({ place: values, argv, isEndless, signal, onOutput });
      } catch (thrown) {
        if (isEndless && signal.aborted) return 0;
        throw thrown;
      }
    },
  });
}

async function decode(argv: readonly string[]): Promise<number> {
  const { kv: inPod } = await import('./debug/kv.ts');
  return inPod.run(['decode', ...argv]);
}

export const kv = commandGroup({
  name: NAME,
  summary: 'Show keys of the etcd of this cluster, and compare a remote cluster with its mirror',
  commands: {
    ...Object.fromEntries(remote.map((name) => [name, remoteCommand(name)])),
    decode: { summary: KV_COMMANDS.decode.summary, flags: KV_COMMANDS.decode.flags, run: decode },
  },
});
