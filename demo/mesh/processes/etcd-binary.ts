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

/** What of the user's environment tells where programs are. */
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
      ? 'no etcd was found; put one into the PATH, or name it: ETCD_BIN=/path/to/etcd'
      : `ETCD_BIN=${named} is no etcd that runs here; name another one, or leave it empty to search the PATH`,
  );
}

/**
 * How to call `program` from any terminal, undefined where this machine does not have it: its name, or its path
 * where it is the project's own, or beside `etcd` only.
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

function isExecutable(path: string): boolean {
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
