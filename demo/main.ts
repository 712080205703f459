/**
 * The demo: a mesh of two clusters, its story, and then the experiments of the user.
 *
 * Exits with status 0 if the story succeeded, 1 if a step failed or could not run, 2 if the
 * command line is invalid, and 130 if it was interrupted.
 */
import { constants } from 'node:os';
import { asError, isAbort, ProgramError } from '../src/shared/errors.ts';
import { FlagError } from '../src/shared/flags/error.ts';
import { Mesh } from './mesh/mesh.ts';
import { type EtcdBinary, findEtcd, type SearchEnvironment } from './mesh/processes/etcd-binary.ts';
import { stayUp, suggest } from './story/aftermath.ts';
import { type DemoOptions, HELP, parseOptions } from './story/options.ts';
import { introduce } from './story/scenery.ts';
import { tellStory } from './story/story.ts';
import { Terminal } from './story/terminal.ts';

const EXIT_STEP_FAILED = 1;
const EXIT_USAGE = 2;

async function run(options: DemoOptions, env: SearchEnvironment, interrupted: AbortSignal): Promise<number> {
  const terminal = new Terminal(process.stdout);
  const etcd: EtcdBinary = findEtcd(env);
  const mesh = new Mesh({ etcd, path: env.PATH ?? '', kubeconfigs: options.kubeconfigs, signal: interrupted });
  let isTold = false;
  try {
    terminal.title('A mesh of two clusters');
    const starting = terminal.progress('starting');
    await mesh.start().finally(() => starting.end());
    introduce(mesh, etcd, terminal);
    isTold = await tellStory(mesh, terminal, interrupted);
    if (options.once) return isTold ? 0 : EXIT_STEP_FAILED;
    suggest(mesh, etcd, env, terminal);
    await stayUp(mesh, terminal, interrupted);
    return isTold ? 0 : EXIT_STEP_FAILED;
  } catch (thrown) {
    if (!isAbort(thrown, interrupted)) throw thrown;
    return isTold ? 0 : 128 + constants.signals.SIGINT;
  } finally {
    if (interrupted.aborted) terminal.line('\nStopping and removing everything.');
    await mesh.stop();
  }
}

function interruption(): AbortSignal {
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      // The guardian removes everything that is left.
      if (interrupted.signal.aborted) process.exit(128 + constants.signals[name]);
      interrupted.abort(new Error(`ended by ${name}`));
    });
  }
  return interrupted.signal;
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === 'help') process.stdout.write(HELP);
  else process.exitCode = await run(options, process.env, interruption());
} catch (thrown) {
  const error = asError(thrown);
  process.stderr.write(`demo: ${error instanceof ProgramError ? error.message : (error.stack ?? error.message)}\n`);
  process.exitCode = error instanceof FlagError ? EXIT_USAGE : EXIT_STEP_FAILED;
}
