/** What a converter makes of an object: entries, and what of the object could not be used. */
import type { Entry } from '../keyspace.ts';

export interface Conversion {
  readonly entries: readonly Entry[];
  /** One text for each part left out because it is wrong, naming the field and the reason; the rest is exported. */
  readonly rejected: readonly string[];
}

/** `text`, which comes from an object, for a message: quoted, and cut where it is long. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
