/**
 * Messages of etcd's API, encoded and decoded by protobufjs with the definitions that the package etcd3 brings: a second
 * opinion on what the program reads and writes, and the voice of servers that are made up.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import protobuf from 'protobufjs';

const definitions = join(dirname(createRequire(import.meta.url).resolve('etcd3/package.json')), 'proto/rpc.proto');
const root = protobuf.loadSync(definitions);

export interface Message<T> {
  encode(message: T): Buffer;
  decode(bytes: Buffer): T;
}

/** The message `name` of `etcdserverpb`. 64-bit numbers are bigints; absent fields are decoded as zero, absent messages as undefined. */
function message<T>(name: string): Message<T> {
  const type = root.lookupType(`etcdserverpb.${name}`);
  return {
    encode: (fields) => Buffer.from(type.encode(type.fromObject(written(fields) as object)).finish()),
    decode: (bytes) => read(type.toObject(type.decode(bytes), { bytes: Buffer, defaults: true })) as T,
  };
}

/** What protobufjs takes: 64-bit numbers as text, and no fields that are absent or zero. */
function written(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return value.map(written);
  if (!isFields(value)) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([name, field]) => (isZero(field) ? [] : [[name, written(field)]])));
}

function isZero(value: unknown): boolean {
  return !value || (value instanceof Uint8Array && value.length === 0);
}

/** What protobufjs gives: 64-bit numbers as objects of its own, null for absent messages. */
function read(value: unknown): unknown {
  if (value === null) return undefined;
  if (Array.isArray(value)) return value.map(read);
  if (!isFields(value)) return value;
  if ('unsigned' in value) return BigInt(String(value));
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, read(field)]));
}

function isFields(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
}

export interface Header {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: bigint;
  readonly raftTerm: bigint;
}

export interface KeyValueMessage {
  readonly key: Buffer;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  readonly version: bigint;
  readonly value: Buffer;
  readonly lease: bigint;
}

export interface EventMessage {
  /** 0 is a put, 1 a deletion. */
  readonly type: number;
  readonly kv: KeyValueMessage | undefined;
}

export interface RangeRequestMessage {
  readonly key: Buffer;
  readonly rangeEnd: Buffer;
  readonly limit: bigint;
  readonly revision: bigint;
  readonly serializable: boolean;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly minModRevision: bigint;
}

export interface RangeResponseMessage {
  readonly header: Header | undefined;
  readonly kvs: readonly KeyValueMessage[];
  readonly more: boolean;
  readonly count: bigint;
}

export interface WatchRequestMessage {
  readonly createRequest?: {
    readonly key: Buffer;
    readonly rangeEnd: Buffer;
    readonly startRevision: bigint;
    readonly progressNotify: boolean;
    readonly filters: readonly number[];
    readonly watchId: bigint;
  };
  readonly cancelRequest?: { readonly watchId: bigint };
}

export interface WatchResponseMessage {
  readonly header: Header | undefined;
  readonly watchId: bigint;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: bigint;
  readonly cancelReason: string;
  readonly fragment: boolean;
  readonly events: readonly EventMessage[];
}

/** Any of the other messages. */
export type Fields = Readonly<Record<string, unknown>>;

export const RangeRequest = message<RangeRequestMessage>('RangeRequest');
export const RangeResponse = message<RangeResponseMessage>('RangeResponse');
export const WatchRequest = message<WatchRequestMessage>('WatchRequest');
export const WatchResponse = message<WatchResponseMessage>('WatchResponse');
export const TxnRequest = message<Fields>('TxnRequest');
export const TxnResponse = message<Fields>('TxnResponse');

/** Messages of leases, users and roles by their names in etcd's definition. */
export const otherMessage = (name: string): Message<Fields> => message<Fields>(name);
