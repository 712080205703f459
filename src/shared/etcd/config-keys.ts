/**
 * The keys of an etcd client file, matched as Go's JSON package matches them to fields: upper and lower case are the same.
 */
import { nearest } from '../nearest.ts';

/** Fields of etcd's client configuration that nothing depends on here: connections are tuned by flags. */
const WITHOUT_EFFECT = {
  'auto-sync-interval': 'integer',
  'dial-timeout': 'integer',
  'dial-keep-alive-time': 'integer',
  'dial-keep-alive-timeout': 'integer',
  'backoff-wait-between': 'integer',
  'backoff-max-wait-between': 'integer',
  'max-unary-retries': 'integer',
  MaxCallSendMsgSize: 'integer',
  MaxCallRecvMsgSize: 'integer',
  'backoff-jitter-fraction': 'number',
  'backoff-exponent': 'number',
  'reject-old-cluster': 'boolean',
  'permit-without-stream': 'boolean',
} as const;

/** No known key is longer; comparing keys takes the product of their lengths. */
const MAX_KEY_LENGTH = 64;

const KINDS = {
  integer: { allowed: 'a whole number (durations are in nanoseconds)', types: ['bigint'] },
  number: { allowed: 'a number', types: ['bigint', 'number'] },
  boolean: { allowed: 'true or false', types: ['boolean'] },
} as const;

export interface FoldedKeys {
  /** The values by the names of `known`; members of lists of mappings alike. */
  readonly values: Readonly<Record<string, unknown>>;
  /** The spelling of a key of `values` in the file. */
  spelling(key: string): string;
  /** Unknown keys, as spelled in the file. */
  readonly unknown: readonly string[];
  /** Keys that the file has in several spellings. */
  readonly ambiguous: readonly string[];
}

/** Of two spellings of a key the one that is later in the order of bytes counts: Go's YAML library sorts before JSON is read. */
export function foldKeys(content: Readonly<Record<string, unknown>>, known: readonly string[]): FoldedKeys {
  const canonical = new Map(known.map((key) => [key.toLowerCase(), key]));
  const values: Record<string, unknown> = {};
  const spellings = new Map<string, string>();
  const unknown: string[] = [];
  const ambiguous: string[] = [];
  for (const key of Object.keys(content).sort()) {
    const name = canonical.get(key.toLowerCase());
    if (name === undefined) {
      unknown.push(key);
      continue;
    }
    if (spellings.has(name)) ambiguous.push(key);
    // JSON's null leaves a field as it is.
    if (spellings.has(name) && content[key] === null) continue;
    values[name] = content[key];
    spellings.set(name, key);
  }
  return { values, spelling: (key) => spellings.get(key) ?? key, unknown, ambiguous };
}

/** Problems of keys that have no effect: one message for each, by key. */
export function idleKeyProblems(
  content: Readonly<Record<string, unknown>>,
  known: readonly string[],
): readonly { readonly key: string; readonly problem: string }[] {
  const { values, spelling, unknown } = foldKeys(content, [...known, ...Object.keys(WITHOUT_EFFECT)]);
  const idle = Object.entries(WITHOUT_EFFECT).flatMap(([key, kind]) => {
    const value = values[key];
    const { allowed, types } = KINDS[kind];
    if (value === undefined || value === null || types.some((type) => type === typeof value)) return [];
    return [{ key: spelling(key), problem: `etcd's own clients reject the file; allowed: ${allowed}` }];
  });
  return [...unknown.map((key) => ({ key, problem: unknownKey(key, known) })), ...idle];
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = nearest(key.slice(0, MAX_KEY_LENGTH), known);
  return `unknown key, ignored${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}
