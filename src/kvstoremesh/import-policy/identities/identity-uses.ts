/**
 * How many imported endpoints of a remote use each of its identities.
 *
 * An endpoint takes about 50 bytes: its address, an IPv4 address as a number, and the number of its identity.
 */
import { ipv4Bits } from '../../../shared/ip.ts';

type Endpoint = number | string;

export class IdentityUses {
  #identityOf = new Map<Endpoint, number>();
  /** Of endpoints that the listing under way has not named yet. */
  #before: Map<Endpoint, number> | undefined;
  readonly #uses = new Map<number, number>();
  readonly #onUnused: (identity: number) => void;

  constructor(onUnused: (identity: number) => void) {
    this.#onUnused = onUnused;
  }

  isUsed(identity: number): boolean {
    return this.#uses.has(identity);
  }

  /** `own`: the address, as in the key. True where nothing used the identity before. */
  set(own: string, identity: number): boolean {
    const endpoint = ipv4Bits(own) ?? own;
    const last = this.#take(endpoint);
    this.#identityOf.set(endpoint, identity);
    if (last === identity) return false;
    const uses = this.#uses.get(identity) ?? 0;
    this.#uses.set(identity, uses + 1);
    if (last !== undefined) this.#release(last);
    return uses === 0;
  }

  delete(own: string): void {
    const endpoint = ipv4Bits(own) ?? own;
    const last = this.#take(endpoint);
    this.#identityOf.delete(endpoint);
    if (last !== undefined) this.#release(last);
  }

  /** A listing begins: endpoints that it does not set have gone when it is complete. */
  begin(): void {
    if (this.#before === undefined) this.#before = this.#identityOf;
    else for (const [endpoint, identity] of this.#identityOf) this.#before.set(endpoint, identity);
    this.#identityOf = new Map();
  }

  listed(): void {
    for (const identity of this.#before?.values() ?? []) this.#release(identity);
    this.#before = undefined;
  }

  /** What is known of the endpoint, which nothing keeps any more but its entry in this listing. */
  #take(endpoint: Endpoint): number | undefined {
    const last = this.#identityOf.get(endpoint);
    if (last !== undefined || this.#before === undefined) return last;
    const before = this.#before.get(endpoint);
    this.#before.delete(endpoint);
    return before;
  }

  #release(identity: number): void {
    const uses = (this.#uses.get(identity) ?? 0) - 1;
    if (uses > 0) this.#uses.set(identity, uses);
    else if (this.#uses.delete(identity)) this.#onUnused(identity);
  }
}
