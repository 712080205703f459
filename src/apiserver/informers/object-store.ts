/**
 * The current Kubernetes objects of one kind, by id and by namespace.
 *
 * Filled by a reflector. Code that derives keys from the objects listens for changes and reads the objects from
 * here, so that the keys depend only on the objects and not on the order of events.
 */
import type { ObjectId } from '../../shared/kubernetes/objects/types.ts';
import { GroupIndex } from './group-index.ts';
import { FirstListing, type Listing } from './listing.ts';

/** An object appeared (no `before`), changed, or is gone (no `now`). */
export interface Change<T> {
  readonly id: string;
  readonly before: T | undefined;
  readonly now: T | undefined;
}

export class ObjectStore<T> {
  readonly #namespaceOf: (object: T) => string;
  readonly #objects = new Map<string, T>();
  readonly #byNamespace = new GroupIndex();
  readonly #listeners: ((change: Change<T>) => void)[] = [];
  readonly #listing = new FirstListing();

  /** `namespaceOf`: whose switch decides about an object; empty where none does. */
  constructor(namespaceOf: (object: T) => string) {
    this.#namespaceOf = namespaceOf;
  }

  get listing(): Listing {
    return this.#listing;
  }

  get(id: string): T | undefined {
    return this.#objects.get(id);
  }

  /** Ids of the objects of a namespace. */
  inNamespace(namespace: string): Iterable<string> {
    return this.#byNamespace.members(namespace);
  }

  /** `listener` is called after each change. */
  onChange(listener: (change: Change<T>) => void): void {
    this.#listeners.push(listener);
  }

  upsert(object: T, { text: id }: ObjectId): void {
    const before = this.#objects.get(id);
    this.#objects.set(id, object);
    this.#byNamespace.move(id, before && this.#namespaceOf(before), this.#namespaceOf(object));
    this.#notify({ id, before, now: object });
  }

  /** An unknown object is no change. */
  remove({ text: id }: ObjectId): void {
    const before = this.#objects.get(id);
    if (before === undefined) return;
    this.#objects.delete(id);
    this.#byNamespace.move(id, this.#namespaceOf(before), undefined);
    this.#notify({ id, before, now: undefined });
  }

  listed(): void {
    this.#listing.complete();
  }

  #notify(change: Change<T>): void {
    for (const listener of this.#listeners) listener(change);
  }
}
