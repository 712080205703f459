/**
 * Which remotes claim which address.
 *
 * There may be millions of addresses, and nearly all have one claim. A claim is a single number: the remote and the listing
 * that last named the address. An IPv4 address costs 11 to 21 bytes.
 */
import { MAX_GUARDED_ADDRESSES, MAX_SHARED_ADDRESSES } from '../../shared/limits.ts';
import { AddressTable } from './address-table.ts';
import type { AddressKey } from './addresses.ts';

const OWNER_BITS = 10;
const OWNERS = 1 << OWNER_BITS;
const LISTINGS = 1 << 20;
/** More than one remote claims the address: see `#shared`. */
const SHARED = -1;

export class DuplicateIps {
  readonly #claims = new AddressTable();
  readonly #shared = new Map<AddressKey, Map<number, number>>();
  /** How many claims of each remote its current listing has not named yet. */
  readonly #unnamed = new Map<number, number>();
  readonly #count = new Map<number, number>();
  readonly #onChange: (address: AddressKey, owners: readonly number[], left: number | undefined) => void;

  /** `onChange`: several `owners` claim `address`, or only `owners[0]` does after `left` released it. */
  constructor(onChange: (address: AddressKey, owners: readonly number[], left: number | undefined) => void) {
    this.#onChange = onChange;
  }

  /** Addresses claimed. */
  get size(): number {
    return this.#claims.size;
  }

  /** A listing of `owner` (below 1024) begins: `sweep` removes the claims that it does not confirm. */
  begin(owner: number): void {
    this.#unnamed.set(owner, this.#count.get(owner) ?? 0);
  }

  /** `listing`: the number of the owner's current listing. False where there is no room. */
  claim(owner: number, address: AddressKey, listing: number): boolean {
    const mine = pack(owner, listing);
    const found = this.#claims.get(address);
    if (found === mine) return true;
    if (found === undefined) {
      if (this.#claims.size >= MAX_GUARDED_ADDRESSES) return false;
      this.#claims.set(address, mine);
      this.#add(owner);
    } else if (found !== SHARED && ownerOf(found) === owner) {
      this.#claims.set(address, mine);
      this.#named(owner);
    } else {
      return this.#share(owner, address, listing, found);
    }
    return true;
  }

  release(owner: number, address: AddressKey, listing: number): void {
    const found = this.#claims.get(address);
    if (found === undefined) return;
    if (found !== SHARED) {
      if (ownerOf(found) !== owner) return;
      this.#claims.delete(address);
      this.#remove(owner, listingOf(found) !== listing % LISTINGS);
      return;
    }
    const named = this.#shared.get(address)?.get(owner);
    if (named === undefined) return;
    this.#unshare(owner, address);
    this.#remove(owner, named !== listing % LISTINGS);
  }

  /** Releases the claims of `owner` that are older than `listing`, all at once. Takes 10 ms for a million addresses, and no time where nothing is to be released. */
  sweep(owner: number, listing: number): void {
    if ((this.#unnamed.get(owner) ?? 0) > 0) this.#releaseWhere(owner, (named) => named !== listing % LISTINGS);
    this.#unnamed.set(owner, 0);
  }

  forget(owner: number): void {
    if ((this.#count.get(owner) ?? 0) > 0) this.#releaseWhere(owner, () => true);
    this.#count.delete(owner);
    this.#unnamed.delete(owner);
  }

  #share(owner: number, address: AddressKey, listing: number, found: number): boolean {
    let owners = this.#shared.get(address);
    if (owners === undefined) {
      if (this.#shared.size >= MAX_SHARED_ADDRESSES) return false;
      owners = new Map([[ownerOf(found), listingOf(found)]]);
      this.#shared.set(address, owners);
      this.#claims.set(address, SHARED);
    }
    const named = owners.get(owner);
    owners.set(owner, listing % LISTINGS);
    if (named === undefined) {
      this.#add(owner);
      this.#onChange(address, [...owners.keys()], undefined);
    } else if (named !== listing % LISTINGS) {
      this.#named(owner);
    }
    return true;
  }

  #unshare(owner: number, address: AddressKey): void {
    const owners = this.#shared.get(address);
    if (owners === undefined) return;
    owners.delete(owner);
    const left = [...owners.keys()];
    if (owners.size === 1) {
      for (const [last, listing] of owners) this.#claims.set(address, pack(last, listing));
      this.#shared.delete(address);
    }
    this.#onChange(address, left, owner);
  }

  #releaseWhere(owner: number, isOver: (listing: number) => boolean): void {
    let released = 0;
    this.#claims.deleteWhere((address, found) => {
      if (found !== SHARED) {
        if (ownerOf(found) !== owner || !isOver(listingOf(found))) return false;
        released += 1;
        return true;
      }
      const named = this.#shared.get(address)?.get(owner);
      if (named === undefined || !isOver(named)) return false;
      this.#unshare(owner, address);
      released += 1;
      return false;
    });
    this.#count.set(owner, (this.#count.get(owner) ?? 0) - released);
  }

  #add(owner: number): void {
    this.#count.set(owner, (this.#count.get(owner) ?? 0) + 1);
  }

  #remove(owner: number, wasUnnamed: boolean): void {
    this.#count.set(owner, (this.#count.get(owner) ?? 0) - 1);
    if (wasUnnamed) this.#named(owner);
  }

  #named(owner: number): void {
    this.#unnamed.set(owner, (this.#unnamed.get(owner) ?? 0) - 1);
  }
}

function pack(owner: number, listing: number): number {
  return (listing % LISTINGS) * OWNERS + owner;
}

function ownerOf(claim: number): number {
  return claim % OWNERS;
}

function listingOf(claim: number): number {
  return (claim - (claim % OWNERS)) / OWNERS;
}
