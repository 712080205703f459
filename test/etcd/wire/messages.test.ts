/** Each message as protobufjs reads and writes it by etcd's own definition. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EtcdError } from '../../../src/shared/etcd/errors.ts';
import { type EtcdKey, keyBytes, type LeaseId } from '../../../src/shared/etcd/types.ts';
import {
  ACCESSES,
  decodeAuthStatus,
  decodeLease,
  decodeLeaseGrant,
  decodeLeaseTimeToLive,
  decodeNames,
  decodePermissions,
  decodeToken,
  encodeGrantPermission,
  encodeLeaseGrant,
  encodeLeaseId,
  encodeRevokePermission,
  encodeTexts,
  encodeUserAdd,
} from '../../../src/shared/etcd/wire/messages.ts';
import { encodeRange, encodeWatch } from '../../../src/shared/etcd/wire/methods.ts';
import { type Fields, otherMessage, RangeRequest, WatchRequest } from '../../support/etcd/etcd-messages.ts';

const anyText = fc.string({ unit: 'grapheme', maxLength: 40 });
const anyKey = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1') as EtcdKey);
const anyEnd = fc.option(anyKey, { nil: '' as const });
const anyLease = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((id) => id as LeaseId);
const anySeconds = fc.bigInt({ min: -1n, max: 2n ** 63n - 1n });
const anyRevision = fc.nat().map((revision) => revision as never);
const header = { clusterId: 7n, memberId: 1n, revision: 5n, raftTerm: 2n };

const decoded = (name: string, bytes: Buffer): Fields => otherMessage(name).decode(bytes);
const answered = (name: string, fields: Fields): Buffer => otherMessage(name).encode({ header, ...fields });

test('requests about leases', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1 }), anyLease, (seconds, id) => {
      expect(decoded('LeaseGrantRequest', encodeLeaseGrant(seconds, id))).toEqual({ TTL: BigInt(seconds), ID: id });
      for (const name of ['LeaseRevokeRequest', 'LeaseKeepAliveRequest', 'LeaseTimeToLiveRequest'])
        expect(decoded(name, encodeLeaseId(id))).toMatchObject({ ID: id });
    }),
  );
});

test('answers about leases', () => {
  fc.assert(
    fc.property(anyLease, anySeconds, anySeconds, anyText, (id, ttl, grantedTtl, error) => {
      const lease = { header: { clusterId: 7n, revision: 5 }, id, ttl };
      const fields = { ID: id, TTL: ttl };
      expect(decodeLeaseGrant(answered('LeaseGrantResponse', { ...fields, error }))).toEqual({ ...lease, error });
      expect(decodeLease(answered('LeaseKeepAliveResponse', fields))).toEqual(lease);
      const timeToLive = answered('LeaseTimeToLiveResponse', { ...fields, grantedTTL: grantedTtl, keys: [Buffer.from('k')] });
      expect(decodeLeaseTimeToLive(timeToLive)).toEqual({ ...lease, grantedTtl });
    }),
  );
});

test('requests about users and roles', () => {
  fc.assert(
    fc.property(anyText, anyText, (name, other) => {
      expect(decoded('AuthUserGetRequest', encodeTexts({ 1: name }))).toEqual({ name });
      expect(decoded('AuthUserDeleteRequest', encodeTexts({ 1: name }))).toEqual({ name });
      expect(decoded('AuthUserGrantRoleRequest', encodeTexts({ 1: name, 2: other }))).toEqual({ user: name, role: other });
      expect(decoded('AuthUserRevokeRoleRequest', encodeTexts({ 1: name, 2: other }))).toEqual({ name, role: other });
      expect(decoded('AuthRoleAddRequest', encodeTexts({ 1: name }))).toEqual({ name });
      expect(decoded('AuthRoleGetRequest', encodeTexts({ 1: name }))).toEqual({ role: name });
      expect(decoded('AuthRoleDeleteRequest', encodeTexts({ 1: name }))).toEqual({ role: name });
      expect(decoded('AuthenticateRequest', encodeTexts({ 1: name, 2: other }))).toEqual({ name, password: other });
      expect(decoded('AuthUserAddRequest', encodeUserAdd(name))).toMatchObject({ name, options: { noPassword: true } });
    }),
  );
});

test('permissions, asked for and answered', () => {
  const anyPermission = fc.record({ access: fc.constantFrom(...ACCESSES), key: anyKey, end: anyEnd });
  const message = ({ access, key, end }: { access: (typeof ACCESSES)[number]; key: EtcdKey; end: string }) => ({
    permType: ACCESSES.indexOf(access),
    key: keyBytes(key),
    rangeEnd: Buffer.from(end, 'latin1'),
  });
  fc.assert(
    fc.property(anyText, fc.array(anyPermission, { maxLength: 5 }), (role, permissions) => {
      for (const permission of permissions) {
        const { key, rangeEnd, permType } = message(permission);
        expect(decoded('AuthRoleGrantPermissionRequest', encodeGrantPermission(role, permission))).toEqual({
          name: role,
          perm: { permType, key, rangeEnd },
        });
        expect(decoded('AuthRoleRevokePermissionRequest', encodeRevokePermission(role, permission))).toMatchObject({ role });
      }
      expect(decodePermissions(answered('AuthRoleGetResponse', { perm: permissions.map(message) }))).toEqual(permissions);
    }),
  );
});

test('names, a token and whether rights are checked', () => {
  fc.assert(
    fc.property(fc.array(anyText, { maxLength: 10 }), anyText, fc.boolean(), (names, token, enabled) => {
      expect(decodeNames(answered('AuthUserListResponse', { users: names }))).toEqual(names);
      expect(decodeNames(answered('AuthRoleListResponse', { roles: names }))).toEqual(names);
      expect(decodeNames(answered('AuthUserGetResponse', { roles: names }))).toEqual(names);
      expect(decodeToken(answered('AuthenticateResponse', { token }))).toBe(token);
      // The definition of etcd 3.3, which the package has, lacks the call; its answer is like that of a watch in this field.
      expect(decodeAuthStatus(Buffer.from([0x10, Number(enabled)]))).toBe(enabled);
    }),
  );
});

test('a range and a watch are asked for as etcd defines them', () => {
  fc.assert(
    fc.property(anyKey, anyKey, fc.nat(), anyRevision, fc.boolean(), anyRevision, (key, end, limit, revision, flag, least) => {
      const range = encodeRange({ key, end, limit, revision, keysOnly: flag, minModRevision: least });
      expect(RangeRequest.decode(range)).toMatchObject({
        key: keyBytes(key),
        rangeEnd: keyBytes(end),
        limit: BigInt(limit),
        revision: BigInt(revision),
        serializable: false,
        keysOnly: flag,
        countOnly: false,
        minModRevision: BigInt(least),
      });
      const watch = encodeWatch(key, { start: revision, deletesOnly: flag, exact: true, watchId: limit });
      expect(WatchRequest.decode(watch).createRequest).toMatchObject({
        key: keyBytes(key),
        rangeEnd: Buffer.alloc(0),
        startRevision: BigInt(revision),
        progressNotify: true,
        watchId: BigInt(limit),
        filters: flag ? [0] : [],
      });
    }),
  );
});

test('garbage gives a result or a typed error, and nothing else', () => {
  const decoders = [decodeLeaseGrant, decodeLeaseTimeToLive, decodeNames, decodePermissions, decodeToken, decodeAuthStatus];
  fc.assert(
    fc.property(fc.constantFrom(...decoders), fc.uint8Array({ maxLength: 200 }), (decode, garbage) => {
      try {
        decode(Buffer.from(garbage));
      } catch (thrown) {
        if (!(thrown instanceof EtcdError)) throw thrown;
        expect(thrown.code).toBe('ETCD_MALFORMED_RESPONSE');
      }
    }),
    { numRuns: 3000 },
  );
});
