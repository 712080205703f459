/** The etcdctl that tests call: that of the PATH, else the one that the test command builds. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const TOOLS = join(import.meta.dirname, '../../../.cache/tools');

const found = ['etcdctl', join(TOOLS, 'etcdctl')].find((path) => versionOf(path) !== undefined);

/** A path, or a name to be found in the PATH; the name where there is none. */
export const ETCDCTL = found ?? 'etcdctl';

/** One that restores backups, which later versions leave to another program; undefined where there is none. */
export const RESTORING_ETCDCTL = ['etcdctl', join(TOOLS, 'etcdctl-3.5')].find((path) => /^3\.[45]\./.test(versionOf(path) ?? ''));

/** Why no etcdctl can be called; undefined where one can. */
export function etcdctlMissing(): string | undefined {
  return found === undefined ? 'no etcdctl: put one into the PATH, or run scripts/build-test-tools.sh' : undefined;
}

function versionOf(path: string): string | undefined {
  try {
    const env = { PATH: process.env.PATH, ETCDCTL_API: '3' };
    return /version: (\S+)/.exec(execFileSync(path, ['version'], { encoding: 'utf8', stdio: 'pipe', env }))?.[1];
  } catch {
    return undefined;
  }
}
