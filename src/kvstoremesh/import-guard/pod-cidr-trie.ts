/**
 * Prefixes of one address family, by their bits, and the remotes that claim them.
 *
 * A prefix overlaps those on the path down to it and those below it. Each node of the trie knows whether one remote or
 * several have claims at or below it, so a search skips subtrees that hold only claims of the same remote.
 */
import { MAX_POD_CIDR_TRIE_NODES } from '../../shared/limits.ts';
import type { Prefix } from './addresses.ts';

export interface TrieClaim {
  readonly owner: number;
  readonly prefix: Prefix;
}

interface TrieNode<Claim extends TrieClaim> {
  zero: TrieNode<Claim> | undefined;
  one: TrieNode<Claim> | undefined;
  claims: Map<number, Set<Claim>> | undefined;
  /** The owner of the claims at or below the node: a remote, NOBODY or SEVERAL. */
  whose: number;
}

const NOBODY = -1;
const SEVERAL = -2;

export class PodCidrTrie<Claim extends TrieClaim> {
  readonly #root: TrieNode<Claim> = emptyNode();
  #nodes = 1;

  /** False where there is no room. */
  add(claim: Claim): boolean {
    const { prefix, owner } = claim;
    if (this.#nodes + prefix.length > MAX_POD_CIDR_TRIE_NODES) return false;
    const path = this.#path(prefix, true);
    const node = path.at(-1) as TrieNode<Claim>;
    node.claims ??= new Map();
    const own = node.claims.get(owner) ?? new Set();
    node.claims.set(owner, own.add(claim));
    for (let depth = path.length - 1; depth >= 0; depth -= 1) {
      const each = path[depth] as TrieNode<Claim>;
      each.whose = whoseOf(each);
    }
    return true;
  }

  remove(claim: Claim): void {
    const { prefix, owner } = claim;
    const path = this.#path(prefix, false);
    const node = path.at(-1);
    const own = node?.claims?.get(owner);
    if (node === undefined || path.length <= prefix.length || own === undefined) return;
    own.delete(claim);
    if (own.size === 0) node.claims?.delete(owner);
    if (node.claims?.size === 0) node.claims = undefined;
    for (let depth = path.length - 1; depth >= 0; depth -= 1) {
      const each = path[depth] as TrieNode<Claim>;
      each.whose = whoseOf(each);
      if (each.whose === NOBODY && depth > 0) this.#cut(path[depth - 1] as TrieNode<Claim>, each);
    }
  }

  /** Claims of others whose prefixes overlap that of `claim`, `most` at most. */
  overlapping({ prefix, owner }: Claim, most: number): Claim[] {
    const found: Claim[] = [];
    const path = this.#path(prefix, false);
    const last = path.length > prefix.length ? path.pop() : undefined;
    for (const node of path) if (found.length < most) collectHere(node, owner, most, found);
    if (last !== undefined) collectBelow(last, owner, most, found);
    return found;
  }

  /** The nodes from the root to that of `prefix`; where it does not exist and is not to be made, as far as they exist. */
  #path(prefix: Prefix, make: boolean): TrieNode<Claim>[] {
    let node = this.#root;
    const path = [node];
    for (let bit = 0; bit < prefix.length; bit += 1) {
      const side = ((prefix.bytes[bit >> 3] as number) >> (7 - (bit & 7))) & 1 ? 'one' : 'zero';
      let next = node[side];
      if (next === undefined) {
        if (!make) return path;
        next = emptyNode();
        node[side] = next;
        this.#nodes += 1;
      }
      node = next;
      path.push(node);
    }
    return path;
  }

  #cut(parent: TrieNode<Claim>, child: TrieNode<Claim>): void {
    if (parent.zero === child) parent.zero = undefined;
    else parent.one = undefined;
    this.#nodes -= 1;
  }
}

function emptyNode<Claim extends TrieClaim>(): TrieNode<Claim> {
  return { zero: undefined, one: undefined, claims: undefined, whose: NOBODY };
}

function whoseOf<Claim extends TrieClaim>({ zero, one, claims }: TrieNode<Claim>): number {
  let whose = both(zero?.whose ?? NOBODY, one?.whose ?? NOBODY);
  if (claims === undefined) return whose;
  if (claims.size > 1) return SEVERAL;
  for (const owner of claims.keys()) whose = both(whose, owner);
  return whose;
}

function both(one: number, other: number): number {
  if (one === NOBODY || one === other) return other;
  return other === NOBODY ? one : SEVERAL;
}

function collectHere<Claim extends TrieClaim>(node: TrieNode<Claim>, owner: number, most: number, into: Claim[]): void {
  // Most nodes have no claims.
  if (node.claims === undefined) return;
  for (const [other, claims] of node.claims) {
    if (other === owner) continue;
    for (const claim of claims) {
      if (into.length >= most) return;
      into.push(claim);
    }
  }
}

function collectBelow<Claim extends TrieClaim>(
  node: TrieNode<Claim> | undefined,
  owner: number,
  most: number,
  into: Claim[],
): void {
  if (node === undefined || node.whose === NOBODY || node.whose === owner || into.length >= most) return;
  collectHere(node, owner, most, into);
  collectBelow(node.zero, owner, most, into);
  collectBelow(node.one, owner, most, into);
}
