/** The commands, flags and words to complete, in the flat form that the shell scripts need. */
import type { Flag, FlagTable } from '../../shared/flags/table.ts';
import type { Command } from '../command/command.ts';

export interface CompletableCommand {
  /** `/kvstoremesh-dbg/status`, `/combined/--`; '' for the program itself. */
  readonly path: string;
  readonly words: readonly CompletableWord[];
  readonly flags: readonly CompletableFlag[];
}

/** A word that may follow: the name of a command, or an operand. */
export interface CompletableWord {
  readonly word: string;
  readonly summary: string;
  /** A command follows, with its own words and flags. */
  readonly isCommand: boolean;
}

export interface CompletableFlag {
  /** Without dashes. */
  readonly name: string;
  readonly shorthand: string | undefined;
  readonly usage: string;
  readonly value: 'none' | 'optional' | 'required';
  readonly candidates: readonly string[] | 'files' | 'contexts';
  readonly isRepeatable: boolean;
}

/** Prints the contexts of the kubeconfig; nothing where there is no kubectl. */
export const LIST_CONTEXTS = 'kubectl config get-contexts --output=name 2>/dev/null';

/** Between two lists of flags. */
const SEPARATOR = '--';

const HELP: CompletableFlag = {
  name: 'help',
  shorthand: 'h',
  usage: 'Show what the command does, and its flags',
  value: 'none',
  candidates: [],
  isRepeatable: false,
};

/** The program and all of its commands, those that have commands before these. Hidden flags are left out. */
export function completableCommands(commands: Readonly<Record<string, Command>>): CompletableCommand[] {
  return [...completable('', { commands })];
}

function* completable(
  path: string,
  { commands = {}, operands = [], flags, furtherFlags }: Pick<Command, 'commands' | 'operands' | 'flags' | 'furtherFlags'>,
): Generator<CompletableCommand> {
  const names = Object.entries(commands).map(([word, { summary }]) => ({ word, summary, isCommand: true }));
  if (furtherFlags !== undefined) names.push({ word: SEPARATOR, summary: 'More flags follow', isCommand: true });
  const words = [...names, ...operands.map((word) => ({ word, summary: '', isCommand: false }))];
  yield { path, words, flags: [...flagsOf(flags ?? {}), ...(flags === undefined && path !== '' ? [] : [HELP])] };
  if (furtherFlags !== undefined) yield { path: `${path}/${SEPARATOR}`, words: [], flags: [...flagsOf(furtherFlags), HELP] };
  for (const [name, command] of Object.entries(commands)) yield* completable(`${path}/${name}`, command);
}

function flagsOf(table: FlagTable): CompletableFlag[] {
  return Object.entries(table)
    .filter(([, { hidden }]) => !hidden)
    .map(([name, flag]) => ({
      name,
      shorthand: flag.shorthand,
      usage: flag.usage,
      value: flag.kind.implied === undefined ? 'required' : 'optional',
      candidates: flag.candidates ?? [],
      isRepeatable: isRepeatable(flag),
    }));
}

function isRepeatable({ kind }: Flag<unknown, string>): boolean {
  return kind.merge !== undefined;
}

/** Whether the command is a list of flags behind `--`, which shells take for the end of all options. */
export function isFurtherList({ path }: CompletableCommand): boolean {
  return path.endsWith(`/${SEPARATOR}`);
}

/** `--debug` and `-D`. */
export function writtenNames({ name, shorthand }: CompletableFlag): string[] {
  return [`--${name}`, ...(shorthand === undefined ? [] : [`-${shorthand}`])];
}

/** `text` in single quotes, for bash and zsh. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
