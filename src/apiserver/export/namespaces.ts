/**
 * Which namespaces are exported.
 *
 * An annotation decides, or the default of the cluster, and the operator may exclude a namespace
 * by name or by its labels; all of these may change at any time. A namespace may be unknown: an
 * object's event may arrive before that of its namespace.
 */
import type { Namespace, ObjectId } from '../../shared/kubernetes/objects/types.ts';
import { FirstListing, type Listing } from '../informers/listing.ts';
import { isGlobalNamespace } from './global-annotation.ts';

/** What happened to a namespace: its switch was set (also when it appeared), or it is gone. */
export type NamespaceChange = 'switched' | 'gone';

/** Whether anything of a namespace may be exported. */
export type NamespaceFilter = (namespace: Namespace) => boolean;

const EVERY_NAMESPACE: NamespaceFilter = () => true;

export class Namespaces {
  readonly #isGlobalByDefault: boolean;
  readonly #filter: NamespaceFilter;
  readonly #isExported = new Map<string, boolean>();
  readonly #listeners: ((name: string, change: NamespaceChange) => void)[] = [];
  readonly #listing = new FirstListing();

  constructor(isGlobalByDefault: boolean, filter: NamespaceFilter = EVERY_NAMESPACE) {
    this.#isGlobalByDefault = isGlobalByDefault;
    this.#filter = filter;
  }

  get listing(): Listing {
    return this.#listing;
  }

  /** Whether its objects are exported: it is global, and not kept out. Undefined where the namespace is not known. */
  isExported(name: string): boolean | undefined {
    return this.#isExported.get(name);
  }

  /** Called only when the result has changed, not for every update of a namespace. */
  onChange(listener: (name: string, change: NamespaceChange) => void): void {
    this.#listeners.push(listener);
  }

  upsert(namespace: Namespace, { name }: Pick<ObjectId, 'name'>): void {
    const isExported = (isGlobalNamespace(namespace) ?? this.#isGlobalByDefault) && this.#filter(namespace);
    if (this.#isExported.get(name) === isExported) return;
    this.#isExported.set(name, isExported);
    this.#notify(name, 'switched');
  }

  remove({ name }: Pick<ObjectId, 'name'>): void {
    if (this.#isExported.delete(name)) this.#notify(name, 'gone');
  }

  listed(): void {
    this.#listing.complete();
  }

  #notify(name: string, change: NamespaceChange): void {
    for (const listener of this.#listeners) listener(name, change);
  }
}
