/**
 * Which namespaces take part in the mesh.
 *
 * A namespace says so itself by an annotation, or leaves it to the default of the cluster, and may change
 * its mind at any time. One that is not known yet is neither: an object's event may overtake its namespace's.
 */
import type { Namespace, ObjectId } from '../shared/k8s/types.ts';
import { FirstListing, type Listing } from './listing.ts';
import { isGlobalNamespace } from './sharing.ts';

/** What happened to a namespace: its switch was set (also when it appeared), or it is gone. */
export type NamespaceChange = 'switched' | 'gone';

export class Namespaces {
  readonly #isGlobalByDefault: boolean;
  readonly #isGlobal = new Map<string, boolean>();
  readonly #listeners: ((name: string, change: NamespaceChange) => void)[] = [];
  readonly #listing = new FirstListing();

  constructor(isGlobalByDefault: boolean) {
    this.#isGlobalByDefault = isGlobalByDefault;
  }

  get listing(): Listing {
    return this.#listing;
  }

  /** Undefined where the namespace is not known. */
  isGlobal(name: string): boolean | undefined {
    return this.#isGlobal.get(name);
  }

  /** Told only when the switch has changed, not with every touch of a namespace. */
  onChange(listener: (name: string, change: NamespaceChange) => void): void {
    this.#listeners.push(listener);
  }

  upsert(namespace: Namespace, { name }: ObjectId): void {
    const isGlobal = isGlobalNamespace(namespace) ?? this.#isGlobalByDefault;
    if (this.#isGlobal.get(name) === isGlobal) return;
    this.#isGlobal.set(name, isGlobal);
    this.#notify(name, 'switched');
  }

  remove({ name }: ObjectId): void {
    if (this.#isGlobal.delete(name)) this.#notify(name, 'gone');
  }

  listed(): void {
    this.#listing.complete();
  }

  #notify(name: string, change: NamespaceChange): void {
    for (const listener of this.#listeners) listener(name, change);
  }
}
