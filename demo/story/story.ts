/** The story: its steps in order, and the output of a failed step. */
import type { Mesh } from '../mesh/mesh.ts';
import type { MeshProcess } from '../mesh/processes/mesh-process.ts';
import { FAILURE_STEPS } from './failure-steps.ts';
import { OPERATOR_STEP } from './operator-step.ts';
import { REMOVE_STEP, SERVICE_STEPS } from './service-steps.ts';
import { Stage, type Step, StepFailedError } from './stage.ts';
import { duration, type Terminal } from './terminal.ts';

const STORY: readonly Step[] = [...SERVICE_STEPS, ...FAILURE_STEPS, REMOVE_STEP, OPERATOR_STEP];

const LOG_LINES_READ = 200;
const LOG_LINES_SHOWN = 4;
const LOG_COLUMNS = 300;

/**
 * Runs the story to its end, or to the first failed step; resolves with whether
 * all steps succeeded. Rejects with the signal's reason when it is aborted.
 */
export async function tellStory(mesh: Mesh, terminal: Terminal, signal: AbortSignal): Promise<boolean> {
  const startMs = performance.now();
  const stage = new Stage(mesh, terminal, signal);
  for (const [index, step] of STORY.entries()) {
    terminal.headline(index + 1, step.title);
    try {
      await step.run(stage);
    } catch (thrown) {
      if (!(thrown instanceof StepFailedError)) throw thrown;
      terminal.failed(thrown.expectation, thrown.message);
      for (const process of mesh.processes) showLog(process, terminal);
      terminal.title(`Step ${index + 1} of ${STORY.length} failed.`);
      return false;
    }
  }
  terminal.title(`All ${STORY.length} steps succeeded, in ${duration(performance.now() - startMs)}.`);
  return true;
}

/** The last things that the process itself found worth a warning, else its last words. */
function showLog(process: MeshProcess, terminal: Terminal): void {
  const lines = process.logTail(LOG_LINES_READ).filter((line) => line !== '');
  const warnings = lines.filter((line) => /"level":"(warn|error|fatal)"/.test(line) || !line.startsWith('{'));
  terminal.gap();
  terminal.remark(`${process.name} (${process.logFile}):`);
  const shown = (warnings.length > 0 ? warnings : lines).slice(-LOG_LINES_SHOWN);
  for (const line of shown.length > 0 ? shown : ['no log lines']) terminal.command(line.slice(0, LOG_COLUMNS));
}
