/**
 * Configuration files in YAML, read with a bound and with places for messages: `file:line` of any value.
 */
import { open } from 'node:fs/promises';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import { asError, ProgramError } from './errors.ts';
import { MAX_YAML_ALIASES } from './limits.ts';

/** A file that cannot be read, or is no YAML. The message begins with the name of the file, and the line where there is one. */
export class YamlFileError extends ProgramError {
  readonly code = 'YAML_FILE';
  readonly retriable = true;
}

export interface YamlDocument {
  readonly content: unknown;
  /** `file:line` of the value at `keys`, or of the nearest one around it. */
  place(keys: readonly PropertyKey[]): string;
}

/** The content of `file`. Throws YamlFileError where it cannot be read, or has more than `maxBytes`. */
export async function readTextFile(file: string, maxBytes: number): Promise<string> {
  try {
    await using handle = await open(file);
    const buffer = Buffer.alloc(maxBytes + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length);
      if (bytesRead === 0) return buffer.toString('utf8', 0, length);
      length += bytesRead;
    }
  } catch (thrown) {
    throw new YamlFileError(`${file}: cannot be read: ${asError(thrown).message}`, { cause: thrown });
  }
  throw tooLarge(file, maxBytes);
}

/** `text` is the content of `file`, whose name is for the messages of YamlFileError alone. */
export function parseYaml(text: string, file: string, maxBytes: number): YamlDocument {
  if (Buffer.byteLength(text) > maxBytes) throw tooLarge(file, maxBytes);
  const lines = new LineCounter();
  try {
    // The parser's own check for keys named twice compares each key with all others.
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
    const place = (keys: readonly PropertyKey[]) => `${file}:${lineOf(document, keys, lines)}`;
    const error = document.errors[0];
    if (error !== undefined) {
      throw new YamlFileError(`${file}:${lines.linePos(error.pos[0]).line}: ${error.message.slice(0, 200)}`);
    }
    const repeated = repeatedKey(document);
    if (repeated !== undefined) throw new YamlFileError(`${place([repeated])}: ${repeated}: named twice; allowed: once`);
    const content: unknown = document.toJS({ maxAliasCount: MAX_YAML_ALIASES });
    return { content, place };
  } catch (thrown) {
    if (thrown instanceof YamlFileError) throw thrown;
    // Too many aliases, or nested too deeply for the parser.
    throw new YamlFileError(`${file}: ${asError(thrown).message}`);
  }
}

/** `endpoints[1]: `; empty for the whole file. */
export function keyText(keys: readonly PropertyKey[]): string {
  if (keys.length === 0) return '';
  return `${keys.map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index === 0 ? '' : '.'}${String(key)}`)).join('')}: `;
}

function repeatedKey(document: Document): string | undefined {
  const seen = new Set<string>();
  for (const { key } of isMap(document.contents) ? document.contents.items : []) {
    const name = String(isScalar(key) ? key.value : key);
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}

function lineOf(document: Document, keys: readonly PropertyKey[], lines: LineCounter): number {
  for (let depth = keys.length; depth > 0; depth -= 1) {
    const node: unknown = document.getIn(keys.slice(0, depth), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

function tooLarge(file: string, maxBytes: number): YamlFileError {
  return new YamlFileError(`${file}: larger than ${maxBytes} bytes`);
}
