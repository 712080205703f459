/**
 * Log lines for people: `time=… level=info msg="…" key=value`, in the form of Go's `slog.TextHandler`, which the original uses.
 *
 * Text is quoted where it has white space, quotes, an equals sign or characters that do not print. Members of objects are
 * fields of their own, named with dots.
 */
const FIRST = ['time', 'level', 'msg'];
const NEEDS_QUOTES = /[\s"=\p{C}]|^$/u;

/** The text of a line of JSON, without a line break. */
export function textOfLine(line: string): string {
  const fields = JSON.parse(line) as Record<string, unknown>;
  const names = [...FIRST.filter((name) => name in fields), ...Object.keys(fields).filter((name) => !FIRST.includes(name))];
  return names.flatMap((name) => pairsOf(name, fields[name])).join(' ');
}

function pairsOf(name: string, value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${quoted(name)}=${quoted(textOf(value))}`];
  return Object.entries(value).flatMap(([member, each]) => pairsOf(`${name}.${member}`, each));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Text of a remote cluster cannot begin a line, nor change the direction of one. */
function quoted(text: string): string {
  if (!NEEDS_QUOTES.test(text)) return text;
  return JSON.stringify(text).replaceAll(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
