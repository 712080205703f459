/**
 * The etcd and the etcdctl of this machine.
 */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, globSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { MissingProgramError } from '../errors.ts';

export interface EtcdBinary {
  readonly path: string;
  /** `3.6.5` */
  readonly version: string;
}

/** The environment variables that locate programs. */
export interface SearchEnvironment {
  readonly ETCD_BIN?: string | undefined;
  readonly PATH?: string | undefined;
}

const ROOT = join(import.meta.dirname, '../../..');

/** The first etcd that runs: of `$ETCD_BIN` where that is set, else of the PATH, else below `.cache`. Throws MissingProgramError. */
export function findEtcd(env: SearchEnvironment): EtcdBinary {
  const named = env.ETCD_BIN ?? '';
  const paths =
    named === ''
      ? [...inPath(env, 'etcd'), ...globSync('.cache/etcd/**/etcd', { cwd: ROOT }).map((path) => join(ROOT, path))]
      : named.split(delimiter);
  for (const path of paths) {
    const version = etcdVersionOf(path);
    if (version !== undefined) return { path, version };
  }
  throw new MissingProgramError(
    named === ''
      ? 'no etcd was found; add one to the PATH, or set ETCD_BIN=/path/to/etcd'
      : `ETCD_BIN=${named} is not a working etcd; set another one, or unset it to search the PATH`,
  );
}

/**
 * The command to call `program` from any terminal, undefined if it is not installed: its name, or its path
 * if it belongs to the project, or is only next to `etcd`.
 */
export function findTool(program: string, env: SearchEnvironment, etcd: EtcdBinary): string | undefined {
  const found = [...inPath(env, program), join(dirname(etcd.path), program)].find(isExecutable);
  const isCommon = found !== undefined && inPath(env, program).includes(found) && !found.startsWith(ROOT);
  return isCommon ? program : found;
}

function inPath({ PATH = '' }: SearchEnvironment, program: string): string[] {
  return PATH.split(delimiter)
    .filter((directory) => directory !== '')
    .map((directory) => join(directory, program));
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The version of the etcd at `path`; undefined where there is none that runs. */
export function etcdVersionOf(path: string): string | undefined {
  if (!isExecutable(path)) return undefined;
  try {
    const text = execFileSync(path, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], env: {} });
    return /^etcd Version: (\S+)/.exec(text)?.[1];
  } catch {
    return undefined;
  }
}
