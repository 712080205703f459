/**
 * kubectl, where it is installed, against a kubeconfig, with a discovery cache of its own: servers of tests
 * come and go on ports that others have had before.
 */
import { execFile } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

export interface Kubectl extends Disposable {
  /** Runs it and returns what it printed. Rejects, with its own words, where it fails. */
  run(...args: readonly string[]): Promise<string>;
}

/** Why kubectl cannot be run here; undefined where it can. */
export function kubectlMissing(): string | undefined {
  return binary() === undefined ? 'no kubectl in the PATH' : undefined;
}

export function kubectl(kubeconfigFile: string): Kubectl {
  const path = binary();
  if (path === undefined) throw new Error('no kubectl in the PATH');
  const cache = mkdtempSync(join(tmpdir(), 'kubectl-test-'));
  return {
    async run(...args) {
      const all = [`--kubeconfig=${kubeconfigFile}`, `--cache-dir=${cache}`, ...args];
      const { stdout } = await promisify(execFile)(path, all, { timeout: 90_000, env: { HOME: cache, PATH: process.env.PATH } });
      return stdout;
    },
    [Symbol.dispose]: () => rmSync(cache, { recursive: true, force: true }),
  };
}

function binary(): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((directory) => join(directory, 'kubectl'))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
