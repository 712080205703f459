/**
 * Decides about names of namespaces as remotes write them, each once: there are many keys for one namespace.
 *
 * Decisions are found by the bytes of a name, without a string, in an open hash table. A search looks at a few places only: names
 * that a remote chooses to meet in one of them are compared with the patterns again, no more.
 */
import { MAX_REMEMBERED_NAMESPACES } from '../limits.ts';
import type { NameRules } from './glob.ts';

/** Of a namespace in Kubernetes. */
export const MAX_NAMESPACE_LENGTH = 63;
const PRINTABLE = /^[\x20-\x7e]*$/;
const FIRST_PLACES = 16;
/** Places in which a decision about a namespace is looked for. */
const MAX_PROBES = 8;
const HASH_BASIS = 0x811c9dc5;
const HASH_PRIME = 0x0100_0193;

interface Decision {
  readonly name: string;
  readonly hash: number;
  readonly isAllowed: boolean;
}

export class Namespaces {
  readonly #rules: NameRules;
  #places = new Array<Decision | undefined>(FIRST_PLACES);

  constructor(rules: NameRules) {
    this.#rules = rules;
  }

  /** '' where a key has none. False for what no namespace can be named. */
  allows(name: string): boolean {
    if (name.length > MAX_NAMESPACE_LENGTH) return false;
    let hash = HASH_BASIS;
    for (let at = 0; at < name.length; at += 1) hash = Math.imul(hash ^ name.charCodeAt(at), HASH_PRIME);
    for (let probe = 0; probe < MAX_PROBES; probe += 1) {
      const known = this.#places[(hash + probe) & (this.#places.length - 1)];
      if (known === undefined) break;
      if (known.hash === hash && known.name === name) return known.isAllowed;
    }
    return this.#decide(name, hash);
  }

  /** As `allows`, for the characters `bytes[from, to)` of one byte each. */
  allowsBytes(bytes: Uint8Array, from: number, to: number): boolean {
    if (to - from > MAX_NAMESPACE_LENGTH) return false;
    let hash = HASH_BASIS;
    for (let at = from; at < to; at += 1) hash = Math.imul(hash ^ (bytes[at] as number), HASH_PRIME);
    for (let probe = 0; probe < MAX_PROBES; probe += 1) {
      const known = this.#places[(hash + probe) & (this.#places.length - 1)];
      if (known === undefined) break;
      if (known.hash === hash && isSame(known.name, bytes, from, to)) return known.isAllowed;
    }
    return this.#decide(String.fromCharCode(...bytes.subarray(from, to)), hash);
  }

  #decide(name: string, hash: number): boolean {
    if (!PRINTABLE.test(name)) return false;
    const isAllowed = this.#rules.allows(name);
    this.#remember({ name, hash, isAllowed });
    return isAllowed;
  }

  #remember(decision: Decision): void {
    const places = this.#places;
    const mask = places.length - 1;
    for (let probe = 0; probe < MAX_PROBES; probe += 1) {
      const place = (decision.hash + probe) & mask;
      if (places[place] !== undefined) continue;
      places[place] = decision;
      return;
    }
    if (places.length >= MAX_REMEMBERED_NAMESPACES) {
      places[decision.hash & mask] = decision;
      return;
    }
    this.#places = new Array<Decision | undefined>(places.length * 2);
    for (const known of places) if (known !== undefined) this.#remember(known);
    this.#remember(decision);
  }
}

function isSame(name: string, bytes: Uint8Array, from: number, to: number): boolean {
  if (name.length !== to - from) return false;
  for (let at = 0; at < name.length; at += 1) if (name.charCodeAt(at) !== bytes[from + at]) return false;
  return true;
}
