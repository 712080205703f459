/** The messages of etcd's API that a light etcd reads and writes; field numbers are those of rpc.proto and kv.proto. */
import { WireReader } from '../../src/shared/etcd/wire/reader.ts';
import { ProtobufWriter, varintSize } from '../../src/shared/protobuf.ts';
import type { KeyState } from './store.ts';

export interface RangeRequest {
  readonly key: string;
  /** Exclusive; empty for the key alone, `\0` for all keys from `key` on. */
  readonly end: string;
  /** 0 for none. */
  readonly limit: number;
  /** 0 for the newest. */
  readonly revision: number;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly minModRevision: number;
}

export interface WatchCreate {
  readonly key: string;
  readonly end: string;
  /** 0 for changes from now on. */
  readonly startRevision: number;
  readonly deletesOnly: boolean;
  readonly watchId: number;
}

export type WatchRequest =
  | { readonly kind: 'create'; readonly create: WatchCreate }
  | { readonly kind: 'cancel'; readonly watchId: number }
  | { readonly kind: 'progress' };

export interface Header {
  readonly clusterId: bigint;
  readonly revision: number;
}

export interface EncodedKey {
  readonly key: string;
  /** Empty for keys alone, and in deletions. */
  readonly value: Buffer;
  readonly state: Pick<KeyState, 'createRevision' | 'modRevision' | 'version'>;
}

export interface EncodedEvent extends EncodedKey {
  readonly isDeletion: boolean;
}

const FILTER_NOPUT = 0;

export function decodeRangeRequest(message: Buffer): RangeRequest {
  const reader = new WireReader(message);
  let [key, end, limit, revision, keysOnly, countOnly, minModRevision] = ['', '', 0, 0, false, false, 0];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) key = reader.latin1();
    else if (tag === 0x12) end = reader.latin1();
    else if (tag === 0x18) limit = reader.revision();
    else if (tag === 0x20) revision = reader.revision();
    else if (tag === 0x40) keysOnly = reader.bool();
    else if (tag === 0x48) countOnly = reader.bool();
    else if (tag === 0x50) minModRevision = reader.revision();
    else reader.skip(tag);
  }
  return { key, end, limit, revision, keysOnly, countOnly, minModRevision };
}

/** Undefined for a request of another kind. */
export function decodeWatchRequest(message: Buffer): WatchRequest | undefined {
  const reader = new WireReader(message);
  let request: WatchRequest | undefined;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) request = { kind: 'create', create: decodeCreate(reader.bytes()) };
    else if (tag === 0x12) request = { kind: 'cancel', watchId: decodeCancel(reader.bytes()) };
    else if (tag === 0x1a) {
      reader.skip(tag);
      request = { kind: 'progress' };
    } else reader.skip(tag);
  }
  return request;
}

function decodeCreate(message: Buffer): WatchCreate {
  const reader = new WireReader(message);
  let [key, end, startRevision, deletesOnly, watchId] = ['', '', 0, false, 0];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) key = reader.latin1();
    else if (tag === 0x12) end = reader.latin1();
    else if (tag === 0x18) startRevision = reader.revision();
    else if (tag === 0x28) deletesOnly ||= reader.uint32() === FILTER_NOPUT;
    else if (tag === 0x2a) deletesOnly ||= reader.bytes().includes(FILTER_NOPUT);
    else if (tag === 0x38) watchId = reader.revision();
    else reader.skip(tag);
  }
  return { key, end, startRevision, deletesOnly, watchId };
}

function decodeCancel(message: Buffer): number {
  const reader = new WireReader(message);
  let watchId = 0;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x08) watchId = reader.revision();
    else reader.skip(tag);
  }
  return watchId;
}

export interface RangeAnswer {
  readonly header: Header;
  readonly keys: readonly EncodedKey[];
  readonly more: boolean;
  readonly count: number;
}

export function encodeRangeAnswer({ header, keys, more, count }: RangeAnswer): Buffer {
  const writer = new ProtobufWriter(keys.reduce((sum, key) => sum + sizeOfKey(key) + 8, 128));
  writer.message(1, headerOf(header));
  for (const key of keys) writeKey(writer, 2, key);
  if (more) writer.boolean(3, true);
  if (count > 0) writer.integer(4, count);
  return writer.finish();
}

export interface WatchAnswer {
  readonly header: Header;
  readonly watchId: number;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compactRevision?: number;
  readonly fragment?: boolean;
  readonly events?: readonly EncodedEvent[];
}

export function encodeWatchAnswer({ header, watchId, events = [], ...rest }: WatchAnswer): Buffer {
  const writer = new ProtobufWriter(events.reduce((sum, event) => sum + sizeOfKey(event) + 16, 128));
  writer.message(1, headerOf(header)).integer(2, watchId);
  if (rest.created === true) writer.boolean(3, true);
  if (rest.canceled === true) writer.boolean(4, true);
  if (rest.compactRevision !== undefined) writer.integer(5, rest.compactRevision);
  for (const event of events) {
    const size = sizeOfKey(event);
    writer.varint(0x5a);
    writer.varint(1 + varintSize(size) + size + (event.isDeletion ? 2 : 0));
    if (event.isDeletion) writer.boolean(1, true);
    writeKey(writer, 2, event);
  }
  return writer.finish();
}

function headerOf({ clusterId, revision }: Header): ProtobufWriter {
  return new ProtobufWriter().integer64(1, clusterId).integer(2, 1).integer(3, revision).integer(4, 2);
}

function writeKey(writer: ProtobufWriter, field: number, encoded: EncodedKey): void {
  const { key, value, state } = encoded;
  writer.varint(field * 8 + 2);
  writer.varint(sizeOfKey(encoded));
  writer.key(1, key);
  writer.integer(2, state.createRevision).integer(3, state.modRevision).integer(4, state.version);
  if (value.length === 0) return;
  writer.varint(0x2a);
  writer.bytes(value);
}

function sizeOfKey({ key, value, state }: EncodedKey): number {
  const numbers = 3 + varintSize(state.createRevision) + varintSize(state.modRevision) + varintSize(state.version);
  return (
    1 + varintSize(key.length) + key.length + numbers + (value.length === 0 ? 0 : 1 + varintSize(value.length) + value.length)
  );
}
