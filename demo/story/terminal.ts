/**
 * The output of the demo: plain lines of at most 100 columns, with colour only on a terminal.
 */
import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';

const WIDTH = 100;
const INDENT = '    ';
const TICK_MS = 1_000;

/** Shown during an action; only on a terminal. */
export interface Progress {
  /** Removes the line. */
  end(): void;
}

export class Terminal {
  readonly #out: WriteStream;
  readonly #isLive: boolean;

  constructor(out: WriteStream) {
    this.#out = out;
    this.#isLive = out.isTTY === true;
  }

  /** An empty line. */
  gap(): void {
    this.line('');
  }

  line(text: string): void {
    this.#out.write(`${text}\n`);
  }

  /** A sentence or more, wrapped and indented. */
  paragraph(text: string): void {
    for (const line of wrapped(text, WIDTH - INDENT.length)) this.line(`${INDENT}${line}`);
  }

  /** The same, of lesser importance. */
  remark(text: string): void {
    for (const line of wrapped(text, WIDTH - INDENT.length)) this.line(`${INDENT}${this.#style('dim', line)}`);
  }

  title(text: string): void {
    this.line(`\n${this.#style('bold', text)}`);
  }

  /** The headline of a step. */
  headline(number: number, text: string): void {
    this.line(`\n${this.#style('bold', `${String(number).padStart(2)}  ${text}`)}`);
  }

  /** A line that is aligned already. */
  row(text: string): void {
    this.line(`${INDENT}${text}`);
  }

  /** Lines that are aligned already; the first is a heading. */
  table([heading = '', ...rows]: readonly string[]): void {
    this.gap();
    this.row(this.#style('dim', heading));
    for (const row of rows) this.row(row.replace(/[●○]+/g, (dots) => this.#style(dots.startsWith('●') ? 'green' : 'cyan', dots)));
  }

  /** `detail` may be empty. */
  passed(expectation: string, detail: string): void {
    const both = detail === '' ? expectation : `${expectation}: ${detail}`;
    const fits = both.length <= WIDTH - INDENT.length;
    this.line(`  ${this.#style('green', '✓')} ${fits ? both : `${expectation}:`}`);
    if (!fits) this.paragraph(detail);
  }

  failed(expectation: string, seen: string): void {
    this.line(`  ${this.#style('red', '✗')} expected: ${expectation}`);
    this.paragraph(`seen: ${seen}`);
  }

  /** A command to be copied: never wrapped, never styled. */
  command(text: string): void {
    this.line(`${INDENT}  ${text}`);
  }

  /** Shows `text` and the seconds since, until it ends. Nothing in a plain log. */
  progress(text: string): Progress {
    if (!this.#isLive) return { end: () => undefined };
    const startMs = performance.now();
    const show = () => {
      const seconds = Math.floor((performance.now() - startMs) / 1000);
      const line = `  … ${text}${seconds === 0 ? '' : `  ${seconds} s`}`;
      this.#out.write(`\r${this.#style('dim', line.slice(0, this.#out.columns - 1))}`);
    };
    const timer = setInterval(show, TICK_MS);
    show();
    return {
      end: () => {
        clearInterval(timer);
        this.#out.write('\r\x1b[K');
      },
    };
  }

  #style(format: Parameters<typeof styleText>[0], text: string): string {
    return styleText(format, text, { stream: this.#out });
  }
}

/** Lines of at most `width` characters, broken between words. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** A time for people: `1 ms`, `12 ms`, `1.2 s`, `31 s`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 10_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 1_000)} s`;
}
