/** `completion`: prints a script by which a shell completes the command line of this program. It never calls the program. */
import { FlagError } from '../../shared/flags/error.ts';
import type { Command } from '../command/command.ts';
import { commandNamed } from '../command/command-group.ts';
import { groupHelp, PROGRAM } from '../command/help.ts';
import { print } from '../command/output.ts';
import { bashScript } from './bash.ts';
import { fishScript } from './fish.ts';
import { completableCommands } from './tree.ts';
import { zshScript } from './zsh.ts';

const NAME = 'completion';
const SUMMARY = 'Print the script by which a shell completes the commands and flags of this program';

const SHELLS = {
  bash: { summary: `For bash 4 and later: source <(${PROGRAM} completion bash)`, script: bashScript },
  zsh: { summary: `For zsh, into a directory of $fpath: ${PROGRAM} completion zsh > DIRECTORY/_${PROGRAM}`, script: zshScript },
  fish: { summary: `For fish 3 and later: ${PROGRAM} completion fish | source`, script: fishScript },
};

/** `all`: the commands of the program, this one included. */
export function completion(all: () => Readonly<Record<string, Command>>): Command {
  const commands = Object.fromEntries(
    Object.entries(SHELLS).map(([shell, { summary, script }]): [string, Command] => {
      const run = async (argv: readonly string[]) => {
        if (argv[0] !== undefined) throw new FlagError(`unexpected argument ${JSON.stringify(argv[0])}; ${shell} takes none`);
        print(script(completableCommands(all())));
        return 0;
      };
      return [shell, { summary, run }];
    }),
  );
  return {
    summary: SUMMARY,
    commands,
    async run([shell = 'help', ...argv]) {
      if (!['help', '-h', '--help'].includes(shell)) return commandNamed(commands, shell).run(argv);
      print(groupHelp(NAME, SUMMARY, commands));
      return 0;
    },
  };
}
