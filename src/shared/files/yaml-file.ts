/**
 * YAML configuration files, with a size limit and positions for messages: `file:line` of any value.
 *
 * Of several documents the first one is used, as in Go's libraries; the rest is ignored.
 */
import {
  Composer,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  Parser,
  visit,
} from 'yaml';
import { asError, ProgramError } from '../errors.ts';
import { MAX_YAML_ALIASES } from '../limits.ts';
import { readBoundedFile } from './bounded-file.ts';
import { GO_YAML } from './go-yaml.ts';

/** A file that cannot be read, or is not YAML. The message starts with the name of the file, and the line if known. */
export class YamlFileError extends ProgramError {
  readonly code = 'YAML_FILE';
  readonly retriable = true;
}

export interface YamlDocument {
  /** Undefined or null where the file has no content. */
  readonly content: unknown;
  /** Duplicate keys of a mapping, the last of which is used: one message for each, with its position. */
  readonly repeated: readonly string[];
  /** `file:line` of the value at `keys`, or of the nearest one around it. */
  place(keys: readonly PropertyKey[]): string;
  /** `file:line:column` of the value at `keys`, or of the name of that member; of the nearest one around it where there is none. */
  position(keys: readonly PropertyKey[], of?: 'value' | 'name'): string;
  /** The scalar at `keys` as written in the file: `010` for `010`. Undefined if there is none. */
  source(keys: readonly PropertyKey[]): string | undefined;
}

export interface YamlRules {
  /** As `sigs.k8s.io/yaml` reads (see go-yaml.ts), and a repeated key is no error; else YAML 1.2, and one at the top is. */
  readonly isGoYaml?: boolean;
  /** Errors name the column too, and any repeated key is one. */
  readonly isExact?: boolean;
}

/** The content of `file`. Throws YamlFileError where it cannot be read, or has more than `maxBytes`. */
export async function readTextFile(file: string, maxBytes: number): Promise<string> {
  try {
    return (await readBoundedFile(file, maxBytes)).toString('utf8');
  } catch (thrown) {
    throw new YamlFileError(asError(thrown).message, { cause: thrown });
  }
}

/** `text` is the content of `file`, whose name is for the messages of YamlFileError alone. */
export function parseYaml(
  text: string,
  file: string,
  maxBytes: number,
  { isGoYaml = false, isExact = false }: YamlRules = {},
): YamlDocument {
  if (Buffer.byteLength(text) > maxBytes) throw new YamlFileError(`${file}: larger than ${maxBytes} bytes`);
  const lines = new LineCounter();
  try {
    const document = firstDocument(text, lines, isGoYaml);
    const at = (offset: number) => {
      const { line, col } = lines.linePos(offset);
      return isExact ? `${file}:${line}:${col}` : `${file}:${line}`;
    };
    const place = (keys: readonly PropertyKey[]) => `${file}:${lineOf(document, keys, lines)}`;
    const position = (keys: readonly PropertyKey[], of: 'value' | 'name' = 'value') => {
      const { line, col } = lines.linePos(offsetOf(document, keys, of) ?? 0);
      return `${file}:${line}:${col}`;
    };
    const error = document.errors[0];
    if (error !== undefined) throw new YamlFileError(`${at(error.pos[0])}: ${error.message.slice(0, 200)}`);
    const offset = collectionKeyOffset(document);
    if (offset !== undefined) throw new YamlFileError(`${at(offset)}: a list or a mapping as a key; allowed: a text`);
    const repeated = repeatedKeys(document);
    const textOf = ({ name, offset }: RepeatedKey) => `${at(offset)}: ${name}: duplicate key`;
    const wrong = isGoYaml ? undefined : repeated.find(({ isTopLevel }) => isExact || isTopLevel);
    if (wrong !== undefined) throw new YamlFileError(`${textOf(wrong)}; allowed: once`);
    const content: unknown = document.toJS({ maxAliasCount: MAX_YAML_ALIASES });
    const source = (keys: readonly PropertyKey[]) => {
      const node: unknown = document.getIn(keys, true);
      return isScalar(node) ? node.source : undefined;
    };
    return { content, repeated: repeated.map(textOf), place, position, source };
  } catch (thrown) {
    if (thrown instanceof YamlFileError) throw thrown;
    // Too many aliases, or nested too deeply for the parser.
    throw new YamlFileError(`${file}: ${asError(thrown).message.slice(0, 200)}`);
  }
}

/** `endpoints[1]: `; empty for the whole file. */
export function keyText(keys: readonly PropertyKey[]): string {
  if (keys.length === 0) return '';
  return `${keys.map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index === 0 ? '' : '.'}${String(key)}`)).join('')}: `;
}

function firstDocument(text: string, lines: LineCounter, isGoYaml: boolean): Document {
  const parser = new Parser(lines.addNewLine);
  // The library's own check for keys that stand twice compares each key with all others. Its warnings go to stderr, past the
  // log, and quote the file.
  const composer = new Composer({ prettyErrors: false, uniqueKeys: false, logLevel: 'error', ...(isGoYaml ? GO_YAML : {}) });
  for (const document of composer.compose(parser.parse(text), true, text.length)) return document;
  throw new Error('no YAML document');
}

/**
 * Where the first key is that is a list or a mapping, or an alias of one. Go's libraries refuse such a key, too. As a text it
 * doubles in size with each level: each level escapes the quotes of the one below.
 */
function collectionKeyOffset(document: Document): number | undefined {
  const anchored = new Map<string, unknown>();
  let found: number | undefined;
  visit(document, {
    Node: (_, node) => {
      if (!isAlias(node) && node.anchor !== undefined) anchored.set(node.anchor, node);
    },
    Pair: (_, { key }) => {
      const meant = isAlias(key) ? anchored.get(key.source) : key;
      if (!isCollection(meant)) return undefined;
      found = (isNode(key) && key.range?.[0]) || 0;
      return visit.BREAK;
    },
  });
  return found;
}

interface RepeatedKey {
  readonly name: string;
  readonly offset: number;
  readonly isTopLevel: boolean;
}

function repeatedKeys(document: Document): readonly RepeatedKey[] {
  const found: RepeatedKey[] = [];
  visit(document, {
    Map: (_, { items }, path) => {
      const seen = new Set<string>();
      for (const { key } of items) {
        const name = nameOf(key);
        const offset = (isNode(key) && key.range?.[0]) || 0;
        // Several merges into one mapping follow one another.
        if (seen.has(name) && name !== '<<') found.push({ name: name.slice(0, 100), offset, isTopLevel: path.length === 1 });
        seen.add(name);
      }
    },
  });
  return found;
}

function lineOf(document: Document, keys: readonly PropertyKey[], lines: LineCounter): number {
  const offset = offsetOf(document, keys, 'value');
  return keys.length === 0 || offset === undefined ? 1 : lines.linePos(offset).line;
}

function offsetOf(document: Document, keys: readonly PropertyKey[], of: 'value' | 'name'): number | undefined {
  let node: unknown = document.contents;
  let offset = isNode(node) ? node.range?.[0] : undefined;
  for (const [index, key] of keys.entries()) {
    const pair: Pair | undefined = isMap(node) ? node.items.findLast((each) => nameOf(each.key) === String(key)) : undefined;
    if (of === 'name' && index === keys.length - 1 && isNode(pair?.key) && pair.key.range) return pair.key.range[0];
    node = isSeq(node) && typeof key === 'number' ? node.items[key] : pair?.value;
    if (!isNode(node) || !node.range) break;
    offset = node.range[0];
  }
  return offset;
}

function nameOf(key: unknown): string {
  const value = isScalar(key) ? key.value : key;
  // The library has a symbol for the key of a merge.
  return typeof value === 'symbol' ? (value.description ?? '') : String(value);
}
