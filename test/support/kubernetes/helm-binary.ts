/** The binary of Helm for tests: that of the PATH where it is version 3, else the one of .cache/tools. */
import { execFileSync } from 'node:child_process';
import { delimiter, join } from 'node:path';

const found = [
  ...(process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, 'helm')),
  join(import.meta.dirname, '../../../.cache/tools/helm'),
].find((path) => {
  try {
    return execFileSync(path, ['version', '--short'], { encoding: 'utf8', stdio: 'pipe' }).startsWith('v3.');
  } catch {
    return false;
  }
});

/** Its path; empty where there is none. */
export const HELM = found ?? '';

/** Why Helm cannot be called; undefined where it can. */
export function helmMissing(): string | undefined {
  return found === undefined ? 'no helm 3: put one into the PATH, or run scripts/build-test-tools.sh' : undefined;
}
