/**
 * The cluster ID that every response must have.
 *
 * One address may lead to several independent stores, or to a new one. Revisions of two stores must never be
 * mixed, hence code that stores revisions keeps the pin that it started with.
 */
import { ClusterChangedError } from '../errors.ts';

export class ClusterPin {
  #id: bigint | undefined;

  /** Undefined until the first answer. */
  get id(): bigint | undefined {
    return this.#id;
  }

  /** Pins the first ID. Throws ClusterChangedError for a different one, and for none. */
  check(id: bigint): void {
    if (id === 0n || (this.#id !== undefined && this.#id !== id)) throw new ClusterChangedError(this.#id, id);
    this.#id = id;
  }
}
