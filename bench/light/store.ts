/**
 * The state of a light etcd: what has changed since its first load, and the last changes for watches and for listings at an
 * earlier revision.
 */
import type { KeyKind } from './cluster-keys.ts';

/** A key at a revision. */
export interface KeyState {
  readonly generation: number;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
}

export interface Change {
  readonly kind: number;
  readonly position: number;
  readonly revision: number;
  /** Undefined if the key was deleted. */
  readonly state: KeyState | undefined;
  readonly before: KeyState | undefined;
}

/** Keys of one kind with positions from `from`, and before `to`. */
export interface Span {
  readonly kind: number;
  readonly from: number;
  readonly to: number;
}

/** Of the first load, as if it was written in full transactions. */
const KEYS_PER_REVISION = 128;
/** Changes that are kept; earlier ones count as compacted. */
const MAX_HISTORY = 4_000;

export class LightStore {
  readonly kinds: readonly KeyKind[];
  readonly #firstRevisions: readonly number[];
  /** Changed keys by kind and position; undefined for a deleted key. */
  readonly #changed: readonly Map<number, KeyState | undefined>[];
  readonly #deleted: readonly Set<number>[];
  readonly #listeners = new Set<(change: Change) => void>();
  #history: Change[] = [];
  #revision: number;
  #compacted = 0;

  constructor(kinds: readonly KeyKind[]) {
    this.kinds = kinds;
    this.#changed = kinds.map(() => new Map());
    this.#deleted = kinds.map(() => new Set());
    let revision = 2;
    this.#firstRevisions = kinds.map(({ count }) => {
      const first = revision;
      revision += Math.ceil(count / KEYS_PER_REVISION);
      return first;
    });
    this.#revision = revision;
  }

  get revision(): number {
    return this.#revision;
  }

  /** The newest revision whose history is gone; 0 for none. */
  get compacted(): number {
    return this.#compacted;
  }

  /** Puts a key with the value of `generation`, or deletes it. Returns the revision; deleting what does not exist changes nothing. */
  change(kind: number, position: number, generation: number | undefined): number {
    const before = this.stateOf(kind, position);
    if (generation === undefined && before === undefined) return this.#revision;
    this.#revision += 1;
    const revision = this.#revision;
    const state =
      generation === undefined
        ? undefined
        : {
            generation,
            createRevision: before?.createRevision ?? revision,
            modRevision: revision,
            version: (before?.version ?? 0) + 1,
          };
    this.#changed[kind]?.set(position, state);
    if (state === undefined) this.#deleted[kind]?.add(position);
    else this.#deleted[kind]?.delete(position);
    const change = { kind, position, revision, state, before };
    this.#history.push(change);
    if (this.#history.length > MAX_HISTORY * 2) {
      const dropped = this.#history.splice(0, this.#history.length - MAX_HISTORY);
      this.#compacted = dropped.at(-1)?.revision ?? this.#compacted;
    }
    for (const listener of this.#listeners) listener(change);
    return revision;
  }

  stateOf(kind: number, position: number): KeyState | undefined {
    const changed = this.#changed[kind];
    if (changed?.has(position) === true) return changed.get(position);
    const modRevision = (this.#firstRevisions[kind] ?? 0) + Math.floor(position / KEYS_PER_REVISION);
    return { generation: 0, createRevision: modRevision, modRevision, version: 1 };
  }

  keyOf(kind: number, position: number): string {
    const { prefix, name } = this.kinds[kind] as KeyKind;
    return prefix + name(position);
  }

  valueOf(kind: number, position: number, generation: number): Buffer {
    return (this.kinds[kind] as KeyKind).value(position, generation);
  }

  /** The keys from `key` on and before `end`, deleted ones included, in order. `end`: empty for the key alone, `\0` for all. */
  spans(key: string, end: string): Span[] {
    const until = end === '' ? `${key}\0` : end;
    return this.kinds
      .map((of, kind) => ({ kind, from: lowerBound(of, key), to: until === '\0' ? of.count : lowerBound(of, until) }))
      .filter(({ from, to }) => from < to);
  }

  /** Existing keys of the spans now. */
  count(spans: readonly Span[]): number {
    let count = 0;
    for (const { kind, from, to } of spans) {
      count += to - from;
      for (const position of this.#deleted[kind] ?? []) if (position >= from && position < to) count -= 1;
    }
    return count;
  }

  /** Changes from `revision` on, in order. */
  since(revision: number): readonly Change[] {
    const first = this.#history.findIndex((change) => change.revision >= revision);
    return first < 0 ? [] : this.#history.slice(first);
  }

  /** Calls `listener` with each change; the returned function ends that. */
  listen(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** The first position whose key is not below `key`. */
function lowerBound({ prefix, count, name }: KeyKind, key: string): number {
  if (key <= prefix) return 0;
  if (!key.startsWith(prefix)) return key < prefix ? 0 : count;
  const rest = key.slice(prefix.length);
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (name(middle) < rest) low = middle + 1;
    else high = middle;
  }
  return low;
}
