/**
 * The completion script for bash, from version 4 on; it does not need the package bash-completion.
 *
 * Readline treats "=" as a word of its own, so that `--flag=va` arrives as three words.
 */

import { PROGRAM } from '../command/help.ts';
import { type CompletableCommand, LIST_CONTEXTS, shellQuoted, writtenNames } from './tree.ts';

const FUNCTION = '_clustermesh_apiserver';

export function bashScript(commands: readonly CompletableCommand[]): string {
  const paths = commands.map(({ path }) => path).filter((path) => path !== '');
  return `# bash completion of ${PROGRAM}
${FUNCTION}() {
    local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
    local command= flag= sign= prefix= words= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case $command/\${COMP_WORDS[i]} in
${paths.join(' | \\\n')}) command=$command/\${COMP_WORDS[i]} ;;
        esac
    done
    if [[ $cur == = ]]; then
        flag=$prev sign== cur=
    elif [[ $prev == = ]]; then
        flag=\${COMP_WORDS[COMP_CWORD - 2]} sign==
    elif [[ $cur == -*=* ]]; then
        flag=\${cur%%=*} sign== prefix=$flag= cur=\${cur#*=}
    elif [[ $prev == -* ]]; then
        flag=$prev
    fi
    case $command:$flag$sign in
${valueCases(commands).join('\n')}
    *)
        case $command in
${commands.map(wordCase).join('\n')}
        esac
        ;;
    esac
    if [[ $words == @files ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    else
        [[ $words == @contexts ]] && words=$(${LIST_CONTEXTS})
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    fi
    COMPREPLY=("\${COMPREPLY[@]/#/$prefix}")
}
complete -F ${FUNCTION} ${PROGRAM}
`;
}

/** One case for all flags whose values are completed alike. */
function valueCases(commands: readonly CompletableCommand[]): string[] {
  const places = new Map<string, string[]>();
  for (const { path, flags } of commands) {
    for (const flag of flags.filter(({ value }) => value !== 'none')) {
      const words = typeof flag.candidates === 'string' ? `@${flag.candidates}` : flag.candidates.join(' ');
      const written = writtenNames(flag).flatMap((name) => (flag.value === 'required' ? [name, `${name}=`] : [`${name}=`]));
      places.set(words, [...(places.get(words) ?? []), ...written.map((name) => `${path}:${name}`)]);
    }
  }
  return [...places].map(([words, patterns]) => `${patterns.join(' | \\\n')}) words=${shellQuoted(words)} ;;`);
}

function wordCase({ path, words, flags }: CompletableCommand): string {
  const all = [...words.map(({ word }) => word), ...flags.flatMap(writtenNames)];
  return `${shellQuoted(path)}) words=${shellQuoted(all.join(' '))} ;;`;
}
