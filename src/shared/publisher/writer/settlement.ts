/**
 * Detects when everything that was queued at some moment is settled.
 *
 * While differences from etcd are being determined, keys that differ may not be queued yet. A caller then has
 * to wait until they are, and from then on for all queued keys.
 */
import type { Lane } from './lane.ts';

interface Marker {
  /** For each lane, the ticket below which all have to be settled; undefined while that cannot be told. */
  targets: number[] | undefined;
  readonly reached: () => void;
}

const NOTHING = (): void => undefined;

export class Settlement {
  readonly #lanes: readonly Lane[];
  readonly #markers = new Set<Marker>();
  #holds = 0;

  constructor(lanes: readonly Lane[]) {
    this.#lanes = lanes;
  }

  /** It is being found out what differs. */
  get isHeld(): boolean {
    return this.#holds > 0;
  }

  /** It is being found out what differs; to be ended by `unhold`. */
  hold(): void {
    this.#holds += 1;
  }

  unhold(): void {
    this.#holds -= 1;
    if (this.#holds > 0) return;
    for (const marker of this.#markers) marker.targets ??= this.#waiting();
    this.reach();
  }

  /** The state of etcd must be determined again: earlier waits are no longer valid. Call during a hold. */
  restart(): void {
    for (const marker of this.#markers) marker.targets = undefined;
  }

  /** Calls `reached` once everything that is queued now is settled. Returns a function that cancels. */
  whenSettled(reached: () => void): () => void {
    if (this.#isSettled) {
      reached();
      return NOTHING;
    }
    const marker: Marker = { targets: this.#holds > 0 ? undefined : this.#waiting(), reached };
    this.#markers.add(marker);
    this.reach();
    return () => void this.#markers.delete(marker);
  }

  /** Nothing waits, as nearly always where nothing changes. */
  get #isSettled(): boolean {
    return this.#holds === 0 && this.#lanes.every(({ pending }) => pending === 0);
  }

  /** Keys that etcd held wait again: everything that waits now has to be settled, whenever it was asked for. */
  extend(): void {
    for (const marker of this.#markers) if (marker.targets !== undefined) marker.targets = this.#waiting();
  }

  /** Calls back the waiters whose keys are settled. */
  reach(): void {
    for (const marker of [...this.#markers]) {
      if (!this.#isReached(marker)) continue;
      this.#markers.delete(marker);
      marker.reached();
    }
  }

  #waiting(): number[] {
    return this.#lanes.map((lane) => lane.nextTicket);
  }

  #isReached({ targets }: Marker): boolean {
    return targets !== undefined && this.#lanes.every((lane, at) => lane.settledTickets >= (targets[at] ?? 0));
  }
}
