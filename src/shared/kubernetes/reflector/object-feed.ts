/**
 * Passes the objects of one kind from lists and watches to a handler.
 *
 * Tracks the objects of the handler, so that objects missing from a complete list
 * are removed. An object that cannot be projected is skipped: the handler keeps its previous state.
 */
import { asError } from '../../errors.ts';
import { MAX_LOGGED_REJECTIONS } from '../../limits.ts';
import type { Logger } from '../../process/log.ts';
import { objectId, objectIdOf } from '../objects/json.ts';
import type { ObjectId } from '../objects/types.ts';

/** Called synchronously, in the order of each object's states. Must not throw. */
export interface ResourceHandler<T> {
  /** `id` is now `object`. May be repeated without a change. */
  upsert(object: T, id: ObjectId): void;
  /** `id` is gone. Called only for objects that were upserted before. */
  remove(id: ObjectId): void;
  /** A list is complete, including the removal of missing objects. The first one means "synced". */
  listed(): void;
}

export interface FeedOptions<T> {
  readonly project: (raw: unknown) => T;
  readonly handler: ResourceHandler<T>;
  readonly log: Logger;
  readonly onRejected: (id: ObjectId, error: Error) => void;
}

export class ObjectFeed<T> {
  readonly #options: FeedOptions<T>;
  /** Each object the handler holds, with the listing that named it last. */
  readonly #held = new Map<string, number>();
  readonly #loggedRejections = new Set<string>();
  #listing = 0;
  #isPartial = false;

  constructor(options: FeedOptions<T>) {
    this.#options = options;
  }

  /** Objects that the handler holds. */
  get size(): number {
    return this.#held.size;
  }

  /** Whether a listing has passed on objects and was not completed: the handler then has states of different times. */
  get isPartial(): boolean {
    return this.#isPartial;
  }

  /** Starts a listing, which ends with `vanished`. Discards an incomplete one. */
  beginListing(): void {
    this.#listing += 1;
  }

  /**
   * An object as a listing names it; true where this listing has not named it before, or it cannot be projected. Throws
   * KubeDecodeError where it has no name.
   */
  list(raw: unknown): boolean {
    this.#isPartial = true;
    return this.upsert(raw);
  }

  /** An object as it now is; the result is that of `list`. Throws KubeDecodeError where it has no name. */
  upsert(raw: unknown): boolean {
    const id = objectId(raw);
    let object: T;
    try {
      object = this.#options.project(raw);
    } catch (thrown) {
      if (this.#held.has(id.text)) this.#held.set(id.text, this.#listing);
      this.#reject(id, asError(thrown));
      return true;
    }
    this.#loggedRejections.delete(id.text);
    const isNew = this.#held.get(id.text) !== this.#listing;
    this.#held.set(id.text, this.#listing);
    this.#options.handler.upsert(object, id);
    return isNew;
  }

  /** An object was deleted; unknown ones are ignored. Throws KubeDecodeError if it has no name. */
  remove(raw: unknown): void {
    const id = objectId(raw);
    this.#loggedRejections.delete(id.text);
    if (this.#held.delete(id.text)) this.#options.handler.remove(id);
  }

  /** Completes a listing: removes missing objects step by step. The caller may pause between the steps. */
  *removeVanished(): Generator<void, void, void> {
    for (const [text, listing] of this.#held) {
      if (listing !== this.#listing) {
        this.#held.delete(text);
        this.#options.handler.remove(objectIdOf(text));
      }
      yield;
    }
    this.#isPartial = false;
  }

  #reject(id: ObjectId, error: Error): void {
    this.#options.onRejected(id, error);
    const { namespace, name, text } = id;
    if (this.#loggedRejections.has(text) || this.#loggedRejections.size >= MAX_LOGGED_REJECTIONS) return;
    this.#loggedRejections.add(text);
    this.#options.log.warn({ name, namespace, reason: error.message }, 'skipping an object that cannot be decoded');
  }
}
