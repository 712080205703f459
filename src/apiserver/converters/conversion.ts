/** What a converter makes of an object: entries, and what of the object could not be used. */
import type { WideInteger } from '../../shared/kubernetes/objects/types.ts';
import type { Entry } from '../encoding/keyspace.ts';

/** The value of a key that its object claims and that must not exist: no other object may have it. Recognized as this very array. */
export const WITHHELD = new Uint8Array(0);

export interface Conversion {
  readonly entries: readonly Entry[];
  /** One text for each part left out because it is wrong, naming the field and the reason; the rest is exported. */
  readonly rejected: readonly string[];
}

/** `text`, which comes from an object, for a message: quoted, and cut where it is long. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}

/** Highest TCP and UDP port. */
const MAX_PORT = 65_535;

/** Whether readers take `port` as one: they refuse a whole value for a number that is none. */
export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= MAX_PORT;
}

/** Whether `value` is an integer of 32 bits with a sign. */
export function isInt32(value: number): boolean {
  return (value | 0) === value;
}

/** `value` cut to an unsigned field of so many bits, as Go does. */
export function lowBits(value: WideInteger, bits: 8 | 32): number {
  if (typeof value === 'bigint') return Number(BigInt.asUintN(bits, value));
  return bits === 8 ? value & 0xff : value >>> 0;
}
