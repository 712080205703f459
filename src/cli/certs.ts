/** `certs`: creates, renews and checks the certificates of a cluster, and rotates their CA. */
import { checkFlagTable, generateFlagTable, rotateFlagTable } from '../certs/flags.ts';
import type { RotationStep } from '../certs/rotate.ts';
import { systemClock } from '../shared/time/clock.ts';
import { answerForm } from './command/answer-form.ts';
import type { Command } from './command/command.ts';
import { commandGroup } from './command/command-group.ts';
import { flagCommand, taskCommand } from './command/flag-command.ts';
import { print } from './command/output.ts';

const NAME = 'certs';
const STOPPING = 'stopping; run the command again to complete it';

// What they run is loaded there, so that no other command pays for it.

const generate = taskCommand({
  name: `${NAME} generate`,
  summary: 'Create the CA and certificate Secrets, and reissue certificates that expire or do not match',
  flags: generateFlagTable,
  stopping: STOPPING,
  async task(flags, surroundings) {
    const { generate } = await import('../certs/generate.ts');
    await generate(flags, surroundings);
  },
});

const check = flagCommand({
  name: `${NAME} check`,
  summary: 'Check the certificates; the exit status is 0 without findings, 1 with warnings, 2 with errors',
  flags: checkFlagTable,
  async run({ values }) {
    const [{ CHECK_STATUS, check, checkText }, { silentLogger }] = await Promise.all([
      import('../certs/check.ts'),
      import('../shared/process/log.ts'),
    ]);
    const { output } = values;
    const format = await answerForm(output, checkText);
    const { signal } = new AbortController();
    const report = await check(values, { log: silentLogger, clock: systemClock, signal });
    print(format(report));
    return CHECK_STATUS[report.verdict];
  },
});

const STEP_SUMMARIES: Readonly<Record<RotationStep, string>> = {
  prepare: 'Step 1: create the next CA and add it to the trusted CAs of every Secret',
  switch: 'Step 2: reissue all certificates from the next CA; the previous CA stays trusted',
  finish: 'Step 3: remove the previous CA from the trusted CAs',
  abort: 'Undo step 1: remove the next CA',
};

function rotationStep(step: RotationStep): Command {
  return taskCommand({
    name: `${NAME} rotate-ca ${step}`,
    summary: STEP_SUMMARIES[step],
    flags: rotateFlagTable,
    stopping: STOPPING,
    async task(flags, surroundings) {
      const { rotateCa } = await import('../certs/rotate.ts');
      await rotateCa(step, flags, surroundings);
    },
  });
}

const rotateCa = commandGroup({
  name: `${NAME} rotate-ca`,
  summary: 'Replace the CA step by step without interrupting connections',
  commands: {
    prepare: rotationStep('prepare'),
    switch: rotationStep('switch'),
    finish: rotationStep('finish'),
    abort: rotationStep('abort'),
  },
});

export const certs = commandGroup({
  name: NAME,
  summary: 'Create, renew and check the certificates of a cluster, and rotate their CA',
  commands: { generate, check, 'rotate-ca': rotateCa },
});
