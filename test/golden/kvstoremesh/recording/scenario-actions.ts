/**
 * What is done in a step of a scenario.
 */
import type { InputBytes } from './input-bytes.ts';

/** The etcd of a remote cluster, or the local one. */
export type Store = { readonly source: string } | 'local';

/** One thing that is done; a step does several, in the order in which they are written. */
export type Action =
  | { readonly type: 'put'; readonly store: Store; readonly key: string; readonly value: InputBytes }
  | { readonly type: 'putFile' | 'loadFile'; readonly store: Store; readonly file: string }
  | { readonly type: 'delete' | 'deletePrefix'; readonly store: Store; readonly key: InputBytes }
  | ConfigAction
  | {
      readonly type: 'stopSource' | 'startSource' | 'wipeSource' | 'cut' | 'restore' | 'compact';
      readonly source: string;
    }
  | { readonly type: 'flip'; readonly source: string; readonly to: string }
  | { readonly type: 'restartLocal'; readonly downMs: number; readonly wipe: boolean }
  | { readonly type: 'revokeLocalLeases' }
  | { readonly type: 'startDaemon' }
  | { readonly type: 'stopDaemon'; readonly signal: NodeJS.Signals }
  | { readonly type: 'wait'; readonly ms: number };

/** A change of the configuration directory. */
export interface ConfigAction {
  readonly type: 'config';
  readonly change: 'add' | 'change' | 'remove';
  /** The name of the file. */
  readonly cluster: string;
  /** The remote whose etcd is named, the cluster itself otherwise. */
  readonly to?: string;
  /** The text of the file, in place of one that is made up. */
  readonly content?: string;
}

/** Words that belong to another word, or are no actions. */
const NOTES = new Set(
  'source local cluster to content settle after at until untilGone mayDiffer mayDifferKeys mayDifferApi comment exits'.split(' '),
);

interface Words {
  readonly source?: string;
  readonly cluster?: string;
  readonly to?: string;
  readonly content?: string;
}

/** The actions of a step of `scenario.json`. */
export function actionsOf(step: object): readonly Action[] {
  return Object.entries(step).flatMap(([word, value]) => (NOTES.has(word) ? [] : actionsOfWord(word, value, step)));
}

function actionsOfWord(word: string, value: unknown, words: Words): readonly Action[] {
  const store = words.source === undefined ? 'local' : { source: words.source };
  const { cluster = '', to, content } = words;
  switch (word) {
    case 'do':
      return (value as readonly object[]).flatMap(actionsOf);
    case 'put':
      return Object.entries(value as Record<string, InputBytes>).map(([key, bytes]) => ({
        type: word,
        store,
        key,
        value: bytes,
      }));
    case 'putFile':
    case 'loadFile':
      return [{ type: word, store, file: String(value) }];
    case 'delete':
    case 'deletePrefix':
      return (value as readonly InputBytes[]).map((key) => ({ type: word, store, key }));
    case 'config': {
      const change = value as ConfigAction['change'];
      return [
        { type: word, change, cluster, ...(to === undefined ? {} : { to }), ...(content === undefined ? {} : { content }) },
      ];
    }
    case 'killSource':
      return [{ type: 'stopSource', source: String(value) }];
    case 'stopSource':
    case 'startSource':
    case 'wipeSource':
    case 'cut':
    case 'restore':
    case 'compact':
      return [{ type: word, source: String(value) }];
    case 'flip':
      return [{ type: word, source: String(value), to: to ?? String(value) }];
    case 'restartLocal': {
      const { down = 1, wipe = false } = value as { down?: number; wipe?: boolean };
      return [{ type: word, downMs: down * 1000, wipe }];
    }
    case 'startDaemon':
    case 'revokeLocalLeases':
      return [{ type: word }];
    case 'stopDaemon':
      return [{ type: word, signal: signalOf(value) }];
    case 'wait':
      return [{ type: word, ms: Number(value) * 1000 }];
    default:
      throw new Error(`there is no action ${word}`);
  }
}

function signalOf(value: unknown): NodeJS.Signals {
  return typeof value === 'string' ? (value as NodeJS.Signals) : 'SIGTERM';
}
