/** Every argument of every row is one that the program takes, with a value that it takes. */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { ETCDCTL, etcdctlMissing } from '../support/etcd/etcdctl.ts';
import { type Outcome, runChild } from '../support/processes/child.ts';
import { Helm, helmMissing, objectsOf } from './rendered/helm.ts';
import { MATRIX } from './rendered/matrix.ts';
import { containersOf, podOf } from './rendered/pods.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/clustermesh-apiserver', import.meta.url));

const missing = helmMissing();
/** The flag for defragmentation at the start has another name in older versions. */
const etcd = etcdVersions().findLast(({ version }) => version.localeCompare('3.6', 'en', { numeric: true }) >= 0);

const ours = (...args: readonly string[]) => runChild(PROGRAM, args, { env: { CLUSTERMESH_NODE: process.execPath } });

describe.skipIf(missing !== undefined)(`arguments of the chart${missing === undefined ? '' : ` (${missing})`}`, () => {
  /** By the path of the program and the words before the flags: every flag that occurs. */
  const flags = new Map<string, Set<string>>();

  beforeAll(async () => {
    using helm = new Helm();
    for (const { values } of MATRIX) {
      const pods = objectsOf(await helm.template(values)).flatMap((object) => podOf(object) ?? []);
      for (const { command, args } of pods.flatMap(containersOf).filter((container) => container.command !== undefined)) {
        const words = [...command, ...args.filter((argument) => !argument.startsWith('-'))];
        // After `--` are the flags of the second daemon.
        const second = args.includes('--') ? args.indexOf('--') : args.length;
        note(words, args.slice(0, second));
        if (second < args.length) note([...words, '--'], args.slice(second + 1));
      }
    }
  }, 120_000);

  function note(words: readonly string[], args: readonly string[]): void {
    const known = flags.get(words.join(' ')) ?? new Set();
    flags.set(words.join(' '), known.union(new Set(args.filter((argument) => argument.startsWith('-')))));
  }

  const flagsOf = (words: string) => [...(flags.get(words) ?? [])];
  const taken = async (outcome: Promise<Outcome>) => {
    const { status, stderr } = await outcome;
    return { status, stderr };
  };

  test('nothing but these is run', () => {
    expect([...flags.keys()].sort()).toEqual([
      '/usr/bin/clustermesh-apiserver certs generate',
      '/usr/bin/clustermesh-apiserver clustermesh',
      '/usr/bin/clustermesh-apiserver combined',
      '/usr/bin/clustermesh-apiserver combined --',
      '/usr/bin/clustermesh-apiserver etcdinit',
      '/usr/bin/clustermesh-apiserver kvstoremesh',
      '/usr/bin/etcd',
      '/usr/bin/etcdctl defrag',
    ]);
  });

  // Flags before --help are read, and their values judged.
  test.each(['clustermesh', 'kvstoremesh', 'etcdinit'])('%s takes them', async (command) => {
    const all = flagsOf(`/usr/bin/clustermesh-apiserver ${command}`);
    expect(all.length).toBeGreaterThan(4);
    expect(await taken(ours(command, ...all, '--help'))).toEqual({ status: 0, stderr: '' });
    expect((await ours(command, ...all, '--no-such-flag', '--help')).status).toBe(255);
  });

  test('combined takes those of both daemons', async () => {
    const [first, second] = ['combined', 'combined --'].map((words) => flagsOf(`/usr/bin/clustermesh-apiserver ${words}`));
    const all = ['combined', ...(first ?? []), '--', ...(second ?? [])];
    expect(await taken(ours(...all, '--help'))).toEqual({ status: 0, stderr: '' });
    expect((await ours(...all, '--no-such-flag', '--help')).status).toBe(255);
  });

  test('certs generate takes them', async () => {
    const all = flagsOf('/usr/bin/clustermesh-apiserver certs generate');
    expect(await taken(ours('certs', 'generate', ...all, '--help'))).toEqual({ status: 0, stderr: '' });
  });

  test.skipIf(etcd === undefined)(`etcd takes them${etcd === undefined ? ' (needs etcd 3.6)' : ''}`, async () => {
    const run = (...more: readonly string[]) => runChild(etcd?.path ?? '', [...flagsOf('/usr/bin/etcd'), ...more, '--version']);
    expect(await taken(run())).toEqual({ status: 0, stderr: '' });
    expect((await run('--no-such-flag')).status).not.toBe(0);
  });

  const noEtcdctl = etcdctlMissing();
  test.skipIf(noEtcdctl !== undefined)(`etcdctl takes them${noEtcdctl === undefined ? '' : ` (${noEtcdctl})`}`, async () => {
    const all = flagsOf('/usr/bin/etcdctl defrag');
    expect(await taken(runChild(ETCDCTL, [...all, 'defrag', '--help']))).toMatchObject({ status: 0 });
    expect((await runChild(ETCDCTL, [...all, '--no-such-flag', 'defrag', '--help'])).status).not.toBe(0);
  });
});
