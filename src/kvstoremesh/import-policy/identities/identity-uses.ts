/**
 * How many imported endpoints of a remote use each of its identities.
 *
 * Addresses and identities are numbers in open tables: an endpoint with an IPv4 address takes 11 to 22 bytes.
 */
import { ipv4Bits } from '../../../shared/ip.ts';
import { AddressTable } from '../../import-guard/address-table.ts';
import type { AddressKey } from '../../import-guard/addresses.ts';

/** What a table has for the one identity whose 32 bits it cannot hold; 0 is no identity of an endpoint. */
const HIGHEST_BIT = 0x8000_0000;

export class IdentityUses {
  #identityOf = new AddressTable();
  /** Of endpoints that the listing under way has not named yet. */
  #before: AddressTable | undefined;
  /** By identity. */
  readonly #uses = new AddressTable();
  readonly #onUnused: (identity: number) => void;

  constructor(onUnused: (identity: number) => void) {
    this.#onUnused = onUnused;
  }

  isUsed(identity: number): boolean {
    return this.#uses.get(identity | 0) !== undefined;
  }

  /** The address is `key` from `from` on; `identity`: from 1 to 2^32 - 1. True where nothing used the identity before. */
  set(key: string, from: number, identity: number): boolean {
    const endpoint = endpointOf(key, from);
    const cell = cellOf(identity);
    const last = this.#take(endpoint);
    if (last === cell && this.#before === undefined) return false;
    this.#identityOf.set(endpoint, cell);
    if (last === cell) return false;
    const uses = this.#uses.get(identity | 0) ?? 0;
    this.#uses.set(identity | 0, uses + 1);
    if (last !== undefined) this.#release(last);
    return uses === 0;
  }

  delete(key: string, from: number): void {
    const endpoint = endpointOf(key, from);
    const last = this.#take(endpoint);
    if (last === undefined) return;
    this.#identityOf.delete(endpoint);
    this.#release(last);
  }

  /** A listing begins: endpoints that it does not set have gone when it is complete. */
  begin(): void {
    const before = this.#before;
    if (before === undefined) this.#before = this.#identityOf;
    else {
      this.#identityOf.deleteWhere((endpoint, cell) => {
        before.set(endpoint, cell);
        return false;
      });
    }
    this.#identityOf = new AddressTable();
  }

  listed(): void {
    const before = this.#before;
    this.#before = undefined;
    before?.deleteWhere((_, cell) => {
      this.#release(cell);
      return false;
    });
  }

  /** What is known of the endpoint, which nothing keeps any more but its entry in this listing. */
  #take(endpoint: AddressKey): number | undefined {
    const last = this.#identityOf.get(endpoint);
    if (last !== undefined || this.#before === undefined) return last;
    const before = this.#before.get(endpoint);
    if (before !== undefined) this.#before.delete(endpoint);
    return before;
  }

  #release(cell: number): void {
    const identity = cell === 0 ? HIGHEST_BIT : cell >>> 0;
    const uses = (this.#uses.get(identity | 0) ?? 0) - 1;
    if (uses > 0) this.#uses.set(identity | 0, uses);
    else if (uses === 0) {
      this.#uses.delete(identity | 0);
      this.#onUnused(identity);
    }
  }
}

function endpointOf(key: string, from: number): AddressKey {
  return ipv4Bits(key, from) ?? key.slice(from);
}

function cellOf(identity: number): number {
  return identity === HIGHEST_BIT ? 0 : identity | 0;
}
