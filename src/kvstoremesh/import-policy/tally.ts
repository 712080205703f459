/** What the policy keeps out of one remote, by kind and by reason. */

import { MIRRORED_KINDS, type MirroredKind } from '../../shared/etcd/keyspace.ts';
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { PolicyRefusal } from './judge.ts';
import { KeyCount } from './key-count.ts';
import { OutsideAddresses } from './outside-addresses.ts';

export class PolicyTally {
  readonly outside: OutsideAddresses;
  readonly #refused = newCounts();
  readonly #totals = new Map<PolicyRefusal, number>();
  #listings = 0;

  constructor(log: Logger) {
    this.outside = new OutsideAddresses(log);
  }

  /** Keys of the kind that the remote has and that are not imported. */
  refused(kind: MirroredKind): number {
    return this.#of(kind).size;
  }

  /** Keys and values refused so far for that reason. */
  total(reason: PolicyRefusal): number {
    return this.#totals.get(reason) ?? 0;
  }

  /** `listing`: what `begin` has returned. */
  refuse(kind: MirroredKind, key: EtcdKey, reason: PolicyRefusal, address: string, listing: number): void {
    this.#totals.set(reason, this.total(reason) + 1);
    this.#of(kind).add(key);
    if (reason === 'podCIDRs' || reason === 'nodeCIDRs') this.outside.add({ key, kind, list: reason, address }, listing);
    else this.outside.clear(key);
  }

  /** The key is not imported so far; whether it is refused is not known yet. */
  exclude(kind: MirroredKind, key: EtcdKey): void {
    this.#of(kind).add(key);
  }

  /** The key is imported, or gone. */
  clear(kind: MirroredKind, key: EtcdKey): void {
    this.#of(kind).delete(key);
    this.outside.clear(key);
  }

  /** A listing of the kind begins. Returns its number. */
  begin(kind: MirroredKind): number {
    this.#of(kind).begin();
    this.#listings += 1;
    return this.#listings;
  }

  listed(kind: MirroredKind, listing: number): void {
    this.#of(kind).listed();
    this.outside.retain(kind, listing);
  }

  /** Nothing is known of what another rule refuses. */
  restart(): void {
    for (const kind of MIRRORED_KINDS) this.#refused.set(kind, new KeyCount());
    this.outside.clearAll();
  }

  #of(kind: MirroredKind): KeyCount {
    return this.#refused.get(kind) as KeyCount;
  }
}

function newCounts(): Map<MirroredKind, KeyCount> {
  return new Map(MIRRORED_KINDS.map((kind) => [kind, new KeyCount()]));
}
