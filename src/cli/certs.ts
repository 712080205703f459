/** `certs`: creates, renews and checks the certificates of a cluster, and rotates their CA. */
import { checkFlagTable, generateFlagTable, rotateFlagTable } from '../certs/flags.ts';
import type { RotationStep } from '../certs/rotate.ts';
import { parseFlags } from '../shared/flags/parse.ts';
import { createLogger, silentLogger } from '../shared/process/log.ts';
import { systemClock } from '../shared/time/clock.ts';
import type { Command } from './command/command.ts';
import { commandGroup } from './command/command-group.ts';
import { commandHelp } from './command/help.ts';
import { print } from './command/output.ts';
import { logStart } from './command/start-log.ts';
import { untilSignalled } from './command/until-signalled.ts';

const NAME = 'certs';
const STOPPING = 'stopping; run the command again to complete it';

const GENERATE_SUMMARY = 'Create the CA and certificate Secrets, and reissue certificates that expire or do not match';

const generate: Command = {
  summary: GENERATE_SUMMARY,
  flags: generateFlagTable,
  async run(argv) {
    const flags = parseFlags(generateFlagTable, argv);
    if (flags === 'help') {
      print(commandHelp(`${NAME} generate`, GENERATE_SUMMARY, generateFlagTable));
      return 0;
    }
    const log = createLogger({ debug: flags.values.debug, base: { command: `${NAME} generate` } });
    logStart(log, flags);
    // Loaded here, so that no other command pays for it.
    const { generate } = await import('../certs/generate.ts');
    const task = (signal: AbortSignal) => generate(flags.values, { log, clock: systemClock, signal });
    return untilSignalled({ log, stopping: STOPPING }, task);
  },
};

const CHECK_SUMMARY = 'Check the certificates; the exit status is 0 without findings, 1 with warnings, 2 with errors';

const check: Command = {
  summary: CHECK_SUMMARY,
  flags: checkFlagTable,
  async run(argv) {
    const flags = parseFlags(checkFlagTable, argv);
    if (flags === 'help') {
      print(commandHelp(`${NAME} check`, CHECK_SUMMARY, checkFlagTable));
      return 0;
    }
    const { CHECK_STATUS, check, checkText } = await import('../certs/check.ts');
    const { output } = flags.values;
    const format = output === '' ? checkText : (await import('./command/structured-output.ts')).structuredOutput(output);
    const { signal } = new AbortController();
    const report = await check(flags.values, { log: silentLogger, clock: systemClock, signal });
    print(format(report));
    return CHECK_STATUS[report.verdict];
  },
};

const STEP_SUMMARIES: Readonly<Record<RotationStep, string>> = {
  prepare: 'Step 1: create the next CA and add it to the trusted CAs of every Secret',
  switch: 'Step 2: reissue all certificates from the next CA; the previous CA stays trusted',
  finish: 'Step 3: remove the previous CA from the trusted CAs',
  abort: 'Undo step 1: remove the next CA',
};

function rotationStep(step: RotationStep): Command {
  const summary = STEP_SUMMARIES[step];
  return {
    summary,
    flags: rotateFlagTable,
    async run(argv) {
      const flags = parseFlags(rotateFlagTable, argv);
      if (flags === 'help') {
        print(commandHelp(`${NAME} rotate-ca ${step}`, summary, rotateFlagTable));
        return 0;
      }
      const log = createLogger({ debug: flags.values.debug, base: { command: `${NAME} rotate-ca ${step}` } });
      logStart(log, flags);
      const { rotateCa } = await import('../certs/rotate.ts');
      const task = (signal: AbortSignal) => rotateCa(step, flags.values, { log, clock: systemClock, signal });
      return untilSignalled({ log, stopping: STOPPING }, task);
    },
  };
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
