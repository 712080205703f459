import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EtcdError } from '../../../src/shared/etcd/errors.ts';
import {
  type EtcdKey,
  keyBytes,
  type LeaseId,
  type Revision,
  type TxnCondition,
  type TxnOperation,
  type WatchEvent,
} from '../../../src/shared/etcd/types.ts';
import { decodeHeader, decodeRange, decodeTxn, decodeWatch, encodeTxn, readEvents } from '../../../src/shared/etcd/wire/codec.ts';
import { type KeyValueMessage, RangeResponse, TxnRequest, TxnResponse, WatchResponse } from '../../support/etcd/etcd-messages.ts';

/** As etcd numbers them. */
const [EQUAL, GREATER, CREATE, MOD, PUT, DELETE] = [0, 1, 1, 2, 0, 1];

const MAX_REVISION = BigInt(Number.MAX_SAFE_INTEGER);

const anyBytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const anyRevision = fc.oneof(fc.bigInt({ min: 0n, max: 300n }), fc.bigInt({ min: 0n, max: MAX_REVISION }));
const anyLease = fc.oneof(fc.constant(0n), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));
const anyHeader = fc.option(
  fc.record({
    clusterId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    memberId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    revision: anyRevision,
    raftTerm: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  }),
  { nil: undefined },
);
const anyKeyValue: fc.Arbitrary<KeyValueMessage> = fc.record({
  key: anyBytes,
  createRevision: anyRevision,
  modRevision: anyRevision,
  version: anyRevision,
  value: anyBytes,
  lease: anyLease,
});

const headerOf = (header: { clusterId: bigint; revision: bigint } | undefined) => ({
  clusterId: header?.clusterId ?? 0n,
  revision: Number(header?.revision ?? 0n),
});
const keyValueOf = ({ key, value, createRevision, modRevision, lease }: KeyValueMessage) => ({
  key: key.toString('latin1'),
  value: Buffer.from(value),
  createRevision: Number(createRevision),
  modRevision: Number(modRevision),
  lease,
});

test('a transaction is encoded as protobufjs does it', () => {
  const anyKey = anyBytes.map((key) => key.toString('latin1') as EtcdKey);
  const anyOperation: fc.Arbitrary<TxnOperation> = fc.oneof(
    fc.record({
      type: fc.constant('put' as const),
      key: anyKey,
      value: anyBytes,
      lease: anyLease.map((lease) => lease as LeaseId),
    }),
    fc.record({ type: fc.constant('delete' as const), key: anyKey, end: anyKey }),
    fc.record({ type: fc.constant('delete' as const), key: anyKey }),
  );
  const anyCondition: fc.Arbitrary<TxnCondition> = fc.oneof(
    fc.record({ key: anyKey, exists: fc.boolean() }),
    fc.record({ key: anyKey, modRevision: anyRevision.map((revision) => Number(revision) as Revision) }),
  );
  fc.assert(
    fc.property(
      fc.array(anyOperation, { maxLength: 200 }),
      fc.array(anyCondition, { maxLength: 3 }),
      (operations, conditions) => {
        const success = operations.map((operation) => ({
          ...(operation.type === 'put'
            ? { requestPut: { key: keyBytes(operation.key), value: Buffer.from(operation.value), lease: operation.lease } }
            : {
                requestDeleteRange: { key: keyBytes(operation.key), rangeEnd: Buffer.from(operation.end ?? '', 'latin1') },
              }),
        }));
        const decoded = TxnRequest.decode(encodeTxn(operations, conditions));
        expect(decoded.success).toMatchObject(success);
        expect(decoded.compare).toEqual(
          conditions.map((condition) => ({
            key: keyBytes(condition.key),
            rangeEnd: Buffer.alloc(0),
            ...('exists' in condition
              ? { result: condition.exists ? GREATER : EQUAL, target: CREATE, createRevision: 0n }
              : { result: EQUAL, target: MOD, modRevision: BigInt(condition.modRevision) }),
          })),
        );
        if (conditions.length === 0) expect(encodeTxn(operations)).toEqual(TxnRequest.encode({ success }));
      },
    ),
  );
});

test('a range is decoded as protobufjs does it', () => {
  fc.assert(
    fc.property(anyHeader, fc.array(anyKeyValue, { maxLength: 50 }), fc.boolean(), anyRevision, (header, kvs, more, count) => {
      const answer = decodeRange(RangeResponse.encode({ header, kvs, more, count }));
      expect(answer).toEqual({ header: headerOf(header), keyValues: kvs.map(keyValueOf), more, count: Number(count) });
    }),
  );
});

test('values are views into the message and not copies', () => {
  const kv = { key: Buffer.from('k'), createRevision: 1n, modRevision: 1n, version: 1n, value: Buffer.alloc(5000, 1), lease: 0n };
  const message = RangeResponse.encode({ header: undefined, kvs: [kv], more: false, count: 1n });
  expect(decodeRange(message).keyValues[0]?.value.buffer).toBe(message.buffer);
});

test('the outcome of a transaction is decoded as protobufjs does it', () => {
  fc.assert(
    fc.property(anyHeader, fc.boolean(), fc.nat({ max: 20 }), (header, succeeded, puts) => {
      const responses = Array.from({ length: puts }, () => ({
        responsePut: { header },
      }));
      const message = TxnResponse.encode({ header, succeeded, responses });
      expect(decodeTxn(message)).toEqual({ header: headerOf(header), succeeded });
      expect(decodeHeader(message)).toEqual(headerOf(header));
    }),
  );
});

test('an answer of a watch is decoded as protobufjs does it, in slices of the size asked for', () => {
  const anyEvent = fc.record({ type: fc.constantFrom(PUT, DELETE), kv: anyKeyValue });
  fc.assert(
    fc.property(
      anyHeader,
      fc.array(anyEvent, { maxLength: 60 }),
      fc.record({
        created: fc.boolean(),
        canceled: fc.boolean(),
        fragment: fc.boolean(),
        compactRevision: anyRevision,
        cancelReason: fc.string(),
      }),
      fc.bigInt(-1n, 2n ** 40n),
      fc.integer({ min: 1, max: 20 }),
      (header, events, rest, watchId, perSlice) => {
        const answer = decodeWatch(WatchResponse.encode({ header, watchId, events, ...rest }));
        const slices = [...readEvents(answer.events, perSlice)];
        expect({ ...answer, events: slices.flat() }).toEqual({
          header: headerOf(header),
          watchId: Number(watchId),
          ...rest,
          compactRevision: Number(rest.compactRevision),
          events: events.map(({ type, kv }): unknown => {
            const { key, value, modRevision, lease } = keyValueOf(kv);
            return type === DELETE
              ? { type: 'delete', key, modRevision }
              : { type: 'put', key, value, modRevision, lease, isCreation: kv?.createRevision === kv?.modRevision };
          }),
        });
        expect(slices.every((slice) => slice.length <= perSlice && slice.length > 0)).toBe(true);
        expect(slices.length).toBe(Math.ceil(events.length / perSlice));
      },
    ),
  );
});

const DECODERS: readonly (readonly [string, (message: Buffer) => unknown])[] = [
  ['header', decodeHeader],
  ['range', decodeRange],
  ['transaction', decodeTxn],
  ['watch', (message): WatchEvent[] => [...readEvents(decodeWatch(message).events, 3)].flat()],
];

test.each(DECODERS)('garbage instead of a %s gives a result or a typed error, and nothing else', (_, decode) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (garbage) => resultOrTypedError(decode, Buffer.from(garbage))),
    { numRuns: 2000 },
  );
});

test.each(DECODERS)('a %s that is cut short or damaged gives a result or a typed error, and nothing else', (_, decode) => {
  const anyMessage = fc.record({ header: anyHeader, kvs: fc.array(anyKeyValue, { maxLength: 5 }) }).chain(({ header, kvs }) =>
    fc.constantFrom(
      RangeResponse.encode({ header, kvs, more: true, count: 1n }),

      WatchResponse.encode({
        header,
        watchId: 0n,
        created: false,
        canceled: false,
        fragment: false,
        compactRevision: 0n,
        cancelReason: '',
        events: kvs.map((kv) => ({ type: 0, kv })),
      }),
    ),
  );
  fc.assert(
    fc.property(anyMessage, fc.nat(), fc.nat(), fc.nat({ max: 255 }), (message, cut, at, byte) => {
      resultOrTypedError(decode, message.subarray(0, cut % (message.length + 1)));
      const damaged = Buffer.from(message);
      if (damaged.length > 0) damaged[at % damaged.length] = byte;
      resultOrTypedError(decode, damaged);
    }),
    { numRuns: 1000 },
  );
});

test('a revision above 2^53 is refused', () => {
  const header = { clusterId: 1n, memberId: 1n, revision: MAX_REVISION + 1n, raftTerm: 1n };
  expect(() => decodeHeader(TxnResponse.encode({ header, succeeded: true, responses: [] }))).toThrow(/2\^53/);
});

function resultOrTypedError(decode: (message: Buffer) => unknown, message: Buffer): void {
  try {
    decode(message);
  } catch (thrown) {
    if (!(thrown instanceof EtcdError)) throw thrown;
    expect(thrown.code).toBe('ETCD_MALFORMED_RESPONSE');
  }
}
