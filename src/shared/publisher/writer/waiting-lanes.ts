/**
 * The lanes that wait for a transaction, in the order of their turns.
 *
 * A queue per priority: 0 for steady sections, above that the ranks of those in their first load. Within a
 * queue lanes take turns. The steady ones come first, but every few turns another one is taken.
 */
import type { KeyGroup } from './key-group.ts';
import type { Lane } from './lane.ts';

/** A group of lanes as the scheduler sees it. */
export interface Scheduled {
  readonly group: KeyGroup;
  /** 0 for steady sections; higher while a first load is under way. */
  priority(): number;
  /** How long the group has to wait for other ones at most, in milliseconds; 0 where it need not. Their progress may end the wait earlier. */
  heldMs(): number;
}

/** Turns that steady sections take before one in its first load gets a turn. */
const STEADY_TURNS = 4;

export class WaitingLanes {
  readonly #queues: Map<Lane, Scheduled>[] = [];
  readonly #priorities = new Map<Lane, number>();
  #steadyTurns = 0;

  get isEmpty(): boolean {
    return this.#priorities.size === 0;
  }

  /** Queues the lane, behind those of its priority. */
  add(lane: Lane, scheduled: Scheduled): void {
    if (this.#priorities.has(lane)) return;
    const priority = scheduled.priority();
    this.#priorities.set(lane, priority);
    this.#queue(priority).set(lane, scheduled);
  }

  delete(lane: Lane): void {
    const priority = this.#priorities.get(lane);
    if (priority === undefined) return;
    this.#priorities.delete(lane);
    this.#queue(priority).delete(lane);
  }

  /** Takes the next lane that `mayGo` accepts; lanes of groups without write permission are dropped. */
  next(mayGo: (scheduled: Scheduled) => boolean): [Lane, Scheduled] | undefined {
    const first = this.#steadyTurns >= STEADY_TURNS ? 1 : 0;
    const order = this.#queues.map((_, i) => (i + first) % this.#queues.length);
    for (const priority of order) {
      for (const [lane, scheduled] of this.#queue(priority)) {
        if (scheduled.group.isWritable && !mayGo(scheduled)) continue;
        this.delete(lane);
        if (!scheduled.group.isWritable) continue;
        this.#steadyTurns = priority === 0 ? this.#steadyTurns + 1 : 0;
        return [lane, scheduled];
      }
    }
    return undefined;
  }

  #queue(priority: number): Map<Lane, Scheduled> {
    while (this.#queues.length <= priority) this.#queues.push(new Map());
    return this.#queues[priority] as Map<Lane, Scheduled>;
  }
}
