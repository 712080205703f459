/**
 * The messages of etcd's API beside the hot path: watches, leases, users and roles.
 *
 * Field numbers are those of etcd's rpc.proto, auth.proto and kv.proto; a test holds them against these definitions. A field
 * that is zero is left out. Decoders read the fields in use, skip all others, and throw MalformedResponseError for bytes
 * that are no such message.
 */
import { MAX_SMALL_ANSWER_BYTES } from '../../limits.ts';
import { ProtobufWriter } from '../../protobuf.ts';
import { MalformedResponseError } from '../errors.ts';
import type { EtcdKey, LeaseId } from '../types.ts';
import { decodeHeader, type ResponseHeader } from './codec.ts';
import { WireReader } from './reader.ts';

const BYTES = 2;

/** More than any of these answers needs within its size. */
const MAX_FIELDS = MAX_SMALL_ANSWER_BYTES;

/** A message without fields. */
export const EMPTY_MESSAGE: Buffer = Buffer.alloc(0);

/** A message of texts only, by field number; empty ones are left out. */
export function encodeTexts(texts: Readonly<Record<number, string>>): Buffer {
  const writer = new ProtobufWriter();
  for (const [field, text] of Object.entries(texts)) if (text !== '') writer.text(Number(field), text);
  return writer.finish();
}

export interface WatchCreateRequest {
  readonly key: EtcdKey;
  /** Exclusive; empty for the key alone. */
  readonly end: EtcdKey | '';
  readonly startRevision: number;
  readonly deletesOnly: boolean;
  /** Unused on the stream; the server chooses one where it is 0. Releases before 3.4 choose one always. */
  readonly watchId: number;
}

const FILTER_NOPUT = 0;

/** Creates a watch with notifications of progress. */
export function encodeWatchCreate({ key, end, startRevision, deletesOnly, watchId }: WatchCreateRequest): Buffer {
  const create = new ProtobufWriter().key(1, key);
  if (end !== '') create.key(2, end);
  if (startRevision !== 0) create.integer(3, startRevision);
  create.boolean(4, true);
  // A repeated number, packed: one field with one byte in it.
  if (deletesOnly) create.key(5, String.fromCharCode(FILTER_NOPUT));
  if (watchId !== 0) create.integer(7, watchId);
  return new ProtobufWriter().message(1, create).finish();
}

export function encodeWatchCancel(watchId: number): Buffer {
  return new ProtobufWriter().message(2, new ProtobufWriter().integer(1, watchId)).finish();
}

/** LeaseGrantRequest; the server chooses an ID where `id` is 0. */
export function encodeLeaseGrant(ttlSeconds: number, id: LeaseId): Buffer {
  const writer = new ProtobufWriter().integer(1, ttlSeconds);
  if (id !== 0n) writer.integer64(2, id);
  return writer.finish();
}

/** LeaseRevokeRequest, LeaseKeepAliveRequest and LeaseTimeToLiveRequest: the ID alone. */
export function encodeLeaseId(id: LeaseId): Buffer {
  return new ProtobufWriter().integer64(1, id).finish();
}

export interface LeaseAnswer {
  readonly header: ResponseHeader;
  readonly id: LeaseId;
  /** Seconds. Zero or less where the lease does not exist. */
  readonly ttl: bigint;
}

export interface LeaseGrantAnswer extends LeaseAnswer {
  /** Empty where the lease was granted. */
  readonly error: string;
}

export function decodeLeaseGrant(message: Buffer): LeaseGrantAnswer {
  return { ...decodeLease(message), error: textOf(message, 4) };
}

/** LeaseGrantResponse, LeaseKeepAliveResponse and LeaseTimeToLiveResponse as far as they are alike. */
export function decodeLease(message: Buffer): LeaseAnswer {
  return { header: decodeHeader(message), id: integer64Of(message, 2) as LeaseId, ttl: integer64Of(message, 3) };
}

/** `grantedTtl` in seconds. */
export function decodeLeaseTimeToLive(message: Buffer): LeaseAnswer & { readonly grantedTtl: bigint } {
  return { ...decodeLease(message), grantedTtl: integer64Of(message, 4) };
}

/** The term in the header of any answer; 0 where it has none. */
export function decodeRaftTerm(message: Buffer): bigint {
  const header = fieldsOf(message, 1, BYTES, (reader) => reader.bytes()).at(-1);
  return header === undefined ? 0n : integer64Of(header, 4);
}

/** The texts of AuthUserGetResponse, AuthUserListResponse and AuthRoleListResponse, in etcd's order. */
export function decodeNames(message: Buffer): readonly string[] {
  return fieldsOf(message, 2, BYTES, (reader) => reader.text(MAX_SMALL_ANSWER_BYTES));
}

export function decodeAuthStatus(message: Buffer): boolean {
  return integer64Of(message, 2) !== 0n;
}

/** The token of AuthenticateResponse. */
export function decodeToken(message: Buffer): string {
  return textOf(message, 2);
}

/** As etcd numbers them: READ, WRITE, READWRITE. */
export const ACCESSES = ['read', 'write', 'readwrite'] as const;
export type Access = (typeof ACCESSES)[number];

export interface PermissionMessage {
  readonly access: Access;
  readonly key: EtcdKey;
  /** Exclusive; empty for the key alone. */
  readonly end: EtcdKey | '';
}

/** AuthUserAddRequest of a user who has a certificate and no password. */
export function encodeUserAdd(name: string): Buffer {
  return new ProtobufWriter().text(1, name).message(3, new ProtobufWriter().boolean(1, true)).finish();
}

/** AuthRoleGrantPermissionRequest. */
export function encodeGrantPermission(role: string, { access, key, end }: PermissionMessage): Buffer {
  const permission = new ProtobufWriter().integer(1, ACCESSES.indexOf(access)).key(2, key);
  if (end !== '') permission.key(3, end);
  return new ProtobufWriter().text(1, role).message(2, permission).finish();
}

/** AuthRoleRevokePermissionRequest. */
export function encodeRevokePermission(role: string, { key, end }: Pick<PermissionMessage, 'key' | 'end'>): Buffer {
  const writer = new ProtobufWriter().text(1, role).key(2, key);
  if (end !== '') writer.key(3, end);
  return writer.finish();
}

/** The permissions of AuthRoleGetResponse. */
export function decodePermissions(message: Buffer): readonly PermissionMessage[] {
  return fieldsOf(message, 2, BYTES, (reader) => decodePermission(reader.bytes()));
}

function decodePermission(message: Buffer): PermissionMessage {
  const type = integer64Of(message, 1);
  const access = ACCESSES[Number(type)];
  if (access === undefined) throw new MalformedResponseError(`a permission of kind ${type}`);
  const keyOfField = (field: number) => (fieldsOf(message, field, BYTES, (reader) => reader.latin1()).at(-1) ?? '') as EtcdKey;
  return { access, key: keyOfField(2), end: keyOfField(3) };
}

function textOf(message: Buffer, field: number): string {
  return fieldsOf(message, field, BYTES, (reader) => reader.text(MAX_SMALL_ANSWER_BYTES)).at(-1) ?? '';
}

function integer64Of(message: Buffer, field: number): bigint {
  return BigInt.asIntN(64, fieldsOf(message, field, 0, (reader) => reader.uint64()).at(-1) ?? 0n);
}

/** The values of `field`, in their order; a field of another wire type is skipped, as by all readers of protobuf. */
function fieldsOf<T>(message: Buffer, field: number, wireType: number, read: (reader: WireReader) => T): T[] {
  const reader = new WireReader(message, 0, message.length, MAX_FIELDS);
  const found: T[] = [];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === field * 8 + wireType) found.push(read(reader));
    else reader.skip(tag);
  }
  return found;
}
