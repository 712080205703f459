import { status } from '@grpc/grpc-js';
import { expect, onTestFinished, test, vi } from 'vitest';
import { errorOfCancelReason, errorOfStatus } from '../../src/shared/etcd/errors.ts';
import type { Revision } from '../../src/shared/etcd/types.ts';
import { MAX_ETCD_TEXT_LENGTH } from '../../src/shared/limits.ts';

const context = { what: 'Range', timeoutMs: 500, revision: 5 as Revision };

/** Texts of etcd 3.4 to 3.7, gRPC and Node. */
const CAUSES: readonly (readonly [number, string, string])[] = [
  [status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted', 'ETCD_COMPACTED'],
  [status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision is a future revision', 'ETCD_FUTURE_REVISION'],
  [status.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded', 'ETCD_NO_SPACE'],
  [status.RESOURCE_EXHAUSTED, 'etcdserver: too many requests', 'ETCD_TOO_MANY_REQUESTS'],
  [status.RESOURCE_EXHAUSTED, 'Received message larger than max (9815196 vs 4194304)', 'ETCD_RESPONSE_TOO_LARGE'],
  [status.RESOURCE_EXHAUSTED, 'grpc: received message larger than max (3000047 vs. 2097152)', 'ETCD_REQUEST_TOO_LARGE'],
  [status.INVALID_ARGUMENT, 'etcdserver: request is too large', 'ETCD_REQUEST_TOO_LARGE'],
  [status.INVALID_ARGUMENT, 'etcdserver: too many operations in txn request', 'ETCD_TOO_MANY_OPERATIONS'],
  [status.INVALID_ARGUMENT, 'etcdserver: duplicate key given in txn request', 'ETCD_UNEXPECTED_STATUS'],
  [status.INVALID_ARGUMENT, 'etcdserver: user name is empty', 'ETCD_UNAUTHENTICATED'],
  [status.INVALID_ARGUMENT, 'etcdserver: revision of auth store is old', 'ETCD_AUTH_REVISION'],
  [status.FAILED_PRECONDITION, 'etcdserver: user name already exists', 'ETCD_AUTH_EXISTS'],
  [status.FAILED_PRECONDITION, 'etcdserver: role name already exists', 'ETCD_AUTH_EXISTS'],
  [status.FAILED_PRECONDITION, 'etcdserver: user name not found', 'ETCD_AUTH_NOT_FOUND'],
  [status.FAILED_PRECONDITION, 'etcdserver: role name not found', 'ETCD_AUTH_NOT_FOUND'],
  [status.FAILED_PRECONDITION, 'etcdserver: role is not granted to the user', 'ETCD_AUTH_NOT_FOUND'],
  [status.FAILED_PRECONDITION, 'etcdserver: permission is not granted to the role', 'ETCD_AUTH_NOT_FOUND'],
  [status.FAILED_PRECONDITION, 'etcdserver: root user does not exist', 'ETCD_AUTH_REFUSED'],
  [status.FAILED_PRECONDITION, 'etcdserver: root user does not have root role', 'ETCD_AUTH_REFUSED'],
  [status.INVALID_ARGUMENT, 'etcdserver: invalid auth management', 'ETCD_AUTH_REFUSED'],
  [status.FAILED_PRECONDITION, 'etcdserver: authentication is not enabled', 'ETCD_AUTH_NOT_ENABLED'],
  [status.UNIMPLEMENTED, 'unknown method AuthStatus for service etcdserverpb.Auth', 'ETCD_UNKNOWN_CALL'],
  [status.UNAUTHENTICATED, 'etcdserver: invalid auth token', 'ETCD_UNAUTHENTICATED'],
  [status.PERMISSION_DENIED, 'etcdserver: permission denied', 'ETCD_PERMISSION_DENIED'],
  [status.NOT_FOUND, 'etcdserver: requested lease not found', 'ETCD_LEASE_NOT_FOUND'],
  [status.NOT_FOUND, 'etcdserver: member not found', 'ETCD_MEMBER_NOT_FOUND'],
  [status.FAILED_PRECONDITION, 'etcdserver: Peer URLs already exists', 'ETCD_MEMBERSHIP_REFUSED'],
  [status.FAILED_PRECONDITION, 'etcdserver: too many learner members in cluster', 'ETCD_MEMBERSHIP_REFUSED'],
  [
    status.FAILED_PRECONDITION,
    'etcdserver: re-configuration failed due to not enough started members',
    'ETCD_MEMBERSHIP_REFUSED',
  ],
  [
    status.FAILED_PRECONDITION,
    'etcdserver: can only promote a learner member which is in sync with leader',
    'ETCD_MEMBERSHIP_REFUSED',
  ],
  [status.UNAVAILABLE, 'etcdserver: unhealthy cluster', 'ETCD_NO_LEADER'],
  [status.UNAVAILABLE, 'etcdserver: no leader', 'ETCD_NO_LEADER'],
  [status.UNAVAILABLE, 'etcdserver: leader changed', 'ETCD_NO_LEADER'],
  [status.UNAVAILABLE, 'etcdserver: request timed out', 'ETCD_UNAVAILABLE'],
  [status.UNAVAILABLE, 'etcdserver: request timed out, possibly due to previous leader failure', 'ETCD_UNAVAILABLE'],
  [status.UNAVAILABLE, 'No connection established. Last error: Error: self-signed certificate in certificate chain', 'ETCD_TLS'],
  [
    status.UNAVAILABLE,
    "Last error: Hostname/IP does not match certificate's altnames: Host: a. is not in the cert's altnames: DNS:b",
    'ETCD_TLS',
  ],
  [status.UNAVAILABLE, '40C7F0A1:error:0A00010B:SSL routines:ssl3_get_record:wrong version number', 'ETCD_TLS'],
  [status.UNAVAILABLE, 'read ECONNRESET', 'ETCD_UNAVAILABLE'],
  [status.CANCELLED, 'Call cancelled', 'ETCD_UNAVAILABLE'],
  [status.INTERNAL, 'Received RST_STREAM with code 2 (Internal server error)', 'ETCD_UNAVAILABLE'],
  [status.DEADLINE_EXCEEDED, 'Deadline exceeded after 0.501s,LB pick: 0.002s,remote_addr=127.0.0.1:2379', 'ETCD_DEADLINE'],
  [status.UNIMPLEMENTED, 'Received HTTP status code 404', 'ETCD_UNEXPECTED_STATUS'],
  [status.UNKNOWN, '', 'ETCD_UNEXPECTED_STATUS'],
];

test.each(CAUSES)('status %i with "%s" is %s', (code, details, expected) => {
  expect(errorOfStatus({ code, details }, context)).toMatchObject({ code: expected });
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

test('two failures to connect read alike, whenever they were', () => {
  const details = (time: string) =>
    `No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1 (${time}). Resolution note: `;
  const messages = ['2026-01-02T03:04:05.678Z', '2026-02-03T04:05:06.789Z'].map(
    (time) => errorOfStatus({ code: status.UNAVAILABLE, details: details(time) }, context).message,
  );
  expect(messages).toEqual(Array(2).fill('cannot reach etcd: connect ECONNREFUSED 127.0.0.1:1'));
});

test('whether to try again, and elsewhere, follows from the cause', () => {
  const of = (code: number, details: string) => errorOfStatus({ code, details }, context);
  expect(of(status.UNAVAILABLE, 'read ECONNRESET')).toMatchObject({ retriable: true, concernsConnection: true });
  expect(of(status.RESOURCE_EXHAUSTED, 'etcdserver: too many requests')).toMatchObject({
    retriable: true,
    concernsConnection: false,
  });
  expect(of(status.NOT_FOUND, 'etcdserver: requested lease not found')).toMatchObject({
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
    errorOfStatus({ code: status.UNKNOWN, details: HOSTILE_TEXT }, context),
    errorOfStatus({ code: status.UNAVAILABLE, details: HOSTILE_TEXT }, context),
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

test('a failure that the library gives neither a code nor a text is an error by name', () => {
  expect(errorOfStatus({}, context)).toMatchObject({ code: 'ETCD_UNEXPECTED_STATUS' });
});
