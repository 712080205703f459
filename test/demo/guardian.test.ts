/**
 * What the demo starts, and a demo that is killed at the worst moment.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const GUARDIAN = fileURLToPath(new URL('../../demo/mesh/processes/guardian.ts', import.meta.url));

/** A program that starts `starts` processes by a guardian and has died before it could send anything more. */
function killedProgram(directory: string, starts: number): string {
  return `
    import { openSync } from 'node:fs';
    import { Guardian } from ${JSON.stringify(GUARDIAN)};
    const guardian = new Guardian(${JSON.stringify(directory)});
    const log = openSync('/dev/null', 'w');
    for (let start = 0; start < ${starts}; start++) {
      guardian.spawn({ command: process.execPath, args: ['-e', 'setInterval(() => {}, 1000)', ${JSON.stringify(directory)}], env: {}, log });
    }
    process.kill(process.pid, 'SIGKILL');
  `;
}

function processesNaming(text: string): readonly string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });
}

test.each([1, 3])('%i processes end with the program that was killed while it was starting them', async (starts) => {
  const directory = temporaryDirectory('guardian');
  const program = spawn(process.execPath, ['--input-type=module', '-e', killedProgram(directory, starts)], { stdio: 'inherit' });
  const signal = await new Promise((resolve) => {
    program.once('exit', (_, how) => resolve(how));
  });

  expect(signal).toBe('SIGKILL');
  await until('they and the guardian are gone', () => processesNaming(directory).length === 0, {
    status: () => processesNaming(directory),
  });
});
