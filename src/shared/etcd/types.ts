/**
 * The types of etcd used by the rest of the program.
 *
 * Keys are opaque bytes, held as strings with one character per byte (latin-1): cheap as map keys and
 * lossless for bytes that are not UTF-8. Values stay buffers from the wire to the wire.
 */
declare const keyBrand: unique symbol;
declare const revisionBrand: unique symbol;
declare const leaseBrand: unique symbol;
declare const memberBrand: unique symbol;

/** An etcd key: one character per byte. Made by `keyOf` or by the client, never by a cast elsewhere. */
export type EtcdKey = string & { readonly [keyBrand]: true };

/** A revision of the store. Below 2^53; the client refuses a server that claims more. */
export type Revision = number & { readonly [revisionBrand]: true };

/** A lease ID: any 63-bit number, hence never a `number`. `0n` means no lease. */
export type LeaseId = bigint & { readonly [leaseBrand]: true };

/** The ID of a member: any 64-bit number. */
export type MemberId = bigint & { readonly [memberBrand]: true };

/** A member of an etcd cluster. */
export interface Member {
  readonly id: MemberId;
  /** Empty where it was added and has not started yet. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  /** It has no vote. */
  readonly isLearner: boolean;
}

export const NO_LEASE = 0n as LeaseId;
export const NO_REVISION = 0 as Revision;

// biome-ignore lint/suspicious/noControlCharactersInRegex: the test is exactly "only ASCII"
const ASCII = /^[\x00-\x7f]*$/;

/** The key whose bytes are the UTF-8 form of `text`. */
export function keyOf(text: string): EtcdKey {
  return (ASCII.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')) as EtcdKey;
}

/** The bytes of `key`, as they travel. */
export function keyBytes(key: EtcdKey): Buffer {
  return Buffer.from(key, 'latin1');
}

/** `key` for a log line: UTF-8 where it is that, control characters escaped, cut at 256 characters. */
export function keyText(key: EtcdKey): string {
  const text = JSON.stringify(Buffer.from(key.slice(0, 256), 'latin1').toString('utf8')).slice(1, -1);
  return key.length > 256 ? `${text}… (${key.length} bytes)` : text;
}

/** As the end of a range: there is none. */
export const ALL_KEYS = '\0' as EtcdKey;

/** The first key after every key that starts with `prefix`: the last byte that can grow, plus one. */
export function prefixEnd(prefix: EtcdKey): EtcdKey {
  for (let i = prefix.length - 1; i >= 0; i -= 1) {
    const byte = prefix.charCodeAt(i);
    if (byte < 0xff) return (prefix.slice(0, i) + String.fromCharCode(byte + 1)) as EtcdKey;
  }
  return ALL_KEYS;
}

/** A key as a range answered it. `value` may be a view into a larger message: copy it to keep it. */
export interface KeyValue {
  readonly key: EtcdKey;
  readonly value: Buffer;
  /** Of the put that created it; later puts keep it, a deletion ends it. */
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  readonly lease: LeaseId;
}

/** One page of a list. All pages of a list are of the same `revision`. */
export interface ListPage {
  readonly keyValues: readonly KeyValue[];
  readonly revision: Revision;
  /** Keys of the whole listing, as counted by the server: set from the first page on, and not trusted. */
  readonly total: number;
}

export interface ListOptions {
  readonly signal: AbortSignal;
  /** Keys per page; 0 requests all keys in one response. */
  readonly pageSize?: number;
  /** Answers carry no values (`value` is empty). */
  readonly keysOnly?: boolean;
  /** Only keys written at or after this revision. */
  readonly minModRevision?: Revision;
  /** Only the key that equals the prefix: a user with access to a single key may not read a range. */
  readonly exact?: boolean;
  /** Starts at this key instead of the first one. */
  readonly start?: EtcdKey | undefined;
  /** Ends before this key, which is not beyond the prefix, instead of after the last one. */
  readonly end?: EtcdKey | undefined;
}

export type WatchEvent =
  | {
      readonly type: 'put';
      readonly key: EtcdKey;
      readonly value: Buffer;
      readonly modRevision: Revision;
      readonly lease: LeaseId;
      /** The key did not exist before. */
      readonly isCreation: boolean;
    }
  | { readonly type: 'delete'; readonly key: EtcdKey; readonly modRevision: Revision };

/**
 * The items of a watch.
 *
 * `events`: in the order of the store, only of the requested keys; a batch never splits a revision that could be resumed from.
 * `progress`: everything up to `revision` has been delivered.
 * `compacted`: the requested revision is gone; list again. The watch has ended. `compactRevision` is 0 if etcd did not report it.
 * `replaced`: the store behind the endpoint is not the one that was watched (other cluster ID, or its
 * revision went back); list again. The watch has ended.
 */
export type WatchBatch =
  | { readonly kind: 'events'; readonly events: readonly WatchEvent[]; readonly revision: Revision }
  | { readonly kind: 'progress'; readonly revision: Revision }
  | { readonly kind: 'compacted'; readonly compactRevision: Revision }
  | { readonly kind: 'replaced'; readonly reason: string };

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** The first revision to deliver: a list's revision plus one. */
  readonly from: Revision;
  /** Only deletions, for a writer that watches its own keys. */
  readonly deletesOnly?: boolean;
  /** Only the key that the prefix itself is. */
  readonly exact?: boolean;
}

export type TxnOperation =
  | { readonly type: 'put'; readonly key: EtcdKey; readonly value: Uint8Array; readonly lease: LeaseId }
  | { readonly type: 'delete'; readonly key: EtcdKey; readonly end?: EtcdKey };

export interface CallOptions {
  readonly signal: AbortSignal;
  /** Defaults to ETCD_CALL_TIMEOUT_MS. */
  readonly timeoutMs?: number;
}

export interface GetOptions extends CallOptions {
  /** Defaults to the current one. */
  readonly revision?: Revision;
}

export interface GrantOptions extends CallOptions {
  /** Defaults to one that etcd chooses. */
  readonly id?: LeaseId;
}

/** A condition that must hold when the transaction is applied: the key exists or not, or was last changed at that revision. */
export type TxnCondition =
  | { readonly key: EtcdKey; readonly exists: boolean }
  | { readonly key: EtcdKey; readonly modRevision: Revision };

export interface TxnOptions extends CallOptions {
  /** If one of them fails, nothing is applied. */
  readonly onlyIf?: readonly TxnCondition[];
}

/** How long a lease lives, as the server sees it. */
export interface LeaseTimeToLive {
  /** Seconds left. */
  readonly ttl: number;
  /** Seconds it was granted for. */
  readonly grantedTtl: number;
}

/** The state of a connection, for status pages. */
export interface EtcdConnectionState {
  readonly connected: boolean;
  /** Hexadecimal, without prefix; undefined until the first answer. */
  readonly clusterId: string | undefined;
  /** Milliseconds of the monotonic clock at the last answer or event; undefined before the first. */
  readonly lastContactMs: number | undefined;
  /** Why the last attempt failed; undefined while connected. */
  readonly lastError: Error | undefined;
}

/**
 * A client of one etcd cluster over one or more endpoints.
 *
 * Unary calls are tried once, with a deadline, and reject with a typed error (errors.ts); the caller
 * decides about retries. Watches and kept leases reconnect automatically until their signal
 * is aborted or the client is closed.
 */
export interface EtcdClient {
  readonly state: EtcdConnectionState;

  /**
   * The key, or undefined if it does not exist. Linearizable. With a revision: as it was then; rejects with CompactedError if that
   * is no longer known, and with FutureRevisionError if the store has not reached it.
   */
  get(key: EtcdKey, options: GetOptions): Promise<KeyValue | undefined>;

  /** The raft term of etcd's leader: another leader has a higher one. By a linearizable read of `key`, which need not exist. */
  leaderTerm(key: EtcdKey, options: CallOptions): Promise<bigint>;

  /** All keys below `prefix`, page by page at one revision. At least one page is yielded, also of an empty prefix. */
  list(prefix: EtcdKey, options: ListOptions): AsyncIterable<ListPage>;

  /**
   * Events below `prefix` from `options.from` on. Reconnects and resumes after the last delivered event;
   * the consumer's pace is the pace of the stream. Ends after `compacted` or `replaced`, or when the signal is aborted.
   */
  watch(prefix: EtcdKey, options: WatchOptions): AsyncIterable<WatchBatch>;

  /**
   * All operations at one revision, which is returned. No key may occur twice. The operations are encoded before the
   * call returns its promise: buffers of values may be reused after that. Rejects with ConditionFailedError if
   * `onlyIf` fails.
   */
  txn(operations: readonly TxnOperation[], options: TxnOptions): Promise<Revision>;

  /** Puts `key` only where it does not exist. True where it was put. */
  putIfAbsent(key: EtcdKey, value: Uint8Array, lease: LeaseId, options: CallOptions): Promise<boolean>;

  /** Rejects if a lease with the ID in `options` exists. */
  grantLease(ttlSeconds: number, options: GrantOptions): Promise<LeaseId>;

  /** Undefined where the lease does not exist (any more). */
  leaseTimeToLive(lease: LeaseId, options: CallOptions): Promise<LeaseTimeToLive | undefined>;

  revokeLease(lease: LeaseId, options: CallOptions): Promise<void>;

  /**
   * Keeps `lease` alive, any lease by its ID. `onLost` is called once, when the server reports it as gone; `onKept` after each
   * renewal, with the time of the request by the monotonic clock: the lease lasts for its duration from then at least.
   * Returns a function that stops.
   */
  keepLease(lease: LeaseId, ttlSeconds: number, onLost: () => void, onKept?: (askedMs: number) => void): () => void;

  /**
   * `listener` is called when a lost connection returns, or when a retry may succeed for another reason.
   * Returns a function that removes it.
   */
  onRecovered(listener: () => void): () => void;

  /** Clears the expected cluster ID: the next response pins a new one. */
  forgetCluster(): void;

  /** Ends every call, watch and keep-alive. Idempotent. */
  close(): void;
}
