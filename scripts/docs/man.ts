/**
 * Writes the manual pages in man/man1 from the commands and their tables of flags, as `--help` shows them: one page for the
 * program and one for each command with flags or subcommands. With `--check` it only compares.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from '../../src/cli/command/command.ts';
import { PROGRAM } from '../../src/cli/command/help.ts';
import { commands } from '../../src/cli/commands.ts';
import { shownFlags } from '../../src/shared/flags/help.ts';
import { VERSION } from '../../src/shared/version.ts';
import { ROOT } from '../steps.ts';

const DIRECTORY = join(ROOT, 'man/man1');

/** The text of every page, by the name of its file. */
function manualPages(): ReadonlyMap<string, string> {
  const named = Object.entries(commands).filter(([, { flags, commands: inner }]) => flags !== undefined || inner !== undefined);
  const pages = named.map(([name, command]) => [`${PROGRAM}-${name}.1`, commandPage(name, command, named)] as const);
  return new Map([[`${PROGRAM}.1`, programPage(named)], ...pages]);
}

type Named = readonly (readonly [name: string, command: Command])[];

function programPage(named: Named): string {
  return [
    header(PROGRAM),
    section('NAME', `${roff(PROGRAM)} \\- connects the services, nodes, identities and endpoints of Cilium clusters`),
    section('SYNOPSIS', `.B ${roff(PROGRAM)}\n.I command\n[\\fIflags\\fR]`),
    section(
      'DESCRIPTION',
      'Two daemons connect Kubernetes clusters that run Cilium:\n.B clustermesh\nexports the local cluster to its etcd, and\n' +
        '.B kvstoremesh\nmirrors the etcds of the other clusters. The other commands prepare, connect and check them.',
    ),
    section('COMMANDS', definitions(Object.entries(commands).map(([name, { summary }]) => [bold(name), `${roff(summary)}.`]))),
    section(
      'ENVIRONMENT',
      'A flag that is not set takes the value of an environment variable: the name in upper case with underscores, after\n.BR CILIUM_ .',
    ),
    seeAlso(named.map(([name]) => `${PROGRAM}-${name}`)),
  ].join('');
}

function commandPage(name: string, command: Command, named: Named): string {
  const { summary, flags, commands: inner } = command;
  const full = `${PROGRAM}-${name}`;
  const parts = inner === undefined ? [[name, command] as const] : leaves(name, inner);
  const synopses = parts.map(([words, { flags: own, furtherFlags }]) =>
    synopsis(words, own !== undefined, furtherFlags !== undefined),
  );
  const options =
    inner === undefined
      ? section('OPTIONS', optionsOf(command))
      : section('COMMANDS', parts.map(([words, each]) => subsection(words, each)).join(''));
  return [
    header(full),
    section('NAME', `${roff(full)} \\- ${roff(lowerFirst(summary))}`),
    section('SYNOPSIS', synopses.join('\n.br\n')),
    section('DESCRIPTION', `${roff(summary)}.`),
    flags === undefined && inner === undefined ? '' : options,
    seeAlso([PROGRAM, ...named.map(([other]) => `${PROGRAM}-${other}`).filter((other) => other !== full)]),
  ].join('');
}

/** The commands without subcommands, with all of their words. */
function leaves(words: string, inner: Readonly<Record<string, Command>>): Named {
  return Object.entries(inner).flatMap(([name, command]) =>
    command.commands === undefined ? [[`${words} ${name}`, command] as const] : leaves(`${words} ${name}`, command.commands),
  );
}

function synopsis(words: string, hasFlags: boolean, isPair: boolean): string {
  const flags = isPair ? '[\\fIflags\\fR \\-\\- \\fIflags\\fR]' : hasFlags ? '[\\fIflags\\fR]' : '';
  return `.B ${roff(`${PROGRAM} ${words}`)}\n${flags}`.trimEnd();
}

function subsection(words: string, command: Command): string {
  return `.SS "${roff(words)}"\n${roff(command.summary)}.\n${optionsOf(command)}`;
}

function optionsOf({ flags, furtherFlags }: Command): string {
  // The flags of the second list are those of another command, which has its own page.
  if (flags === undefined || furtherFlags !== undefined) return '';
  return definitions(shownFlags(flags).map(({ names, usage }) => [bold(names.trim()), `${roff(usage)}.`]));
}

function header(title: string): string {
  return `.\\" Generated from the sources by scripts/docs/man.ts.\n.TH ${roff(title.toUpperCase())} 1 "" "${PROGRAM} ${VERSION.version}" "User Commands"\n`;
}

function section(title: string, text: string): string {
  return `.SH ${title}\n${text.trimEnd()}\n`;
}

function definitions(rows: readonly (readonly [term: string, text: string])[]): string {
  return rows.map(([term, text]) => `.TP\n${term}\n${text}\n`).join('');
}

function seeAlso(pages: readonly string[]): string {
  return section('SEE ALSO', pages.map((page, i) => `.BR ${roff(page)} (1)${i < pages.length - 1 ? ' ,' : ''}`).join('\n'));
}

function bold(text: string): string {
  return `\\fB${roff(text)}\\fR`;
}

/** `text` so that roff prints it as it is: backslashes, hyphens, and dots and quotes at the start of a line. */
function roff(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replaceAll('’', "'")
    .replaceAll('"', '\\(dq');
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

const pages = manualPages();
if (process.argv.includes('--check')) {
  const files = readdirSync(DIRECTORY);
  const isCurrent = (name: string) => pages.get(name) === readFileSync(join(DIRECTORY, name), 'utf8');
  const differing = [...files.filter((name) => !isCurrent(name)), ...[...pages.keys()].filter((name) => !files.includes(name))];
  if (differing.length > 0) {
    process.stdout.write(`man/man1 differs from the commands (${differing.join(', ')}): run node scripts/docs/man.ts\n`);
    process.exitCode = 1;
  }
} else {
  rmSync(DIRECTORY, { recursive: true, force: true });
  mkdirSync(DIRECTORY, { recursive: true });
  for (const [name, text] of pages) writeFileSync(join(DIRECTORY, name), text);
}
