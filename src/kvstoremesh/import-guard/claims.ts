/** Reads what values of a remote claim, as far as the guard needs it; undefined for values that the agents cannot read. */
import { ipv4BitsOfBytes } from '../../shared/ip.ts';
import { MAX_CLUSTER_NAME_LENGTH, MAX_POD_CIDR_BYTES, MAX_POD_CIDRS_PER_NODE } from '../../shared/limits.ts';
import { maskedPrefix, type Prefix } from './addresses.ts';
import { asciiOf, isNull, JsonMembers, uint32Of } from './json-members.ts';

export interface OwnerClaim {
  /** The value names another cluster. */
  readonly isForeign: boolean;
  /** The name of the other cluster, where the value has a possible one. */
  readonly name: string | undefined;
  /** The ID of the other cluster, where the value has one. */
  readonly id: number | undefined;
}

export interface NodeClaim extends OwnerClaim {
  readonly podCidrs: readonly Prefix[];
  /** Some CIDRs could not be read. */
  readonly isPartial: boolean;
}

const ENTRY = new JsonMembers('id');
const SERVICE = new JsonMembers('cluster', 'clusterid');
const NODE = new JsonMembers(
  'cluster',
  'clusterid',
  'ipv4alloccidr',
  'ipv4secondaryalloccidrs',
  'ipv6alloccidr',
  'ipv6secondaryalloccidrs',
);

const QUOTE = 0x22;

/** A node has four members with CIDRs, each once. */
export const MAX_CIDR_MEMBERS = 16;

/** Buffer for a decoded name. A longer name belongs to no cluster. */
const NAME = Buffer.alloc(MAX_CLUSTER_NAME_LENGTH);

/** The first identity of an ip entry that is not `allowed`; `none` where all are. */
export function foreignIdentity(value: Buffer, allowed: (identity: number) => boolean): number | 'none' | undefined {
  let foreign: number | 'none' = 'none';
  let isReadable = true;
  const isObject = ENTRY.scan(value, (_, from, to) => {
    const identity = uint32Of(value, from, to);
    if (identity === undefined) isReadable &&= isNull(value, from, to);
    else if (foreign === 'none' && !allowed(identity)) foreign = identity;
  });
  return isObject && isReadable ? foreign : undefined;
}

export function serviceClaim(value: Buffer, cluster: string, id: number): OwnerClaim | undefined {
  const owner = new OwnerReader(value, cluster, id);
  return SERVICE.scan(value, (index, from, to) => owner.read(index, from, to)) && owner.isReadable ? owner : undefined;
}

export function nodeClaim(value: Buffer, cluster: string, id: number): NodeClaim | undefined {
  const owner = new OwnerReader(value, cluster, id);
  const podCidrs: Prefix[] = [];
  let isPartial = false;
  let members = 0;
  const isObject = NODE.scan(value, (index, from, to) => {
    if (index < 2) {
      owner.read(index, from, to);
      return;
    }
    members += 1;
    if (members > MAX_CIDR_MEMBERS || !readCidrs(value, from, to, podCidrs)) isPartial = true;
  });
  if (!isObject || !owner.isReadable) return undefined;
  const { isForeign, name, id: otherId } = owner;
  return { isForeign, name, id: otherId, podCidrs, isPartial };
}

/** Reads `cluster` (0) and `clusterID` (1). A value without them claims nothing. */
class OwnerReader implements OwnerClaim {
  isReadable = true;
  isForeign = false;
  name: string | undefined;
  id: number | undefined;
  readonly #value: Buffer;
  readonly #cluster: string;
  readonly #clusterId: number;

  constructor(value: Buffer, cluster: string, clusterId: number) {
    this.#value = value;
    this.#cluster = cluster;
    this.#clusterId = clusterId;
  }

  read(index: number, from: number, to: number): void {
    if (isNull(this.#value, from, to)) return;
    if (index === 0) this.#readName(from, to);
    else this.#readId(from, to);
  }

  #readName(from: number, to: number): void {
    if (this.#value[from] !== QUOTE) {
      this.isReadable = false;
      return;
    }
    const length = asciiOf(this.#value, from + 1, to - 1, NAME);
    if (length === 0 || (length === this.#cluster.length && this.#isOwnName())) return;
    if (!this.isForeign && length > 0) this.name = NAME.toString('latin1', 0, length);
    this.isForeign = true;
  }

  #isOwnName(): boolean {
    for (let i = 0; i < this.#cluster.length; i += 1) if (NAME[i] !== this.#cluster.charCodeAt(i)) return false;
    return true;
  }

  #readId(from: number, to: number): void {
    const id = uint32Of(this.#value, from, to);
    if (id === undefined) this.isReadable = false;
    else if (id !== 0 && id !== this.#clusterId) {
      this.isForeign = true;
      this.id = id;
    }
  }
}

/** One CIDR or a list of them, `{"IP":"10.7.0.0","Mask":"////AA=="}` each; false where one of them is invalid, or there are too many. */
export function readCidrs(value: Buffer, from: number, to: number, into: Prefix[]): boolean {
  if (to - from > MAX_POD_CIDR_BYTES) return false;
  if (isNull(value, from, to)) return true;
  const plain = plainPrefix(value, from, to);
  if (plain !== undefined) {
    if (into.length >= MAX_POD_CIDRS_PER_NODE) return false;
    into.push(plain);
    return true;
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(value.toString('utf8', from, to));
  } catch {
    return false;
  }
  let isComplete = true;
  for (const each of Array.isArray(parsed) ? parsed : [parsed]) {
    if (each === null) continue;
    const prefix = prefixOf(each);
    if (prefix === undefined || into.length >= MAX_POD_CIDRS_PER_NODE) isComplete = false;
    else into.push(prefix);
  }
  return isComplete;
}

const BEFORE_ADDRESS = Buffer.from('{"IP":"');
const BETWEEN = Buffer.from('","Mask":"');
const AFTER_MASK = Buffer.from('=="}');
/** Of 4 bytes in base64, without what fills it up. */
const MASK_DIGITS = 6;

/** An IPv4 prefix as Go writes it; undefined for anything else, which may be a prefix as well. */
function plainPrefix(value: Buffer, from: number, to: number): Prefix | undefined {
  const addressFrom = from + BEFORE_ADDRESS.length;
  const maskTo = to - AFTER_MASK.length;
  const maskFrom = maskTo - MASK_DIGITS;
  const addressTo = maskFrom - BETWEEN.length;
  if (addressTo <= addressFrom || !hasAt(value, from, BEFORE_ADDRESS) || !hasAt(value, addressTo, BETWEEN)) return undefined;
  if (!hasAt(value, maskTo, AFTER_MASK)) return undefined;
  const bits = ipv4BitsOfBytes(value, addressFrom, addressTo);
  const mask = bits === undefined ? undefined : mask32Of(value, maskFrom);
  if (bits === undefined || mask === undefined) return undefined;
  const length = Math.clz32(~mask);
  if (length < 32 && mask << length !== 0) return undefined;
  const network = bits & mask;
  return { bytes: Uint8Array.of(network >>> 24, (network >>> 16) & 0xff, (network >>> 8) & 0xff, network & 0xff), length };
}

function hasAt(value: Buffer, at: number, text: Buffer): boolean {
  for (let i = 0; i < text.length; i += 1) if (value[at + i] !== text[i]) return false;
  return true;
}

/** 32 bits of base64: five digits, and two bits of a sixth. Undefined where one of them is none, or has further bits. */
function mask32Of(value: Buffer, from: number): number | undefined {
  let mask = 0;
  for (let i = 0; i < MASK_DIGITS; i += 1) {
    const digit = DIGIT_OF[value[from + i] as number] as number;
    if (digit === NO_DIGIT) return undefined;
    if (i < MASK_DIGITS - 1) mask = (mask << 6) | digit;
    else if ((digit & 0x0f) !== 0) return undefined;
    else mask = (mask << 2) | (digit >> 4);
  }
  return mask;
}

const NO_DIGIT = 0xff;
const DIGIT_OF = new Uint8Array(256).fill(NO_DIGIT);
for (const [digit, letter] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries())
  DIGIT_OF[letter.charCodeAt(0)] = digit;

function prefixOf(cidr: unknown): Prefix | undefined {
  if (typeof cidr !== 'object' || cidr === null) return undefined;
  const members = new Map(Object.entries(cidr).map(([name, member]) => [name.toLowerCase(), member as unknown]));
  const [address, mask] = [members.get('ip'), members.get('mask')];
  return typeof address === 'string' && typeof mask === 'string' ? maskedPrefix(address, Buffer.from(mask, 'base64')) : undefined;
}
