/**
 * The position of a watch: the revision to resume from, and the delivered events.
 *
 * The position moves with delivered events and with progress notifications, which etcd sends
 * after all events they cover. The revision in the header of a response is that of the store, often far
 * ahead of events in flight, and does not move the position.
 */
import type { Revision, WatchEvent } from '../types.ts';

export interface TakenEvents {
  readonly events: readonly WatchEvent[];
  /** Everything up to here has been delivered once these events are. */
  readonly revision: Revision;
  readonly dropped: number;
}

export class WatchCursor {
  /** Of the last event handed over; more events of it may follow. */
  #last: Revision;
  /** All events up to here were handed over. */
  #complete: Revision;
  #progress: Revision;

  /** `from` is the first revision to deliver. */
  constructor(from: Revision) {
    this.#last = Math.max(0, from - 1) as Revision;
    this.#complete = this.#last;
    this.#progress = this.#last;
  }

  /** Everything up to here needs not be delivered again. */
  get delivered(): Revision {
    return Math.max(this.#complete, this.#progress) as Revision;
  }

  /** The revision at which a new stream starts. */
  get start(): Revision {
    return (this.delivered + 1) as Revision;
  }

  /**
   * Drops events that were delivered before, or that are out of order. `isEnd`: no event of
   * the last revision is missing, because etcd never splits a revision between two responses.
   */
  take(events: readonly WatchEvent[], isEnd: boolean): TakenEvents {
    const fresh = this.#isInOrder(events) ? events : events.filter((event) => this.#accept(event));
    this.#last = fresh.at(-1)?.modRevision ?? this.#last;
    const complete = isEnd ? this.#last : this.#last - 1;
    this.#complete = Math.max(this.#complete, complete) as Revision;
    return { events: fresh, revision: this.delivered, dropped: events.length - fresh.length };
  }

  /** True where `revision` is news. */
  progressed(revision: Revision): boolean {
    if (revision <= this.delivered) return false;
    this.#progress = revision;
    return true;
  }

  #isInOrder(events: readonly WatchEvent[]): boolean {
    let previous = Math.max(this.#last, this.#complete + 1);
    for (const { modRevision } of events) {
      if (modRevision < previous) return false;
      previous = modRevision;
    }
    return true;
  }

  #accept({ modRevision }: WatchEvent): boolean {
    if (modRevision <= this.#complete || modRevision < this.#last) return false;
    this.#last = modRevision;
    return true;
  }
}
