/**
 * Which identities exported endpoints use, and the order between the two.
 *
 * An identity is exported while an exported endpoint uses it. Its key is in etcd before the first address that refers to it, and leaves
 * after the last one: a reader in between would take the Pod for one without labels. The sections of the publisher are
 * independent of each other once they are loaded, so both waits are here:
 *
 *   an endpoint needs it ──▶ identity is written ──confirmed──▶ the endpoint is exported
 *   no endpoint uses it ──▶ addresses are removed ──confirmed──▶ the identity is removed
 *
 * That holds for the first load, too: the ranks of the publisher give an order only if both kinds start together. An identity that an
 * earlier run exported and that no endpoint uses stays until the first listing of addresses is in etcd.
 */
import { IDENTITY_PATIENCE_MS, MIN_ALLOCATED_IDENTITY } from '../../../shared/limits.ts';
import type { Clock } from '../../../shared/time/clock.ts';
import { Confirmations } from './confirmations.ts';

export interface IdentityUsesOptions {
  /** Evaluates an identity again. */
  readonly identityChanged: (identity: string) => void;
  /** Evaluates an object with endpoints again. */
  readonly endpointsChanged: (object: string) => void;
  /** Resolves when all changed objects with endpoints have been evaluated. */
  readonly endpointsEvaluated: () => Promise<void>;
  /** Both resolve when etcd has confirmed what the section was given, and reject when the program is stopping. */
  readonly identitiesFlushed: () => Promise<void>;
  readonly addressesFlushed: () => Promise<void>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** `written`: etcd has the key. `none`: there is no key that an endpoint should wait for. */
type KeyState = 'absent' | 'writing' | 'written' | 'none';

interface Use {
  /** Objects with exported endpoints that use it. */
  users: number;
  /** Objects whose endpoints will use it, and are not exported before all identities that they need are in etcd. */
  waiting: Set<string> | undefined;
  key: KeyState;
}

const NO_IDENTITIES: readonly string[] = [];

/** Bounded by the objects that are known: an entry for each object with exported endpoints, and for each identity that they name. */
export class IdentityUses {
  readonly #options: IdentityUsesOptions;
  readonly #uses = new Map<string, Use>();
  readonly #byUser = new Map<string, readonly string[]>();
  /** The identities of which an object waits for some. */
  readonly #requests = new Map<string, readonly string[]>();
  readonly #writes: Confirmations;
  readonly #releases: Confirmations;
  /** Identities of an earlier run; undefined once the addresses of that run are gone. */
  #inherited: Set<string> | undefined = new Set();
  /** When to stop waiting for the object of an identity, in the order of these times. */
  readonly #missing = new Map<string, number>();
  /** Objects that were waiting at a certain moment and still are, with what to call when none is. */
  readonly #served = new Map<Set<string>, () => void>();
  #isPatient = false;
  #isKeepingTime = false;

  constructor(options: IdentityUsesOptions) {
    const { endpointsEvaluated, identitiesFlushed, addressesFlushed, identityChanged } = options;
    this.#options = options;
    this.#writes = new Confirmations({
      prepared: () => Promise.resolve(),
      flushed: identitiesFlushed,
      onConfirmed: (identity) => this.#confirmed(identity),
    });
    this.#releases = new Confirmations({
      prepared: endpointsEvaluated,
      flushed: addressesFlushed,
      onConfirmed: identityChanged,
    });
  }

  /** Identities may come later than endpoints that use them. Before, those without an object are not waited for. */
  bePatient(): void {
    this.#isPatient = true;
  }

  /** Calls `listener` once all objects that wait now do not any more. */
  whenServed(listener: () => void): void {
    if (this.#requests.size === 0) listener();
    else this.#served.set(new Set(this.#requests.keys()), listener);
  }

  /** The first listing of addresses is in etcd: those that an earlier run exported besides are gone. */
  endInheritance(): void {
    const inherited = this.#inherited ?? [];
    this.#inherited = undefined;
    for (const identity of inherited) this.#options.identityChanged(identity);
  }

  /** Whether the key of the identity shall exist, provided that there is such an identity. */
  isExported(identity: string): boolean {
    const use = this.#uses.get(identity);
    return (use !== undefined && isWanted(use)) || this.isHeld(identity);
  }

  /** Whether addresses in etcd may still refer to it. */
  isHeld(identity: string): boolean {
    return this.#releases.has(identity) || this.#inherited?.has(identity) === true;
  }

  /** Exports it until the addresses that are removed now are gone from etcd. */
  hold(identity: string): void {
    this.#releases.add(identity);
  }

  /** The same for one that an earlier run left in etcd; false where the addresses of that run are gone already. */
  inherit(identity: string): boolean {
    this.#inherited?.add(identity);
    return this.#inherited !== undefined;
  }

  /**
   * Whether exported endpoints of `user` may refer to `identities` now. Where they may not, these are exported, and `user` is
   * evaluated again when one of them is in etcd. One without an object is waited for, but not for long: its endpoints work without.
   */
  request(user: string, identities: readonly string[]): boolean {
    const used = this.#byUser.get(user) ?? NO_IDENTITIES;
    const needed = identities.filter((identity) => Number(identity) >= MIN_ALLOCATED_IDENTITY && !used.includes(identity));
    if (needed.every((identity) => isReady(this.#uses.get(identity)))) return true;
    const before = this.#requests.get(user) ?? NO_IDENTITIES;
    this.#requests.set(user, needed);
    for (const identity of needed) if (!before.includes(identity)) this.#await(user, identity);
    for (const identity of before) if (!needed.includes(identity)) this.#awaitNoMore(user, identity);
    return false;
  }

  /** The exported endpoints of `user` refer to exactly `identities`, and it waits for nothing. */
  used(user: string, identities: readonly string[]): void {
    const before = this.#byUser.get(user) ?? NO_IDENTITIES;
    const requested = this.#requests.get(user) ?? NO_IDENTITIES;
    if (identities.length === 0) this.#byUser.delete(user);
    else this.#byUser.set(user, identities);
    this.#requests.delete(user);
    for (const identity of identities) if (!before.includes(identity)) this.#acquire(identity);
    for (const identity of before) if (!identities.includes(identity)) this.#abandon(identity);
    for (const identity of requested) this.#awaitNoMore(user, identity);
    for (const [waiting, listener] of this.#served) {
      if (!waiting.delete(user) || waiting.size > 0) continue;
      this.#served.delete(waiting);
      listener();
    }
  }

  /** The section of identities was given what it shall have of this one. `isKnown`: its object exists. */
  evaluated(identity: string, { isKnown, hasKey }: { readonly isKnown: boolean; readonly hasKey: boolean }): void {
    const use = this.#uses.get(identity);
    if (isKnown) this.#missing.delete(identity);
    if (hasKey) {
      if (use?.key === 'written') return;
      this.#use(identity).key = 'writing';
      this.#writes.add(identity);
      return;
    }
    if (use === undefined) return;
    use.key = 'absent';
    if (use.waiting !== undefined) {
      if (isKnown || !this.#isPatient) this.#settle(use, 'none');
      else this.#expect(identity);
    }
    if (!isWanted(use) && use.key === 'absent') this.#uses.delete(identity);
  }

  #acquire(identity: string): void {
    const use = this.#use(identity);
    use.users += 1;
    if (use.users === 1 && use.key === 'absent') this.#options.identityChanged(identity);
  }

  #abandon(identity: string): void {
    const use = this.#use(identity);
    use.users -= 1;
    if (!isWanted(use)) this.#releases.add(identity);
  }

  #await(user: string, identity: string): void {
    const use = this.#use(identity);
    use.waiting = (use.waiting ?? new Set()).add(user);
    if (use.key === 'absent') this.#options.identityChanged(identity);
  }

  #awaitNoMore(user: string, identity: string): void {
    const use = this.#use(identity);
    use.waiting?.delete(user);
    if (use.waiting?.size === 0) use.waiting = undefined;
    if (!isWanted(use)) this.#releases.add(identity);
  }

  #confirmed(identity: string): void {
    const use = this.#uses.get(identity);
    if (use?.key === 'writing') this.#settle(use, 'written');
  }

  /** Those that wait are evaluated again. */
  #settle(use: Use, key: 'written' | 'none'): void {
    use.key = key;
    for (const user of use.waiting ?? []) this.#options.endpointsChanged(user);
  }

  #expect(identity: string): void {
    const { clock } = this.#options;
    if (this.#missing.has(identity)) return;
    this.#missing.set(identity, clock.monotonicMs() + IDENTITY_PATIENCE_MS);
    if (!this.#isKeepingTime) void this.#keepTime();
  }

  async #keepTime(): Promise<void> {
    const { clock, signal } = this.#options;
    this.#isKeepingTime = true;
    try {
      for (let [first] = this.#missing; first !== undefined; [first] = this.#missing) {
        const [identity, dueMs] = first;
        const leftMs = dueMs - clock.monotonicMs();
        if (leftMs > 0) {
          await clock.sleep(leftMs, signal);
          continue;
        }
        this.#missing.delete(identity);
        const use = this.#uses.get(identity);
        if (use?.key === 'absent') this.#settle(use, 'none');
      }
    } catch {
      // The program is stopping.
    }
    this.#isKeepingTime = false;
  }

  #use(identity: string): Use {
    const known = this.#uses.get(identity);
    if (known !== undefined) return known;
    const use: Use = { users: 0, waiting: undefined, key: 'absent' };
    this.#uses.set(identity, use);
    return use;
  }
}

function isWanted(use: Use): boolean {
  return use.users > 0 || use.waiting !== undefined;
}

function isReady(use: Use | undefined): boolean {
  return use?.key === 'written' || use?.key === 'none';
}
