/**
 * The pod CIDRs of the nodes of all remotes, and which of them overlap those of another remote.
 *
 * Each CIDR that overlaps has one cause: another CIDR that it overlaps. When the cause is removed, another one is searched.
 * So a change costs the depth of the trie and never a comparison with all CIDRs. A CIDR that overlaps thousands becomes the
 * cause of a few of them only; it is itself reported in any case.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import { MAX_OVERLAPS_PER_POD_CIDR, MAX_POD_CIDRS } from '../../shared/limits.ts';
import { isSamePrefix, type Prefix } from './addresses.ts';
import { PodCidrTrie } from './pod-cidr-trie.ts';

interface CidrClaim {
  readonly owner: number;
  readonly prefix: Prefix;
  readonly node: NodeCidrs;
  cause: CidrClaim | undefined;
  /** CIDRs that have this one as their cause. Few CIDRs overlap, so few have a set. */
  causes: Set<CidrClaim> | undefined;
}

interface NodeCidrs {
  readonly key: EtcdKey;
  readonly owner: number;
  listing: number;
  claims: CidrClaim[];
}

/** The node overlaps one of remote `other`, or none where that is undefined. */
export type OnOverlap = (owner: number, key: EtcdKey, other: number | undefined) => void;

export class PodCidrs {
  readonly #onOverlap: OnOverlap;
  readonly #ipv4 = new PodCidrTrie<CidrClaim>();
  readonly #ipv6 = new PodCidrTrie<CidrClaim>();
  /** By remote and key. */
  readonly #nodes = new Map<number, Map<EtcdKey, NodeCidrs>>();
  #size = 0;

  constructor(onOverlap: OnOverlap) {
    this.#onOverlap = onOverlap;
  }

  /** Replaces the prefixes of the node of `key`. False where there is no room for all. */
  set(owner: number, key: EtcdKey, prefixes: readonly Prefix[], listing: number): boolean {
    const nodes = this.#nodes.get(owner) ?? new Map<EtcdKey, NodeCidrs>();
    this.#nodes.set(owner, nodes);
    const node = nodes.get(key) ?? { key, owner, listing, claims: [] };
    node.listing = listing;
    const isSame =
      node.claims.length === prefixes.length && node.claims.every(({ prefix }, i) => isSamePrefix(prefix, prefixes[i] as Prefix));
    if (isSame) return true;
    for (const claim of node.claims.splice(0)) this.#remove(claim);
    const hasRoom = prefixes.every((prefix) => this.#add(node, prefix));
    if (node.claims.length > 0) nodes.set(key, node);
    else nodes.delete(key);
    this.#tell(node);
    return hasRoom;
  }

  /** The node keeps its prefixes. */
  keep(owner: number, key: EtcdKey, listing: number): void {
    const node = this.#nodes.get(owner)?.get(key);
    if (node !== undefined) node.listing = listing;
  }

  remove(owner: number, key: EtcdKey): void {
    const node = this.#nodes.get(owner)?.get(key);
    if (node !== undefined) this.set(owner, key, [], node.listing);
  }

  /** Removes the nodes of `owner` that `listing` did not name. */
  sweep(owner: number, listing: number): void {
    for (const node of this.#nodes.get(owner)?.values() ?? []) if (node.listing !== listing) this.remove(owner, node.key);
  }

  forget(owner: number): void {
    for (const key of this.#nodes.get(owner)?.keys() ?? []) this.remove(owner, key);
    this.#nodes.delete(owner);
  }

  #trie({ bytes }: Prefix): PodCidrTrie<CidrClaim> {
    return bytes.length === 4 ? this.#ipv4 : this.#ipv6;
  }

  #add(node: NodeCidrs, prefix: Prefix): boolean {
    const claim: CidrClaim = { owner: node.owner, prefix, node, cause: undefined, causes: undefined };
    if (this.#size >= MAX_POD_CIDRS || !this.#trie(prefix).add(claim)) return false;
    this.#size += 1;
    node.claims.push(claim);
    for (const other of this.#trie(prefix).overlapping(claim, MAX_OVERLAPS_PER_POD_CIDR)) {
      if (claim.cause === undefined) blame(claim, other);
      if (other.cause !== undefined) continue;
      blame(other, claim);
      this.#tell(other.node);
    }
    return true;
  }

  #remove(claim: CidrClaim): void {
    this.#trie(claim.prefix).remove(claim);
    this.#size -= 1;
    claim.cause?.causes?.delete(claim);
    for (const other of claim.causes ?? []) {
      other.cause = undefined;
      const [next] = this.#trie(other.prefix).overlapping(other, 1);
      if (next !== undefined) blame(other, next);
      this.#tell(other.node);
    }
  }

  #tell({ owner, key, claims }: NodeCidrs): void {
    const overlapping = claims.find(({ cause }) => cause !== undefined);
    this.#onOverlap(owner, key, overlapping?.cause?.owner);
  }
}

function blame(claim: CidrClaim, cause: CidrClaim): void {
  claim.cause = cause;
  cause.causes ??= new Set();
  cause.causes.add(claim);
}
