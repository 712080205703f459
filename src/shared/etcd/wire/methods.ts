/**
 * The calls of etcd's API in use, by their paths, and the requests that are not on the hot path.
 */
import { MAX_SMALL_ANSWER_BYTES } from '../../limits.ts';
import { ProtobufWriter } from '../../protobuf.ts';
import { type EtcdKey, prefixEnd, type Revision } from '../types.ts';
import { encodeWatchCreate } from './messages.ts';

export interface Method {
  readonly name: string;
  readonly path: string;
  /** A larger answer is refused before it is decoded. Undefined where only the limit of a message holds. */
  readonly maxAnswerBytes?: number;
}

export const RANGE = large('KV', 'Range');
export const TXN = method('KV', 'Txn');
export const WATCH = large('Watch', 'Watch');
export const LEASE_GRANT = method('Lease', 'LeaseGrant');
export const LEASE_REVOKE = method('Lease', 'LeaseRevoke');
export const LEASE_KEEP_ALIVE = method('Lease', 'LeaseKeepAlive');
export const LEASE_TIME_TO_LIVE = method('Lease', 'LeaseTimeToLive');

/** The call `name` of `service`, whose answers are small. */
export function method(service: string, name: string): Method {
  return { ...large(service, name), maxAnswerBytes: MAX_SMALL_ANSWER_BYTES };
}

/** The same, for pages and events. */
function large(service: string, name: string): Method {
  return { name, path: `/etcdserverpb.${service}/${name}` };
}

export interface RangeOptions {
  readonly key: EtcdKey;
  /** Absent for the key alone. */
  readonly end?: EtcdKey | undefined;
  readonly limit?: number | undefined;
  /** The newest where absent. */
  readonly revision?: Revision | undefined;
  readonly keysOnly?: boolean | undefined;
  readonly minModRevision?: Revision | undefined;
}

/** Linearizable: served with the knowledge of the quorum. */
export function encodeRange({ key, end = '' as EtcdKey, limit = 0, revision = 0 as Revision, ...rest }: RangeOptions): Buffer {
  const { keysOnly = false, minModRevision = 0 as Revision } = rest;
  const writer = new ProtobufWriter().key(1, key);
  if (end !== '') writer.key(2, end);
  if (limit !== 0) writer.integer(3, limit);
  if (revision !== 0) writer.integer(4, revision);
  if (keysOnly) writer.boolean(8, true);
  if (minModRevision !== 0) writer.integer(10, minModRevision);
  return writer.finish();
}

export interface WatchRequestOptions {
  readonly start: Revision;
  readonly deletesOnly: boolean;
  /** The key alone rather than everything below it. */
  readonly exact: boolean;
  /** Of the watch on its stream. */
  readonly watchId: number;
}

/** Watches `prefix`. Fragments are not requested: they cost the server quadratic time. */
export function encodeWatch(prefix: EtcdKey, { start, deletesOnly, exact, watchId }: WatchRequestOptions): Buffer {
  const end = exact ? '' : prefixEnd(prefix);
  return encodeWatchCreate({ key: firstBelow(prefix), end, startRevision: start, deletesOnly, watchId });
}

/** The first key that starts with `prefix`; etcd has no empty key. */
export function firstBelow(prefix: EtcdKey): EtcdKey {
  return prefix === '' ? ('\0' as EtcdKey) : prefix;
}
