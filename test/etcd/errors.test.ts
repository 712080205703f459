import { expect, onTestFinished, test, vi } from 'vitest';
import { errorOfCancelReason, errorOfStatus } from '../../src/shared/etcd/errors.ts';
import { errorOfResponse, errorOfTrailers, GRPC, GrpcStatusError } from '../../src/shared/etcd/grpc-status.ts';
import type { Revision } from '../../src/shared/etcd/types.ts';
import { MAX_ETCD_TEXT_LENGTH } from '../../src/shared/limits.ts';

const context = { what: 'Range', timeoutMs: 500, revision: 5 as Revision };

/** Texts of etcd 3.4 to 3.7, gRPC and Node. */
const CAUSES: readonly (readonly [number, string, string])[] = [
  [GRPC.OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted', 'ETCD_COMPACTED'],
  [GRPC.OUT_OF_RANGE, 'etcdserver: mvcc: required revision is a future revision', 'ETCD_FUTURE_REVISION'],
  [GRPC.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded', 'ETCD_NO_SPACE'],
  [GRPC.RESOURCE_EXHAUSTED, 'etcdserver: too many requests', 'ETCD_TOO_MANY_REQUESTS'],
  [GRPC.RESOURCE_EXHAUSTED, 'grpc: received message larger than max (3000047 vs. 2097152)', 'ETCD_REQUEST_TOO_LARGE'],
  [GRPC.INVALID_ARGUMENT, 'etcdserver: request is too large', 'ETCD_REQUEST_TOO_LARGE'],
  [GRPC.INVALID_ARGUMENT, 'etcdserver: too many operations in txn request', 'ETCD_TOO_MANY_OPERATIONS'],
  [GRPC.INVALID_ARGUMENT, 'etcdserver: duplicate key given in txn request', 'ETCD_UNEXPECTED_STATUS'],
  [GRPC.INVALID_ARGUMENT, 'etcdserver: user name is empty', 'ETCD_UNAUTHENTICATED'],
  [GRPC.INVALID_ARGUMENT, 'etcdserver: revision of auth store is old', 'ETCD_AUTH_REVISION'],
  [GRPC.FAILED_PRECONDITION, 'etcdserver: user name already exists', 'ETCD_AUTH_EXISTS'],
  [GRPC.FAILED_PRECONDITION, 'etcdserver: role name already exists', 'ETCD_AUTH_EXISTS'],
  [GRPC.FAILED_PRECONDITION, 'etcdserver: user name not found', 'ETCD_AUTH_NOT_FOUND'],
  [GRPC.FAILED_PRECONDITION, 'etcdserver: role name not found', 'ETCD_AUTH_NOT_FOUND'],
  [GRPC.FAILED_PRECONDITION, 'etcdserver: role is not granted to the user', 'ETCD_AUTH_NOT_FOUND'],
  [GRPC.FAILED_PRECONDITION, 'etcdserver: permission is not granted to the role', 'ETCD_AUTH_NOT_FOUND'],
  [GRPC.FAILED_PRECONDITION, 'etcdserver: root user does not exist', 'ETCD_AUTH_REFUSED'],
  [GRPC.FAILED_PRECONDITION, 'etcdserver: root user does not have root role', 'ETCD_AUTH_REFUSED'],
  [GRPC.INVALID_ARGUMENT, 'etcdserver: invalid auth management', 'ETCD_AUTH_REFUSED'],
  [GRPC.FAILED_PRECONDITION, 'etcdserver: authentication is not enabled', 'ETCD_AUTH_NOT_ENABLED'],
  [GRPC.UNIMPLEMENTED, 'unknown method AuthStatus for service etcdserverpb.Auth', 'ETCD_UNKNOWN_CALL'],
  [GRPC.UNAUTHENTICATED, 'etcdserver: invalid auth token', 'ETCD_UNAUTHENTICATED'],
  [GRPC.PERMISSION_DENIED, 'etcdserver: permission denied', 'ETCD_PERMISSION_DENIED'],
  [GRPC.NOT_FOUND, 'etcdserver: requested lease not found', 'ETCD_LEASE_NOT_FOUND'],
  [GRPC.NOT_FOUND, 'etcdserver: member not found', 'ETCD_MEMBER_NOT_FOUND'],
  [GRPC.FAILED_PRECONDITION, 'etcdserver: Peer URLs already exists', 'ETCD_MEMBERSHIP_REFUSED'],
  [GRPC.FAILED_PRECONDITION, 'etcdserver: too many learner members in cluster', 'ETCD_MEMBERSHIP_REFUSED'],
  [GRPC.FAILED_PRECONDITION, 'etcdserver: re-configuration failed due to not enough started members', 'ETCD_MEMBERSHIP_REFUSED'],
  [
    GRPC.FAILED_PRECONDITION,
    'etcdserver: can only promote a learner member which is in sync with leader',
    'ETCD_MEMBERSHIP_REFUSED',
  ],
  [GRPC.UNAVAILABLE, 'etcdserver: unhealthy cluster', 'ETCD_NO_LEADER'],
  [GRPC.UNAVAILABLE, 'etcdserver: no leader', 'ETCD_NO_LEADER'],
  [GRPC.UNAVAILABLE, 'etcdserver: leader changed', 'ETCD_NO_LEADER'],
  [GRPC.UNAVAILABLE, 'etcdserver: request timed out', 'ETCD_UNAVAILABLE'],
  [GRPC.UNAVAILABLE, 'etcdserver: request timed out, possibly due to previous leader failure', 'ETCD_UNAVAILABLE'],
  [GRPC.UNAVAILABLE, 'self-signed certificate in certificate chain', 'ETCD_TLS'],
  [
    GRPC.UNAVAILABLE,
    "Hostname/IP does not match certificate's altnames: Host: a. is not in the cert's altnames: DNS:b",
    'ETCD_TLS',
  ],
  [GRPC.UNAVAILABLE, '40C7F0A1:error:0A00010B:SSL routines:ssl3_get_record:wrong version number', 'ETCD_TLS'],
  [GRPC.UNAVAILABLE, 'read ECONNRESET', 'ETCD_UNAVAILABLE'],
  [GRPC.CANCELLED, 'context canceled', 'ETCD_UNAVAILABLE'],
  [GRPC.DEADLINE_EXCEEDED, 'context deadline exceeded', 'ETCD_DEADLINE'],
  [GRPC.UNIMPLEMENTED, 'HTTP status 404 instead of an answer', 'ETCD_UNEXPECTED_STATUS'],
  [GRPC.UNKNOWN, '', 'ETCD_UNEXPECTED_STATUS'],
];

test.each(CAUSES)('status %i with "%s" is %s', (code, details, expected) => {
  expect(errorOfStatus(new GrpcStatusError(code, details), context)).toMatchObject({ code: expected });
});

test('a cancelled watch reports its cause only by its text', () => {
  expect(errorOfCancelReason('etcdserver: permission denied', context)).toMatchObject({ code: 'ETCD_PERMISSION_DENIED' });
  expect(errorOfCancelReason('rpc error: code = PermissionDenied desc = etcdserver: permission denied', context)).toMatchObject({
    code: 'ETCD_PERMISSION_DENIED',
  });
  expect(errorOfCancelReason('etcdserver: mvcc: required revision has been compacted', context)).toMatchObject({
    code: 'ETCD_COMPACTED',
    asked: 5,
  });
  expect(errorOfCancelReason('', context)).toMatchObject({
    code: 'ETCD_UNEXPECTED_STATUS',
    message: expect.stringContaining('no reason given'),
  });
});

test('whether to try again, and elsewhere, follows from the cause', () => {
  const of = (code: number, details: string) => errorOfStatus(new GrpcStatusError(code, details), context);
  expect(of(GRPC.UNAVAILABLE, 'read ECONNRESET')).toMatchObject({ retriable: true, concernsConnection: true });
  expect(of(GRPC.RESOURCE_EXHAUSTED, 'etcdserver: too many requests')).toMatchObject({
    retriable: true,
    concernsConnection: false,
  });
  expect(of(GRPC.NOT_FOUND, 'etcdserver: requested lease not found')).toMatchObject({
    retriable: false,
    concernsConnection: false,
  });
});

/** What a cancel reason of a hostile remote is: each beginning of `auth: ` is a place from which a pattern may look for the rest. */
const HOSTILE_TEXT = 'auth: '.repeat(20_000);

test('of a text that a remote chose a bounded part is matched and shown', () => {
  const matched: number[] = [];
  const matching = vi.spyOn(RegExp.prototype, 'test').mockImplementation(function (this: RegExp, text: string) {
    matched.push(text.length);
    return this.exec(text) !== null;
  });
  onTestFinished(() => matching.mockRestore());
  for (const error of [
    errorOfStatus(new GrpcStatusError(GRPC.UNKNOWN, HOSTILE_TEXT), context),
    errorOfStatus(new GrpcStatusError(GRPC.UNAVAILABLE, HOSTILE_TEXT), context),
    errorOfCancelReason(HOSTILE_TEXT, context),
  ]) {
    expect(error.message.length).toBeLessThan(MAX_ETCD_TEXT_LENGTH + 200);
  }
  expect(matched.length).toBeGreaterThan(0);
  expect(Math.max(...matched)).toBeLessThanOrEqual(MAX_ETCD_TEXT_LENGTH + 1);
});

test('a text that a remote chose is shown on one line, without control characters', () => {
  const error = errorOfCancelReason('a\nb\u001b[31mc\u202ed', context);
  expect(error.message).toContain('a b [31mc d');
});

test.each([
  [{ 'grpc-status': '0' }, undefined],
  [{ 'grpc-status': '5', 'grpc-message': 'etcdserver: requested lease not found' }, { status: GRPC.NOT_FOUND }],
  [
    { 'grpc-status': '14', 'grpc-message': '100%25 caf%C3%A9' },
    { status: GRPC.UNAVAILABLE, details: '100% café' },
  ],
  [
    { 'grpc-status': '14', 'grpc-message': '100%' },
    { status: GRPC.UNAVAILABLE, details: '100%' },
  ],
  [{ 'grpc-status': '99' }, { status: GRPC.UNKNOWN }],
  [{ 'grpc-status': 'nonsense' }, { status: GRPC.UNKNOWN }],
  [{}, { status: GRPC.UNKNOWN, details: 'no status and no text' }],
])('trailers %j end a call with %j', (trailers, expected) => {
  const error = errorOfTrailers(trailers);
  if (expected === undefined) expect(error).toBeUndefined();
  else expect(error).toMatchObject(expected);
});

test.each([
  [200, undefined],
  [401, GRPC.UNAUTHENTICATED],
  [404, GRPC.UNIMPLEMENTED],
  [503, GRPC.UNAVAILABLE],
  [418, GRPC.UNKNOWN],
])('an answer with the HTTP status %i is no answer of etcd, unless it is 200', (httpStatus, expected) => {
  expect(errorOfResponse({ ':status': `${httpStatus}` })?.status).toBe(expected);
  expect(errorOfResponse({ ':status': `${httpStatus}`, 'grpc-status': '7' })).toBeUndefined();
});
