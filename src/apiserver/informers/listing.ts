/** Completion of a first listing, for code that must not act on a part of it. */
export interface Listing {
  readonly isListed: boolean;
  /** Calls `listener` as soon as it is listed, at once where it is already. */
  onListed(listener: () => void): void;
}

export class FirstListing implements Listing {
  readonly #listeners: (() => void)[] = [];
  #listed = false;

  get isListed(): boolean {
    return this.#listed;
  }

  onListed(listener: () => void): void {
    if (this.#listed) listener();
    else this.#listeners.push(listener);
  }

  /** Only the first call counts: later listings arrive as changes. */
  complete(): void {
    if (this.#listed) return;
    this.#listed = true;
    for (const listener of this.#listeners.splice(0)) listener();
  }
}

/** Calls `listener` once all of `listings` are listed. */
export function whenAllListed(listings: readonly Listing[], listener: () => void): void {
  const [first, ...others] = listings;
  if (first === undefined) listener();
  else first.onListed(() => whenAllListed(others, listener));
}
