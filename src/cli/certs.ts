/** `certs`: creates, renews, checks and exchanges the certificates of a cluster, and their CA. */
import { checkFlagTable, generateFlagTable, rotateFlagTable } from '../certs/flags.ts';
import type { RotationStep } from '../certs/rotate.ts';
import { systemClock } from '../shared/clock.ts';
import { parseFlags } from '../shared/flags/parse.ts';
import { createLogger, silentLogger } from '../shared/log.ts';
import type { Command } from './command.ts';
import { commandGroup } from './command-group.ts';
import { commandHelp } from './help.ts';
import { print } from './output.ts';
import { logStart } from './start-log.ts';
import { untilSignalled } from './until-signalled.ts';

const NAME = 'certs';
const STOPPING = 'stopping; another run completes what this one has begun';

const GENERATE_SUMMARY = 'Create the Secrets of the CA and the certificates, and renew what does not fit or comes to its end';

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

const CHECK_SUMMARY = 'Tell what is wrong with the certificates; the status is 0 for nothing, 1 for warnings, 2 for errors';

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
    const format = output === '' ? checkText : (await import('./structured-output.ts')).structuredOutput(output);
    const { signal } = new AbortController();
    const report = await check(flags.values, { log: silentLogger, clock: systemClock, signal });
    print(format(report));
    return CHECK_STATUS[report.verdict];
  },
};

const STEP_SUMMARIES: Readonly<Record<RotationStep, string>> = {
  prepare: 'Step 1: create the next CA, and let every Secret trust it besides the present one',
  switch: 'Step 2: issue every certificate of the next CA; the previous one is still trusted',
  finish: 'Step 3: trust the previous CA no longer',
  abort: 'Instead of step 2: drop the next CA',
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
  summary: 'Exchange the CA in steps, without a moment in which two sides do not trust each other',
  commands: {
    prepare: rotationStep('prepare'),
    switch: rotationStep('switch'),
    finish: rotationStep('finish'),
    abort: rotationStep('abort'),
  },
});

export const certs = commandGroup({
  name: NAME,
  summary: 'Create, renew, check and exchange the certificates of a cluster',
  commands: { generate, check, 'rotate-ca': rotateCa },
});
