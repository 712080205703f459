/** Members by the group they are in; an empty group takes no memory. */
export class GroupIndex {
  readonly #groups = new Map<string, Set<string>>();

  members(group: string): Iterable<string> {
    return this.#groups.get(group) ?? [];
  }

  /** Moves `member` from one group to another; undefined for none. */
  move(member: string, from: string | undefined, to: string | undefined): void {
    if (from === to) return;
    if (from !== undefined) this.#leave(member, from);
    if (to === undefined) return;
    const group = this.#groups.get(to);
    if (group === undefined) this.#groups.set(to, new Set([member]));
    else group.add(member);
  }

  #leave(member: string, from: string): void {
    const group = this.#groups.get(from);
    group?.delete(member);
    if (group?.size === 0) this.#groups.delete(from);
  }
}
