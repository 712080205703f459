/** The shells that scripts for completion are tried in: those of the PATH, else those that the test command has unpacked. */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;

export type Shell = (typeof SHELLS)[number];

export interface InstalledShell {
  /** A path, or a name to be found in the PATH. */
  readonly program: string;
  /** What it needs in its environment to find its libraries. */
  readonly env: Readonly<Record<string, string>>;
}

const PACKAGES = join(import.meta.dirname, '../../.cache/tools/shells');

/** Undefined where there is none. */
export function installedShell(shell: Shell): InstalledShell | undefined {
  const at = (pattern: string) => globSync(pattern, { cwd: PACKAGES }).map((path) => join(PACKAGES, path));
  const env = { LD_LIBRARY_PATH: at('{usr/,}lib/*-linux-gnu').join(':') };
  const unpacked = at(`{usr/,}bin/${shell}`).map((program) => ({ program, env }));
  return [{ program: shell, env: {} }, ...unpacked].find((each) => runs(each));
}

function runs({ program, env }: InstalledShell): boolean {
  return spawnSync(program, ['-c', 'true'], { env: { ...process.env, ...env }, stdio: 'ignore' }).status === 0;
}
