/**
 * The objects of all kinds at one revision, and a bounded history of how they came about.
 *
 * Every change is one revision, as in etcd. The history serves watches and the later pages of a list
 * (an older state is the current one with the changes since undone); what falls out of it is compacted,
 * and requests for it require a new list.
 */

import { HISTORY_EVENTS } from '../limits.ts';
import type { KubernetesObject } from './kubernetes-object.ts';
import { withMetadata } from './kubernetes-object.ts';

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED';

export interface Change {
  readonly revision: number;
  /** The `id` of the kind. */
  readonly resource: string;
  readonly type: ChangeType;
  readonly key: string;
  /** The object after the change; its last state, at the revision of its end, where it was deleted. */
  readonly object: KubernetesObject;
  /** The object before the change. */
  readonly previous: KubernetesObject | undefined;
}

interface Snapshot {
  readonly revision: number;
  /** Sorted by key. */
  readonly entries: readonly (readonly [key: string, object: KubernetesObject])[];
}

export class ObjectStore {
  readonly #objects = new Map<string, Map<string, KubernetesObject>>();
  readonly #historyLimit: number;
  readonly #listeners = new Set<() => void>();
  readonly #snapshots = new Map<string, Snapshot>();
  #history: Change[] = [];
  #revision = 1;

  constructor(historyLimit = HISTORY_EVENTS) {
    this.#historyLimit = historyLimit;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Changes after this revision are in the history. */
  get compactRevision(): number {
    return (this.#history[0]?.revision ?? this.#revision + 1) - 1;
  }

  get(resource: string, key: string): KubernetesObject | undefined {
    return this.#objects.get(resource)?.get(key);
  }

  /** Every object of a resource, in no order. */
  values(resource: string): Iterable<KubernetesObject> {
    return this.#objects.get(resource)?.values() ?? [];
  }

  /** Stores `object` at a new revision, which is set in it, and returns it so. */
  put(resource: string, key: string, object: KubernetesObject): KubernetesObject {
    const objects = this.#objects.get(resource) ?? new Map<string, KubernetesObject>();
    this.#objects.set(resource, objects);
    const previous = objects.get(key);
    const stored = withMetadata(object, { resourceVersion: String(this.#revision + 1) });
    objects.set(key, stored);
    this.#commit({ resource, type: previous === undefined ? 'ADDED' : 'MODIFIED', key, object: stored, previous });
    return stored;
  }

  /** Removes an object and returns its last state, undefined where there is none. */
  delete(resource: string, key: string): KubernetesObject | undefined {
    const previous = this.get(resource, key);
    if (previous === undefined) return undefined;
    this.#objects.get(resource)?.delete(key);
    const object = withMetadata(previous, { resourceVersion: String(this.#revision + 1) });
    this.#commit({ resource, type: 'DELETED', key, object, previous });
    return object;
  }

  /** Changes after `revision`, of every resource. Undefined where some of them were compacted. */
  changesAfter(revision: number): readonly Change[] | undefined {
    if (revision < this.compactRevision) return undefined;
    return this.#history.slice(revision - this.compactRevision);
  }

  /** The objects of a resource at `revision`, sorted by key. Undefined where that state was compacted. */
  entriesAt(resource: string, revision: number): Snapshot['entries'] | undefined {
    const kept = this.#snapshots.get(resource);
    if (kept?.revision === revision) return kept.entries;
    const changes = this.changesAfter(revision);
    if (changes === undefined) return undefined;
    const objects = new Map(this.#objects.get(resource));
    for (const change of changes.filter((each) => each.resource === resource).reverse()) {
      if (change.previous === undefined) objects.delete(change.key);
      else objects.set(change.key, change.previous);
    }
    const entries = [...objects].sort(([a], [b]) => (a < b ? -1 : 1));
    this.#snapshots.set(resource, { revision, entries });
    return entries;
  }

  /** Forgets the history: watches and lists of earlier revisions have to start again. */
  compact(): void {
    this.#history = [];
    this.#snapshots.clear();
  }

  /** Calls `listener` after every change, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #commit(change: Omit<Change, 'revision'>): void {
    this.#revision += 1;
    this.#history.push({ ...change, revision: this.#revision });
    // A quarter at a time, so that a full history costs no more than one that grows.
    if (this.#history.length > this.#historyLimit * 1.25) this.#history = this.#history.slice(-this.#historyLimit);
    for (const listener of this.#listeners) listener();
  }
}
