/**
 * The hand-written codec of the hot path: transactions out, ranges and watches in.
 *
 * Values are views into the received message and keys strings with one character per byte, so that a key
 * costs one string and one small object. All other messages are in messages.ts.
 */
import { MAX_ETCD_TEXT_LENGTH, MAX_EVENTS_PER_MESSAGE, MAX_FIELDS_PER_KEY } from '../../limits.ts';
import { MAX_VARINT_BYTES, ProtobufWriter, varint64Size, varintSize } from '../../protobuf.ts';
import { MalformedResponseError, ResponseTooLargeError } from '../errors.ts';
import {
  type EtcdKey,
  type KeyValue,
  type LeaseId,
  NO_LEASE,
  NO_REVISION,
  type Revision,
  type TxnCondition,
  type TxnOperation,
  type WatchEvent,
} from '../types.ts';
import { WireReader } from './reader.ts';

/** The header of a response. `clusterId` is 0 if the response has no header. */
export interface ResponseHeader {
  readonly clusterId: bigint;
  readonly revision: Revision;
}

export interface RangeAnswer {
  readonly header: ResponseHeader;
  readonly keyValues: KeyValue[];
  readonly more: boolean;
  /** Keys of the requested range, including those beyond the limit. */
  readonly count: number;
}

export interface TxnAnswer {
  readonly header: ResponseHeader;
  readonly succeeded: boolean;
}

export interface WatchAnswer {
  readonly header: ResponseHeader;
  /** The watch on its stream; negative where the server created none. */
  readonly watchId: number;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: Revision;
  /** At most MAX_ETCD_TEXT_LENGTH bytes. */
  readonly cancelReason: string;
  readonly fragment: boolean;
  /** To be read with `readEvents`. */
  readonly events: EncodedEvents;
}

/** Fields of a message other than its keys or events, and of its header. */
const MAX_OTHER_FIELDS = 64;

/** An answer to a transaction has an element for each of its operations. */
const MAX_FIELDS_PER_SMALL_ANSWER = 10_000;

const NO_HEADER: ResponseHeader = { clusterId: 0n, revision: NO_REVISION };
const NO_BYTES: Buffer = Buffer.alloc(0);

/**
 * A transaction that applies all `operations` if all `conditions` hold.
 * Keys and values are not checked: etcd rejects a key that is empty or occurs twice.
 */
export function encodeTxn(operations: readonly TxnOperation[], conditions: readonly TxnCondition[] = []): Buffer {
  // Plain loops: this runs for each key, and iterators would leave more garbage than the message has bytes.
  const count = operations.length;
  const sizes = new Uint32Array(count);
  let bytes = conditions.reduce((sum, condition) => sum + sizeOfBytes(compareSize(condition)), 0);
  for (let index = 0; index < count; index += 1) {
    const size = operationSize(operations[index] as TxnOperation);
    sizes[index] = size;
    bytes += sizeOfBytes(sizeOfBytes(size));
  }
  // The writer keeps room for the longest varint behind what it has written.
  const writer = new ProtobufWriter(bytes + MAX_VARINT_BYTES);
  for (const condition of conditions) {
    writer.varint(0x0a);
    writer.varint(compareSize(condition));
    writeCompare(writer, condition);
  }
  for (let index = 0; index < count; index += 1) {
    const operation = operations[index] as TxnOperation;
    const size = sizes[index] as number;
    writer.varint(0x12);
    writer.varint(sizeOfBytes(size));
    writer.varint(operation.type === 'put' ? 0x12 : 0x1a);
    writer.varint(size);
    writeOperation(writer, operation);
  }
  return writer.finish();
}

/** A key that does not exist has the create_revision 0: equal to it (the default) or greater. A mod_revision is equal. */
function writeCompare(writer: ProtobufWriter, condition: TxnCondition): void {
  const isOfRevision = 'modRevision' in condition;
  if (!isOfRevision && condition.exists) {
    writer.varint(0x08);
    writer.varint(1);
  }
  writer.varint(0x10);
  writer.varint(isOfRevision ? 2 : 1);
  writer.varint(0x1a);
  writer.latin1(condition.key);
  writer.varint(isOfRevision ? 0x30 : 0x28);
  writer.varint(isOfRevision ? condition.modRevision : 0);
}

function compareSize(condition: TxnCondition): number {
  const key = sizeOfBytes(condition.key.length);
  if ('modRevision' in condition) return key + 3 + varintSize(condition.modRevision);
  return key + (condition.exists ? 6 : 4);
}

function writeOperation(writer: ProtobufWriter, operation: TxnOperation): void {
  if (operation.key !== '') {
    writer.varint(0x0a);
    writer.latin1(operation.key);
  }
  if (operation.type === 'put') {
    if (operation.value.length > 0) {
      writer.varint(0x12);
      writer.bytes(operation.value);
    }
    if (operation.lease !== NO_LEASE) {
      writer.varint(0x18);
      writer.varint64(operation.lease);
    }
  } else if (operation.end !== undefined && operation.end !== '') {
    writer.varint(0x12);
    writer.latin1(operation.end);
  }
}

function operationSize(operation: TxnOperation): number {
  const key = sizeOfField(operation.key.length);
  if (operation.type === 'delete') return key + sizeOfField(operation.end?.length ?? 0);
  const lease = operation.lease === NO_LEASE ? 0 : 1 + varint64Size(operation.lease);
  return key + sizeOfField(operation.value.length) + lease;
}

/** Tag, length and content; fields without content are left out. */
function sizeOfField(length: number): number {
  return length === 0 ? 0 : sizeOfBytes(length);
}

function sizeOfBytes(length: number): number {
  return 1 + varintSize(length) + length;
}

/** The header of any answer: it is field 1 of all of them. */
export function decodeHeader(message: Buffer): ResponseHeader {
  const reader = new WireReader(message, 0, message.length, MAX_FIELDS_PER_SMALL_ANSWER);
  let header = NO_HEADER;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) header = readHeader(reader);
    else reader.skip(tag);
  }
  return header;
}

export function decodeTxn(message: Buffer): TxnAnswer {
  const reader = new WireReader(message, 0, message.length, MAX_FIELDS_PER_SMALL_ANSWER);
  let header = NO_HEADER;
  let succeeded = false;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) header = readHeader(reader);
    else if (tag === 0x10) succeeded = reader.bool();
    else reader.skip(tag);
  }
  return { header, succeeded };
}

/** Throws MalformedResponseError for more than `maxKeys` keys, before the next one is decoded. 0 is no limit. */
export function decodeRange(message: Buffer, maxKeys = 0): RangeAnswer {
  const maxFields = maxKeys === 0 ? Number.POSITIVE_INFINITY : maxKeys * MAX_FIELDS_PER_KEY + MAX_OTHER_FIELDS;
  const reader = new WireReader(message, 0, message.length, maxFields);
  const keyValues: KeyValue[] = [];
  const keyValueReader = new KeyValueReader();
  let header = NO_HEADER;
  let more = false;
  let count = 0;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x12) {
      if (keyValues.length === maxKeys && maxKeys > 0)
        throw new MalformedResponseError(`more than the ${maxKeys} keys requested`);
      keyValues.push(keyValueReader.read(reader));
    } else if (tag === 0x0a) header = readHeader(reader);
    else if (tag === 0x18) more = reader.bool();
    else if (tag === 0x20) count = reader.revision();
    else reader.skip(tag);
  }
  return { header, keyValues, more, count };
}

/** Reads everything except the events, which are only counted: see `readEvents`. Throws ResponseTooLargeError for too many. */
export function decodeWatch(message: Buffer): WatchAnswer {
  const reader = new WireReader(message, 0, message.length, MAX_EVENTS_PER_MESSAGE + MAX_OTHER_FIELDS);
  let header = NO_HEADER;
  let watchId = 0;
  let created = false;
  let canceled = false;
  let compactRevision = NO_REVISION;
  let cancelReason = '';
  let fragment = false;
  let count = 0;
  let first = 0;
  while (!reader.done) {
    const start = reader.position;
    const tag = reader.tag();
    if (tag === 0x5a) {
      if (count === 0) first = start;
      count += 1;
      if (count > MAX_EVENTS_PER_MESSAGE) throw new ResponseTooLargeError(`more than ${MAX_EVENTS_PER_MESSAGE} events`);
      reader.skip(tag);
    } else if (tag === 0x0a) header = readHeader(reader);
    else if (tag === 0x10) watchId = reader.int64();
    else if (tag === 0x18) created = reader.bool();
    else if (tag === 0x20) canceled = reader.bool();
    else if (tag === 0x28) compactRevision = reader.revision();
    else if (tag === 0x32) cancelReason = reader.text(MAX_ETCD_TEXT_LENGTH);
    else if (tag === 0x38) fragment = reader.bool();
    else reader.skip(tag);
  }
  return { header, watchId, created, canceled, compactRevision, cancelReason, fragment, events: { message, count, first } };
}

/** The events of a message that are not decoded yet. */
export interface EncodedEvents {
  readonly message: Buffer;
  readonly count: number;
  /** The start of the first event's field. */
  readonly first: number;
}

/** Decodes events in arrays of at most `perSlice`, each on request. Yields no empty array. */
export function* readEvents(events: EncodedEvents, perSlice: number): Generator<WatchEvent[], void> {
  const reader = new WireReader(events.message, events.first);
  const keyValues = new KeyValueReader();
  let left = events.count;
  let slice: WatchEvent[] = [];
  // `decodeWatch` has limited the other fields.
  const maxFields = perSlice * MAX_FIELDS_PER_KEY + MAX_EVENTS_PER_MESSAGE + MAX_OTHER_FIELDS;
  reader.fieldsLeft = maxFields;
  while (left > 0) {
    const tag = reader.tag();
    if (tag !== 0x5a) {
      reader.skip(tag);
      continue;
    }
    slice.push(readEvent(reader, keyValues));
    left -= 1;
    if (slice.length === perSlice || left === 0) {
      yield slice;
      slice = [];
      reader.fieldsLeft = maxFields;
    }
  }
}

function readHeader(reader: WireReader): ResponseHeader {
  const { end } = reader;
  const limit = reader.limit();
  reader.end = limit;
  let clusterId = 0n;
  let revision = NO_REVISION;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x08) clusterId = reader.uint64();
    else if (tag === 0x18) revision = reader.revision();
    else reader.skip(tag);
  }
  reader.end = end;
  return { clusterId, revision };
}

function readEvent(reader: WireReader, keyValues: KeyValueReader): WatchEvent {
  const { end } = reader;
  reader.end = reader.limit();
  let isDelete = false;
  let keyValue: KeyValue | undefined;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x08) isDelete = readIsDelete(reader);
    else if (tag === 0x12) keyValue = keyValues.read(reader);
    else reader.skip(tag);
  }
  reader.end = end;
  if (keyValue === undefined) throw new MalformedResponseError('an event without a key');
  const { key, value, createRevision, modRevision, lease } = keyValue;
  if (isDelete) return { type: 'delete', key, modRevision };
  return { type: 'put', key, value, modRevision, lease, isCreation: createRevision === modRevision };
}

function readIsDelete(reader: WireReader): boolean {
  const type = reader.uint32();
  if (type > 1) throw new MalformedResponseError(`event type ${type}`);
  return type === 1;
}

/** Reads keys with their values one by one. Most keys of a message share few leases: a bigint is created only if the lease differs. */
class KeyValueReader {
  #low = 0;
  #high = 0;
  #lease = NO_LEASE;

  read(reader: WireReader): KeyValue {
    const { end } = reader;
    reader.end = reader.limit();
    let key = '';
    let value = NO_BYTES;
    let createRevision = NO_REVISION;
    let modRevision = NO_REVISION;
    let lease = NO_LEASE;
    while (!reader.done) {
      const tag = reader.tag();
      if (tag === 0x0a) key = reader.latin1();
      else if (tag === 0x2a) value = reader.bytes();
      else if (tag === 0x10) createRevision = reader.revision();
      else if (tag === 0x18) modRevision = reader.revision();
      else if (tag === 0x30) lease = this.#readLease(reader);
      else reader.skip(tag);
    }
    reader.end = end;
    return { key: key as EtcdKey, value, createRevision, modRevision, lease };
  }

  #readLease(reader: WireReader): LeaseId {
    reader.varint64();
    if (reader.low !== this.#low || reader.high !== this.#high) {
      this.#low = reader.low;
      this.#high = reader.high;
      this.#lease = BigInt.asIntN(64, (BigInt(reader.high) << 32n) | BigInt(reader.low)) as LeaseId;
    }
    return this.#lease;
  }
}
