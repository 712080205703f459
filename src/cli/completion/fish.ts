/** The completion script for fish, from version 3 on. */

import { PROGRAM } from '../command/help.ts';
import { type CompletableCommand, type CompletableFlag, isFurtherList, LIST_CONTEXTS, writtenNames } from './tree.ts';

const FUNCTION = '__clustermesh_apiserver_at';

export function fishScript(commands: readonly CompletableCommand[]): string {
  const paths = commands.map(({ path }) => path).filter((path) => path !== '');
  return `# fish completion of ${PROGRAM}
function ${FUNCTION}
    set -l command
    for word in (commandline -opc)
        switch "$command/$word"
            case ${paths.join(' ')}
                set command "$command/$word"
        end
    end
    test "$command" = "$argv[1]"
end
complete -c ${PROGRAM} -f
${commands.flatMap(completions).join('\n')}
`;
}

function completions(command: CompletableCommand): string[] {
  const { path, words, flags } = command;
  const start = `complete -c ${PROGRAM} -n ${quoted(`${FUNCTION} '${path}'`)}`;
  return [
    ...words.map(({ word, summary }) => `${start} -a ${quoted(word)}${summary === '' ? '' : ` -d ${quoted(summary)}`}`),
    ...flags.flatMap((flag) =>
      (isFurtherList(command) ? asWords(flag) : [flagOptions(flag)]).map((each) => `${start} ${each} -d ${quoted(flag.usage)}`),
    ),
  ];
}

function asWords(flag: CompletableFlag): string[] {
  return writtenNames(flag).map((name) => `-a ${quoted(name)}`);
}

function flagOptions({ name, shorthand, value, candidates }: CompletableFlag): string {
  const names = `-l ${name}${shorthand === undefined ? '' : ` -s ${shorthand}`}`;
  if (value !== 'required') return names;
  if (candidates === 'files') return `${names} -r -F`;
  if (candidates === 'contexts') return `${names} -x -a ${quoted(`(${LIST_CONTEXTS})`)}`;
  return `${names} -x${candidates.length === 0 ? '' : ` -a ${quoted(candidates.join(' '))}`}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
