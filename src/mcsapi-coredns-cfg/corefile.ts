/**
 * A parser of CoreDNS's Corefile: lines of words, and the blocks that contain them.
 *
 * The syntax is that of CoreDNS: words end at white space, a word may be in double quotes, "#" at the start of a word starts a
 * comment, "{" at the end of a line opens a block and "}" alone closes it. Outside of all blocks are the zones of a
 * server, or a snippet's name in parentheses. Other input throws a CorefileError with the line.
 */
import { CorefileError } from './errors.ts';

export interface Word {
  readonly text: string;
  /** Place in the Corefile of what follows the word. */
  readonly end: number;
}

export interface Directive {
  readonly words: readonly Word[];
  /** White space before the first word. */
  readonly indent: string;
  /** Place in the Corefile of the end of its line, before the line break. */
  readonly lineEnd: number;
  /** The lines of its block; undefined where it has none. */
  readonly block: readonly Directive[] | undefined;
}

interface OpenBlock {
  readonly directives: Directive[];
  readonly line: number;
}

/** The servers and snippets: directives whose words are zones, and whose blocks are plugins. */
export function parseCorefile(text: string): Directive[] {
  const top: Directive[] = [];
  const open: OpenBlock[] = [{ directives: top, line: 0 }];
  let place = 0;
  let header: Word[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const number = index + 1;
    const content = line.replace(/\r$/, '');
    const words = wordsOf(content, place, number);
    const lineEnd = place + content.length;
    place += line.length + 1;
    const last = words.at(-1)?.text;
    if (words.some(({ text }, at) => (text === '{' || text === '}') && (at < words.length - 1 || (text === '}' && at > 0))))
      throw new CorefileError(number, 'unexpected brace');
    if (last === undefined || last === '}') {
      if (last === '}' && open.length === 1) throw new CorefileError(number, 'unmatched closing brace');
      if (last === '}') open.pop();
      continue;
    }
    // The zones of a server may continue on the next line.
    const all = [...header, ...(last === '{' ? words.slice(0, -1) : words)];
    header = open.length === 1 && last !== '{' && last.endsWith(',') ? all : [];
    if (header.length > 0) continue;
    const block: Directive[] | undefined = last === '{' ? [] : undefined;
    const indent = /^\s*/.exec(content)?.[0] ?? '';
    open.at(-1)?.directives.push({ words: all, indent, lineEnd, block });
    if (block !== undefined) open.push({ directives: block, line: number });
  }
  const unclosed = open.at(-1);
  if (unclosed !== undefined && unclosed.line > 0) throw new CorefileError(unclosed.line, 'unclosed block');
  return top;
}

function wordsOf(line: string, place: number, number: number): Word[] {
  const words: Word[] = [];
  for (const match of line.matchAll(/"(?:[^"\\]|\\.)*"?|\S+/g)) {
    const [text] = match;
    if (text.startsWith('#')) break;
    if (text.startsWith('"') && !/^"(?:[^"\\]|\\.)*"$/.test(text)) throw new CorefileError(number, 'unclosed quote');
    words.push({ text, end: place + match.index + text.length });
  }
  return words;
}
