/** The completion script for zsh: a function for each command, by the rules of _arguments. */

import { PROGRAM } from '../command/help.ts';
import {
  type CompletableCommand,
  type CompletableFlag,
  type CompletableWord,
  LIST_CONTEXTS,
  shellQuoted,
  writtenNames,
} from './tree.ts';

export function zshScript(commands: readonly CompletableCommand[]): string {
  return `#compdef ${PROGRAM}
# zsh completion of ${PROGRAM}

${commands.map(commandFunction).join('\n')}
if [[ \${funcstack[1]} == _${PROGRAM} ]]; then
    _${PROGRAM} "$@"
else
    compdef _${PROGRAM} ${PROGRAM}
fi
`;
}

function commandFunction({ path, words, flags }: CompletableCommand): string {
  const specs = flags.flatMap(flagSpecs).map(shellQuoted);
  const hasWords = words.some((word) => !isSeparator(word));
  const operands = hasWords ? ["'1: :->word'", "'*:: :->rest'"] : ["'*: :'"];
  return `${functionName(path)}() {
${words
  .filter(isSeparator)
  .map((word) => laterList(path, word))
  .join('')}    local curcontext="$curcontext" state line
    local -A opt_args
    local -a words_here=(${words.map(description).map(shellQuoted).join(' ')})
    _arguments -C ${[...specs, ...operands].join(' \\\n        ')}
    case $state in
    word) _describe -t commands 'command' words_here ;;
    rest)
        case $line[1] in
${words
  .filter(({ isCommand }) => isCommand)
  .map(({ word }) => `        ${word}) ${functionName(`${path}/${word}`)} ;;`)
  .join('\n')}
        esac
        ;;
    esac
}
`;
}

function isSeparator({ word }: CompletableWord): boolean {
  return word.startsWith('-');
}

/** Completes what is behind the separator as a command of its own. */
function laterList(path: string, { word }: CompletableWord): string {
  return `    local -i separator=\${words[(i)${word}]}
    if (( separator < CURRENT )); then
        words=("\${(@)words[separator,-1]}")
        (( CURRENT -= separator - 1 ))
        ${functionName(`${path}/${word}`)}
        return
    fi
`;
}

function functionName(path: string): string {
  return `_${PROGRAM}${path.replaceAll('/', '_')}`;
}

function description({ word, summary }: CompletableWord): string {
  return summary === '' ? word : `${word}:${summary}`;
}

/** `(-D --debug)--debug[Log more]`, and with a value `--name=[Usage]: :(a b)`. */
function flagSpecs(flag: CompletableFlag): string[] {
  const names = writtenNames(flag);
  const start = flag.isRepeatable ? '*' : `(${names.join(' ')})`;
  const usage = flag.usage.replace(/[[\]\\:]/g, String.raw`\$&`);
  return names.map((name) => `${start}${name}${flag.value === 'required' ? '=' : ''}[${usage}]${valueSpec(flag)}`);
}

function valueSpec({ value, candidates }: CompletableFlag): string {
  if (value !== 'required') return '';
  if (candidates === 'files') return ': :_files';
  if (candidates === 'contexts') return `: :{compadd -- \${(f)"$(${LIST_CONTEXTS})"}}`;
  return candidates.length === 0 ? ': : ' : `: :(${candidates.join(' ')})`;
}
