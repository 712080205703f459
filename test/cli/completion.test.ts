import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { runChild } from '../support/processes/child.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { installedShell, SHELLS, type Shell } from './shells.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

const directory = temporaryDirectory('completion');
/** With a kubectl of the test. */
const PATH = `${directory}/bin:${process.env.PATH}`;
const scriptFile = (shell: Shell) => join(directory, `${shell}-script`);

const program = (...args: string[]) => runChild(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args]);
const isInstalled = (shell: Shell) => installedShell(shell) !== undefined;

/** Runs `shell` with nothing of the user's in its environment. */
function runShell(shell: Shell, ...args: readonly string[]) {
  const { program: path = shell, env = {} } = installedShell(shell) ?? {};
  return runChild(path, args, { cwd: directory, env: { HOME: directory, PATH, ...env } });
}

beforeAll(async () => {
  const write = async (shell: Shell) => {
    const { status, stdout, stderr } = await program('completion', shell);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    writeFileSync(scriptFile(shell), stdout);
  };
  await Promise.all(SHELLS.map(write));
  writeFileSync(join(directory, 'a file.yaml'), '');
  mkdirSync(join(directory, 'bin'));
  writeFileSync(
    join(directory, 'bin/kubectl'),
    '#!/bin/sh\n[ "$*" = "config get-contexts --output=name" ] && echo east && echo west\n',
    {
      mode: 0o755,
    },
  );
});

/** What a shell offers for the last of the words that follow the program's name. */
type Offers = (...words: string[]) => Promise<string[]>;

/** Words as readline splits them: "=" is one of its own. */
const inBash: Offers = async (...words) => {
  const split = ['clustermesh-apiserver', ...words]
    .flatMap((word) => word.split(/(=)/))
    .filter((word, i, all) => word !== '' || i === all.length - 1);
  const isOpen = words.at(-1)?.endsWith('=') === true;
  const all = isOpen ? split.slice(0, -1) : split;
  const code = `source ${scriptFile('bash')}
    read -r _ _ name _ < <(complete -p clustermesh-apiserver)
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    $name
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = await runChild('bash', ['--norc', '-c', code, 'bash', ...all], { cwd: directory, env: { PATH } });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((line) => line !== '');
};

const inFish: Offers = async (...words) => {
  const code = `source ${scriptFile('fish')}; complete -C ${JSON.stringify(['clustermesh-apiserver', ...words].join(' '))}`;
  const { stdout, stderr } = await runShell('fish', '--no-config', '-c', code);
  expect(stderr).toBe('');
  // Behind a tab comes the description; a value that follows its flag is offered along with the flag.
  return stdout.split('\n').flatMap((line) => line.split('\t')[0]?.replace(/^-.*=(?=.)/, '') || []);
};

const suites: readonly (readonly [Shell, Offers])[] = [
  ['bash', inBash],
  ['fish', inFish],
];

describe.each(suites)('%s', (shell, offers) => {
  test.skipIf(!isInstalled(shell))(`offers commands, those of commands too (needs ${shell})`, async () => {
    expect((await offers('kv')).sort()).toEqual(['kv', 'kvstoremesh', 'kvstoremesh-dbg']);
    expect(await offers('kvstoremesh-dbg', 'st')).toEqual(['status']);
    expect(await offers('kvstoremesh-dbg', '--host', 'localhost:1', 'tr')).toEqual(['troubleshoot']);
    expect(await offers('clustermesh-dbg', 'd')).toEqual(['doctor']);
    expect(await offers('completion', 'f')).toEqual(['fish']);
    expect((await offers('help', 'cl')).sort()).toEqual(['clustermesh', 'clustermesh-dbg']);
  });

  test.skipIf(!isInstalled(shell))(`offers the flags of the command, but not hidden ones (needs ${shell})`, async () => {
    expect((await offers('clustermesh', '--export-')).sort()).toEqual([
      '--export-endpoint-selector',
      '--export-namespace-selector',
      '--export-namespaces',
      '--export-selector',
    ]);
    expect(await offers('kvstoremesh', '--export-')).toEqual([]);
    expect(await offers('clustermesh', '--debug', '--clustermesh-service')).toEqual([]);
    expect(await offers('kvstoremesh-dbg', 'status', '--verb')).toEqual(['--verbose']);
  });

  test.skipIf(!isInstalled(shell))(`offers the values of a flag that has a choice (needs ${shell})`, async () => {
    expect((await offers('kvstoremesh', '--import-guard', '')).sort()).toEqual(['drop', 'off', 'warn']);
    expect(await offers('kvstoremesh', '--import-guard=w')).toEqual(['warn']);
    expect((await offers('kvstoremesh', '--import-guard=')).sort()).toEqual(['drop', 'off', 'warn']);
    expect(await offers('clustermesh', '--cluster-name', '')).toEqual([]);
    expect(await offers('kvstoremesh-dbg', 'status', '-o', 'y')).toEqual(['yaml']);
  });

  test.skipIf(!isInstalled(shell))(`offers the flags of either daemon on its side of -- (needs ${shell})`, async () => {
    expect((await offers('combined', '--export-n')).sort()).toEqual(['--export-namespace-selector', '--export-namespaces']);
    expect(await offers('combined', '--import-')).toEqual([]);
    expect((await offers('combined', '--debug', '--', '--import-')).sort()).toEqual(['--import-guard', '--import-policy']);
    expect(await offers('combined', '--debug', '--', '--export-')).toEqual([]);
  });

  test.skipIf(!isInstalled(shell))(`offers the contexts that kubectl knows (needs ${shell})`, async () => {
    expect(await offers('connect', '--context', 'ea')).toEqual(['east']);
    expect((await offers('kv', 'get', '--context=')).sort()).toEqual(['east', 'west']);
  });

  test.skipIf(!isInstalled(shell))(`offers files where a flag takes a path (needs ${shell})`, async () => {
    expect(await offers('clustermesh', '--k8s-kubeconfig-path', 'a')).toEqual(['a file.yaml']);
    expect(await offers('clustermesh', '--k8s-kubeconfig-path=a')).toEqual(['a file.yaml']);
    expect(await offers('clustermesh', '--cluster-name', 'a')).toEqual([]);
  });
});

test.skipIf(!isInstalled('bash'))(
  'bash offers true and false for a boolean behind its equals sign, and flags otherwise (needs bash)',
  async () => {
    expect(await inBash('clustermesh', '--debug=')).toEqual(['true', 'false']);
    expect(await inBash('clustermesh', '--debug', '--cluster-n')).toEqual(['--cluster-name']);
  },
);

for (const shell of SHELLS) {
  test.skipIf(!isInstalled(shell))(`the script for ${shell} is one that this shell can read (needs ${shell})`, async () => {
    const { status, stderr } = await runShell(shell, '-n', scriptFile(shell));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
}

test('an unknown shell is refused with those that are known', async () => {
  const { status, stderr } = await program('completion', 'fisch');
  expect(stderr).toContain('unknown command "fisch"; did you mean fish? allowed: bash, zsh, fish');
  expect(status).toBe(255);
});
