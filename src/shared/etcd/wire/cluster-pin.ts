/**
 * The cluster ID that every answer must carry.
 *
 * Behind one address there may be several independent stores, or a new one since yesterday. Revisions of
 * two stores must never meet, hence whoever remembers revisions holds on to the pin it began with.
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
