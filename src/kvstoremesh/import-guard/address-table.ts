/**
 * A number for each address, of which there may be millions. IPv4 addresses are in a table of numbers, all others in a Map.
 *
 * Each process uses its own random number, so that a remote cannot choose addresses that meet in one place.
 */
import { randomBytes } from 'node:crypto';
import { TagTable } from '../../shared/tag-table.ts';
import type { AddressKey } from './addresses.ts';

const SEED = randomBytes(4).readUInt32LE(0);

export class AddressTable {
  /** The tag says everything about an address: there is no other one with it. */
  readonly #ipv4 = new TagTable<number>(() => true);
  readonly #others = new Map<AddressKey, number>();

  get size(): number {
    return this.#ipv4.size + this.#others.size;
  }

  get(address: AddressKey): number | undefined {
    return typeof address === 'number' ? this.#ipv4.get(tagOf(address), address) : this.#others.get(address);
  }

  /** `value`: more than -2^31, less than 2^31. */
  set(address: AddressKey, value: number): void {
    if (typeof address === 'number') this.#ipv4.set(tagOf(address), address, value);
    else this.#others.set(address, value);
  }

  delete(address: AddressKey): void {
    if (typeof address === 'number') this.#ipv4.delete(tagOf(address), address);
    else this.#others.delete(address);
  }

  /** Deletes the addresses that `isOver` accepts. It may set the address that it is asked about, and no other one. */
  deleteWhere(isOver: (address: AddressKey, value: number) => boolean): void {
    this.#ipv4.deleteWhere((tag, value) => isOver(addressOf(tag), value));
    for (const [address, value] of this.#others) if (isOver(address, value)) this.#others.delete(address);
  }
}

/** Odd numbers, and those by which they multiply to 1 in 32 bits. */
const [FIRST, FIRST_INVERSE] = [0x85ebca6b, 0xa5cb9243];
const [SECOND, SECOND_INVERSE] = [0xc2b2ae35, 0x7ed1b41d];

/** Another number for each address, from which `addressOf` computes the address again. */
function tagOf(address: number): number {
  let tag = Math.imul(address ^ SEED, FIRST);
  tag = Math.imul(tag ^ (tag >>> 13), SECOND);
  return (tag ^ (tag >>> 16)) >>> 0;
}

function addressOf(tag: number): number {
  let address = Math.imul(tag ^ (tag >>> 16), SECOND_INVERSE);
  address ^= (address >>> 13) ^ (address >>> 26);
  return Math.imul(address, FIRST_INVERSE) ^ SEED;
}
