/** `kvstoremesh-dbg kv`: keys of the local etcd, and a remote cluster compared with its mirror. */
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { KindDiff } from '../../kvstoremesh/kv/diff.ts';
import { KINDS, type Kind, placesOf } from '../../kvstoremesh/kv/kinds.ts';
import { clusterNameProblem } from '../../shared/cluster-info.ts';
import { MIRRORED_KINDS, type MirroredKind } from '../../shared/etcd/keyspace.ts';
import { FlagError } from '../../shared/flags/error.ts';
import { quoted } from '../../shared/flags/kinds.ts';
import type { FlagTable, FlagValues } from '../../shared/flags/table.ts';
import { bool } from '../../shared/flags/table.ts';
import { systemClock } from '../../shared/time/clock.ts';
import type { Command } from '../command/command.ts';
import { commandGroup } from '../command/command-group.ts';
import { flagCommand } from '../command/flag-command.ts';
import { KV_COMMANDS, type KvCommandName, kvExamples } from '../command/kv-flags.ts';
import { print } from '../command/output.ts';
import { localTroubleshootFlagTable, meshTroubleshootFlagTable, ownClusterName } from './flags.ts';
import { withEtcd } from './with-etcd.ts';

const NAME = 'kvstoremesh-dbg kv';
/** The key does not exist, or the mirror differs. */
const EXIT_DIFFERENT = 1;

const local = {
  'etcd-config': localTroubleshootFlagTable['etcd-config'],
  timeout: { ...localTroubleshootFlagTable.timeout, usage: 'Longest time for all requests', default: 60_000 },
};
const remote = { 'clustermesh-config': meshTroubleshootFlagTable['clustermesh-config'] };
const endWithInput = {
  'end-with-input': bool(false, 'End when standard input ends, as it does when a connection to the Pod is lost', {
    hidden: true,
  }),
};

function command<Own extends FlagTable>(
  name: KvCommandName,
  own: Own,
  run: (operands: readonly string[], values: FlagValues<Own> & Readonly<Record<'output' | 'cluster', string>>) => Promise<number>,
): Command {
  const { summary, operands, flags } = KV_COMMANDS[name];
  const table = { ...flags, ...own };
  const made = flagCommand({
    name: `${NAME} ${name}`,
    summary,
    flags: table,
    operands,
    examples: kvExamples(NAME, name),
    run: async ({ values, operands: given }) => {
      const named = values as unknown as FlagValues<Own> & { output: string; cluster?: string };
      return run(checkedOperands(name, given), { ...named, cluster: named.cluster ?? '' });
    },
  });
  return { ...made, operands: KINDS };
}

function checkedOperands(name: KvCommandName, operands: readonly string[]): readonly string[] {
  const form = KV_COMMANDS[name].operands.split(' ');
  const least = form.filter((each) => !each.startsWith('[')).length;
  if (operands.length < least || operands.length > form.length)
    throw new FlagError(`expected the arguments ${KV_COMMANDS[name].operands}, got ${operands.length}`);
  return operands;
}

function kindFrom<T extends Kind>(text: string, allowed: readonly T[]): T {
  const kind = allowed.find((each) => each === text);
  if (kind === undefined) throw new FlagError(`${quoted(text)} is not a kind of keys; allowed: ${allowed.join(', ')}`);
  return kind;
}

function clusterFrom(name: string): string | undefined {
  const problem = name === '' ? undefined : clusterNameProblem(name);
  if (problem !== undefined) throw new FlagError(`flag --cluster: ${problem}`);
  return name === '' ? undefined : name;
}

async function formatOf(output: string): Promise<((answer: unknown) => string) | undefined> {
  return output === '' ? undefined : (await import('../command/structured-output.ts')).structuredOutput(output);
}

const get = command('get', local, async ([kindText = '', name = ''], { cluster, output, etcdConfig, timeoutMs }) => {
  const kind = kindFrom(kindText, KINDS);
  const [{ getKey, KeyMissingError }, format] = await Promise.all([
    import('../../kvstoremesh/kv/read.ts'),
    formatOf(output || 'yaml'),
  ]);
  const isConfig = kind === 'cluster-config';
  const places = placesOf(kind, isConfig ? clusterFrom(name) : clusterFrom(cluster), ownClusterName());
  return withEtcd(etcdConfig, timeoutMs, async ({ client, signal }) => {
    try {
      print(format?.(await getKey(client, places, name, signal)) ?? '');
      return 0;
    } catch (thrown) {
      if (!(thrown instanceof KeyMissingError)) throw thrown;
      process.stderr.write(`${thrown.message}\n`);
      return EXIT_DIFFERENT;
    }
  });
});

const list = command(
  'list',
  { ...local, limit: KV_COMMANDS.list.flags.limit },
  async ([kindText = ''], { cluster, output, limit, etcdConfig, timeoutMs }) => {
    const places = placesOf(kindFrom(kindText, KINDS), clusterFrom(cluster), ownClusterName());
    const [{ listKeys }, { listText }, format] = await Promise.all([
      import('../../kvstoremesh/kv/read.ts'),
      import('../../kvstoremesh/kv/text.ts'),
      formatOf(output),
    ]);
    return withEtcd(etcdConfig, timeoutMs, async ({ client, signal }) => {
      const found = await listKeys(client, places, { limit: limit || Number.POSITIVE_INFINITY, signal });
      print(format === undefined ? listText(found) : format(found));
      return 0;
    });
  },
);

const watch = command(
  'watch',
  { 'etcd-config': local['etcd-config'], duration: KV_COMMANDS.watch.flags.duration, ...endWithInput },
  async ([kindText = ''], { cluster, output, durationMs, etcdConfig, endWithInput: endsWithInput }) => {
    const places = placesOf(kindFrom(kindText, KINDS), clusterFrom(cluster), ownClusterName());
    if (output !== '' && output !== 'json')
      throw new FlagError(`flag --output: ${quoted(output)} is not supported; allowed: json`);
    const [{ watchKeys }, { changeText }] = await Promise.all([
      import('../../kvstoremesh/kv/read.ts'),
      import('../../kvstoremesh/kv/text.ts'),
    ]);
    const over = new AbortController();
    const end = () => over.abort(new Error('standard input has ended'));
    if (endsWithInput) process.stdin.on('end', end).on('error', end).resume();
    return withEtcd(etcdConfig, durationMs, async ({ client, signal: limit }) => {
      const signal = AbortSignal.any([limit, over.signal]);
      const follow = async (place: (typeof places)[number]) => {
        for await (const change of watchKeys(client, place, signal))
          print(output === 'json' ? `${JSON.stringify(change)}\n` : changeText(change));
      };
      try {
        await Promise.all(places.map(follow));
      } catch (thrown) {
        if (!signal.aborted) throw thrown;
      }
      return 0;
    });
  },
);

const diff = command('diff', { ...local, ...remote }, async ([cluster = '', kindText], options) => {
  const { output, etcdConfig, clustermeshConfig, timeoutMs } = options;
  const problem = clusterNameProblem(cluster);
  if (problem !== undefined) throw new FlagError(`${quoted(cluster)}: ${problem}`);
  const kinds: readonly MirroredKind[] = kindText === undefined ? MIRRORED_KINDS : [kindFrom(kindText, MIRRORED_KINDS)];
  const [{ diffKinds, isDifferent }, { diffText }, format] = await Promise.all([
    import('../../kvstoremesh/kv/diff.ts'),
    import('../../kvstoremesh/kv/text.ts'),
    formatOf(output),
  ]);
  return withEtcd(etcdConfig, timeoutMs, ({ client: localClient }) =>
    withEtcd(join(clustermeshConfig, cluster), timeoutMs, async ({ client, signal }) => {
      const sides = { remote: client, local: localClient, cluster, clock: systemClock, signal };
      const found: KindDiff[] = [];
      for await (const each of diffKinds(sides, kinds)) found.push(each);
      print(format === undefined ? diffText(found) : format(found));
      return found.some(isDifferent) ? EXIT_DIFFERENT : 0;
    }),
  );
});

const decode = command('decode', {}, async ([kindText = ''], { output }) => {
  const kind = kindFrom(kindText, KINDS);
  const [{ decodedValue }, format] = await Promise.all([import('../../kvstoremesh/kv/decode.ts'), formatOf(output || 'yaml')]);
  print(format?.(decodedValue(kind, await buffer(process.stdin))) ?? '');
  return 0;
});

export const kv = commandGroup({
  name: NAME,
  summary: 'Show keys of the local etcd, and compare a remote cluster with its mirror',
  commands: { get, list, watch, diff, decode },
});
