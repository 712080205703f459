/** The etcdctl that tests call: that of the PATH, else the one that the test command builds. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const CANDIDATES = ['etcdctl', join(import.meta.dirname, '../../.cache/tools/etcdctl')];

const found = CANDIDATES.find((path) => {
  try {
    execFileSync(path, ['version'], { stdio: 'ignore', env: { ...process.env, ETCDCTL_API: '3' } });
    return true;
  } catch {
    return false;
  }
});

/** A path, or a name to be found in the PATH; the name where there is none. */
export const ETCDCTL = found ?? 'etcdctl';

/** Why no etcdctl can be called; undefined where one can. */
export function etcdctlMissing(): string | undefined {
  return found === undefined ? 'no etcdctl: put one into the PATH, or run scripts/build-test-tools.sh' : undefined;
}
