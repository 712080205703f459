/** Commands with flags: their flags are parsed, or shown where help is wanted. */
import { type ParsedFlags, parseFlags } from '../../shared/flags/parse.ts';
import type { logFlags } from '../../shared/flags/shared-flags.ts';
import type { FlagTable, FlagValues } from '../../shared/flags/table.ts';
import type { Logger } from '../../shared/process/log.ts';
import { type Clock, systemClock } from '../../shared/time/clock.ts';
import type { Command } from './command.ts';
import { commandHelp } from './help.ts';
import { logFormatOf } from './log-format.ts';
import { print } from './output.ts';
import { logStart } from './start-log.ts';
import { untilSignalled } from './until-signalled.ts';

interface FlagCommand<Table extends FlagTable> extends Pick<Command, 'summary'> {
  /** As on the command line, such as `certs check`. */
  readonly name: string;
  readonly flags: Table;
  /** Its arguments besides flags, for the help; absent where it takes none. */
  readonly operands?: string;
  /** Command lines without the name of the program. */
  readonly examples?: readonly string[];
  /** Resolves with the exit status. */
  run(flags: ParsedFlags<Table>): Promise<number>;
}

export function flagCommand<Table extends FlagTable>(command: FlagCommand<Table>): Command {
  const { name, summary, flags, operands, examples, run } = command;
  return {
    summary,
    flags,
    async run(argv) {
      const parsed = parseFlags(flags, argv, process.env, { takesOperands: operands !== undefined });
      if (parsed !== 'help') return run(parsed);
      print(commandHelp(name, summary, flags, { operands, examples }));
      return 0;
    },
  };
}

interface TaskCommand<Table extends FlagTable> extends Omit<FlagCommand<Table>, 'operands' | 'examples' | 'run'> {
  /** Logged when a signal has come. */
  readonly stopping: string;
  /** Throws FlagError for flags that it cannot run with, before anything is logged. */
  check?(flags: FlagValues<Table>): void;
  task(flags: FlagValues<Table>, surroundings: { log: Logger; clock: Clock; signal: AbortSignal }): Promise<void>;
}

/** A command that logs, and ends by itself or earlier by a signal. */
export function taskCommand<Table extends FlagTable & typeof logFlags>(command: TaskCommand<Table>): Command {
  const { name, stopping, check, task } = command;
  const run = async (flags: ParsedFlags<Table>) => {
    check?.(flags.values);
    const { debug, logOpt } = flags.values as FlagValues<typeof logFlags>;
    const { createLogger } = await import('../../shared/process/log.ts');
    const log = createLogger({ debug, format: logFormatOf(logOpt), base: { command: name } });
    logStart(log, flags);
    return untilSignalled({ log, stopping }, (signal) => task(flags.values, { log, clock: systemClock, signal }));
  };
  return flagCommand({ ...command, run });
}
