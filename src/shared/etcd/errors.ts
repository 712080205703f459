/**
 * All errors of an etcd, one class per cause. Only this file matches error texts.
 *
 * A remote etcd controls its texts: at most MAX_ETCD_TEXT_LENGTH characters of one are matched or shown.
 *
 * etcd uses the same gRPC code for several causes; the text distinguishes them. The texts are those
 * of etcd 3.4 to 3.7, which differ only in a prefix.
 */
import type { PodCheckId } from '../diagnosis/pod-checks.ts';
import { ProgramError } from '../errors.ts';
import { MAX_ETCD_TEXT_LENGTH } from '../limits.ts';
import { printable } from '../printable.ts';
import { GRPC, type GrpcStatusError, grpcCodeName } from './grpc-status.ts';
import type { Revision } from './types.ts';

export abstract class EtcdError extends ProgramError {
  readonly retriable: boolean = false;
  readonly concernsConnection: boolean = false;
  /** False where the request may have been applied, or may be later. */
  readonly changesNothing: boolean = false;
}

/** The connection or the member failed, not the request: another endpoint may succeed. */
abstract class ConnectionError extends EtcdError {
  override readonly retriable = true;
  override readonly concernsConnection = true;
}

/** The request was not applied and never will be. */
abstract class RejectedError extends EtcdError {
  override readonly changesNothing = true;
}

/** The requested revision was compacted; a new listing is required. */
export class CompactedError extends EtcdError {
  readonly code = 'ETCD_COMPACTED';
  readonly asked: Revision;
  /** Undefined if a range was rejected: etcd reports it only for watches. */
  readonly oldestLeft: Revision | undefined;
  constructor(asked: Revision, oldestLeft?: Revision) {
    super(`revision ${asked} was compacted${oldestLeft === undefined ? '' : ` (oldest left: ${oldestLeft})`}; list again`);
    this.asked = asked;
    this.oldestLeft = oldestLeft;
  }
}

/** The store has not reached the requested revision: it was replaced by an older one, or the member lags behind. */
export class FutureRevisionError extends EtcdError {
  readonly code = 'ETCD_FUTURE_REVISION';
  readonly asked: Revision;
  constructor(asked: Revision) {
    super(`the store is behind revision ${asked}: it was emptied or restored from a backup; list again`);
    this.asked = asked;
  }
}

/** The answer came from another etcd cluster than all before. */
export class ClusterChangedError extends EtcdError {
  readonly code = 'ETCD_CLUSTER_CHANGED';
  /** Zero where the answer named no cluster. */
  readonly got: bigint;
  readonly expected: bigint | undefined;
  constructor(expected: bigint | undefined, got: bigint) {
    const wanted = expected === undefined ? '' : `, expected ${expected.toString(16)}`;
    super(
      got === 0n
        ? `the response has no etcd cluster ID${wanted}: is this endpoint an etcd?`
        : `the response has etcd cluster ID ${got.toString(16)}${wanted}: the store behind the endpoint was replaced`,
    );
    this.got = got;
    this.expected = expected;
  }
}

export class NoLeaderError extends ConnectionError {
  readonly code = 'ETCD_NO_LEADER';
  constructor(detail: string) {
    super(`the etcd member has no leader (${detail}): check the quorum of the cluster`);
  }
}

export class UnavailableError extends ConnectionError {
  readonly code = 'ETCD_UNAVAILABLE';
  constructor(detail: string) {
    super(`cannot reach etcd: ${detail}`);
  }
}

export class DeadlineError extends ConnectionError {
  readonly code = 'ETCD_DEADLINE';
  constructor(what: string, timeoutMs: number) {
    super(`etcd did not answer ${what} within ${timeoutMs} ms; the outcome is unknown`);
  }
}

export class TlsError extends ConnectionError {
  readonly code = 'ETCD_TLS';
  constructor(detail: string) {
    super(
      `TLS with etcd failed: ${detail}; check trusted-ca-file, cert-file and key-file, and the names in the server's certificate`,
    );
  }
}

/** A configuration that cannot be used: names the file, the line and the key, and what is allowed there. */
export class EtcdConfigError extends EtcdError {
  readonly code = 'ETCD_CONFIG_INVALID';
}

/** Certificate or key files of the configuration that cannot be used. */
export class CredentialsError extends ConnectionError {
  readonly code = 'ETCD_CREDENTIALS';
}

export class TooManyRequestsError extends RejectedError {
  readonly code = 'ETCD_TOO_MANY_REQUESTS';
  override readonly retriable = true;
  constructor() {
    super('etcd is overloaded; send fewer requests, or give it more resources');
  }
}

/** Our own queue of requests is full (see the request limiter). */
export class QueueFullError extends RejectedError {
  readonly code = 'ETCD_QUEUE_FULL';
  override readonly retriable = true;
  constructor(waiting: number) {
    super(`${waiting} requests are already waiting for etcd; raise or remove etcd.qps and etcd.maxInflight`);
  }
}

export class NoSpaceError extends RejectedError {
  readonly code = 'ETCD_NO_SPACE';
  override readonly retriable = true;
  constructor() {
    super('the etcd database has reached its quota: compact, defragment, and disarm the alarm, or raise --quota-backend-bytes');
  }
}

export class RequestTooLargeError extends RejectedError {
  readonly code = 'ETCD_REQUEST_TOO_LARGE';
  constructor() {
    super('the request exceeds the size limit of etcd: write less at once, or raise --max-request-bytes');
  }
}

export class TooManyOperationsError extends RejectedError {
  readonly code = 'ETCD_TOO_MANY_OPERATIONS';
  constructor() {
    super('the transaction exceeds the operation limit of etcd: write less at once, or raise --max-txn-ops');
  }
}

/** etcd's answer is larger than this program takes. */
export class ResponseTooLargeError extends EtcdError {
  readonly code = 'ETCD_RESPONSE_TOO_LARGE';
  constructor(detail: string) {
    super(`the response of etcd is too large (${detail}): list smaller pages, or remove the large value`);
  }
}

/** What all remote etcds have sent at once is more than this program takes; the connection that held most of it was dropped. */
export class ReceiveBudgetError extends ConnectionError {
  readonly code = 'ETCD_RECEIVE_BUDGET';
  constructor(name: string, bytes: number, maxBytes: number) {
    super(
      `etcd ${name} sent ${bytes} bytes faster than they were processed, the limit for all remote etcds is ${maxBytes}: check what fills it`,
    );
  }
}

export class LeaseNotFoundError extends RejectedError {
  readonly code = 'ETCD_LEASE_NOT_FOUND';
  constructor() {
    super('lease not found: it expired or was revoked; grant a new one');
  }
}

/** The condition of a transaction failed; nothing was applied. */
export class ConditionFailedError extends RejectedError {
  readonly code = 'ETCD_CONDITION_FAILED';
  constructor() {
    super('etcd did not apply the transaction: its condition failed');
  }
}

export class PermissionDeniedError extends RejectedError {
  readonly code = 'ETCD_PERMISSION_DENIED';
  override readonly retriable = true;
  constructor() {
    super(
      "the etcd user lacks the permission: extend its role to this key; the user is the username of the configuration, or the client certificate's common name",
    );
  }
}

export class UnauthenticatedError extends RejectedError {
  readonly code = 'ETCD_UNAUTHENTICATED';
  override readonly retriable = true;
  constructor(detail: string) {
    const remedy = /authentication failed/.test(detail)
      ? 'correct username and password of the etcd configuration'
      : 'give a client certificate whose common name is an etcd user, or username and password';
    super(`etcd authentication failed (${detail}): ${remedy}`);
  }
}

/** Users or roles changed during the request; it was not applied. */
export class AuthRevisionError extends RejectedError {
  readonly code = 'ETCD_AUTH_REVISION';
  override readonly retriable = true;
  constructor() {
    super('users or roles of etcd changed during the request; retry it');
  }
}

/** A user, role or permission that a call is about does not exist. */
export class AuthNotFoundError extends EtcdError {
  readonly code = 'ETCD_AUTH_NOT_FOUND';
  constructor(detail: string) {
    super(`user or role not found in etcd (${detail}): create it first`);
  }
}

/** The user or role to add already exists. */
export class AuthExistsError extends EtcdError {
  readonly code = 'ETCD_AUTH_EXISTS';
  constructor(detail: string) {
    super(`user or role already exists in etcd (${detail}): change it, or delete it first`);
  }
}

/** A change of users that etcd rejects with any permissions, such as deleting root while authentication is enabled. */
export class AuthRefusedError extends EtcdError {
  readonly code = 'ETCD_AUTH_REFUSED';
  constructor(detail: string) {
    super(`etcd rejected the change of users or roles: ${detail}`);
  }
}

export class AuthNotEnabledError extends EtcdError {
  readonly code = 'ETCD_AUTH_NOT_ENABLED';
  constructor() {
    super('authentication is disabled in this etcd: every client has full access; initialize it with etcdinit');
  }
}

/** The member that a call is about does not exist. */
export class MemberNotFoundError extends EtcdError {
  readonly code = 'ETCD_MEMBER_NOT_FOUND';
  constructor(detail: string) {
    super(`no such member of the etcd cluster (${detail}): list the members`);
  }
}

/** A change of the members that etcd rejects in its present state. */
export class MembershipRefusedError extends EtcdError {
  readonly code = 'ETCD_MEMBERSHIP_REFUSED';
  override readonly retriable = true;
  constructor(detail: string) {
    super(`etcd rejected the change of its members (${detail}): check that all other members are running`);
  }
}

/** This etcd does not support the call: it is too old. */
export class UnknownCallError extends EtcdError {
  readonly code = 'ETCD_UNKNOWN_CALL';
  constructor(detail: string) {
    super(`etcd does not support the call (${detail}): upgrade etcd`);
  }
}

/** What etcd sent is no valid message, or one that cannot be true. */
export class MalformedResponseError extends ConnectionError {
  readonly code = 'ETCD_MALFORMED_RESPONSE';
  constructor(detail: string) {
    super(`malformed response from etcd: ${detail}`);
  }
}

export class ReadOnlyError extends RejectedError {
  readonly code = 'ETCD_READ_ONLY';
  constructor(name: string) {
    super(`the client of etcd ${name} is read-only`);
  }
}

export class ClosedError extends EtcdError {
  readonly code = 'ETCD_CLOSED';
  constructor() {
    super('the etcd client was closed');
  }
}

/** An error this program has no name for. */
export class UnexpectedStatusError extends ConnectionError {
  readonly code = 'ETCD_UNEXPECTED_STATUS';
  readonly grpcCode: number;
  constructor(grpcCode: number, detail: string) {
    super(`etcd answered ${grpcCodeName(grpcCode)}: ${detail}`);
    this.grpcCode = grpcCode;
  }
}

/** What names the cause of a failed connection, by the error of a call. */
export function checkOf(error: Error): PodCheckId {
  if (error instanceof EtcdConfigError) return 'config-file';
  if (error instanceof CredentialsError) return 'certificate-file';
  if (error instanceof PermissionDeniedError || error instanceof UnauthenticatedError) return 'permission';
  if (error instanceof NoLeaderError) return 'etcd-leader';
  if (error instanceof ClusterChangedError) return 'load-balancer';
  return CHECKS_BY_TEXT.find(([pattern]) => pattern.test(error.message))?.[1] ?? 'etcd-unavailable';
}

/** Of Node, of OpenSSL and of this program's dialer. */
const CHECKS_BY_TEXT: readonly (readonly [RegExp, PodCheckId])[] = [
  [/\b(ENOTFOUND|ENODATA|EAI_AGAIN)\b|DNS has no address/, 'dns'],
  [/\bECONNREFUSED\b/, 'tcp-refused'],
  [/\b(EHOSTUNREACH|ENETUNREACH)\b/, 'tcp-route'],
  [/\bETIMEDOUT\b|no connection to |no answer from /, 'tcp-silent'],
  [/CERT_HAS_EXPIRED/, 'tls-expired'],
  [/CERT_NOT_YET_VALID/, 'tls-not-yet-valid'],
  [/ERR_TLS_CERT_ALTNAME_INVALID/, 'tls-name'],
  [/INVALID_PURPOSE/, 'tls-usage'],
  [/alert number (4[2-689]|116)|tlsv1[23]? alert|sslv3 alert/, 'tls-client'],
  [/wrong version number|packet length too long/, 'tls-mismatch'],
  [/is not trusted|SELF_SIGNED_CERT|UNABLE_TO_(GET|VERIFY)/, 'tls-ca'],
  [/, but no response within|before secure TLS connection/, 'tls-handshake'],
  [/\bECONNRESET\b|the connection was closed/, 'tcp-closed'],
];

/** What a call was about, for the messages. */
export interface CallContext {
  readonly what: string;
  readonly timeoutMs: number;
  /** The requested revision of a range or watch. */
  readonly revision?: Revision;
}

type Maker = (detail: string, context: CallContext) => EtcdError;

const NO_REVISION = 0 as Revision;

/** Texts decide before codes: etcd uses a code for several causes, and watches report a text alone. */
const BY_TEXT: readonly (readonly [RegExp, Maker])[] = [
  [/required revision has been compacted/, (_, { revision = NO_REVISION }) => new CompactedError(revision)],
  [/required revision is a future revision/, (_, { revision = NO_REVISION }) => new FutureRevisionError(revision)],
  [/database space exceeded/, () => new NoSpaceError()],
  [/too many operations in txn request/, () => new TooManyOperationsError()],
  [/request is too large|grpc: received message larger than max/, () => new RequestTooLargeError()],
  [/too many requests/, () => new TooManyRequestsError()],
  [/requested lease not found/, () => new LeaseNotFoundError()],
  [/no leader|leader changed|not leader|unhealthy cluster/, (detail) => new NoLeaderError(detail)],
  [/permission denied/, () => new PermissionDeniedError()],
  [/(user|role) name already exists/, (detail) => new AuthExistsError(detail)],
  [/(user|role) name not found|is not granted to the (user|role)/, (detail) => new AuthNotFoundError(detail)],
  [
    /root user does not|invalid auth management|role name is empty|permission not given/,
    (detail) => new AuthRefusedError(detail),
  ],
  [/member not found/, (detail) => new MemberNotFoundError(detail)],
  [
    /re-configuration failed|Peer URLs already exists|member ID already exist|only promote a learner|too many learner/,
    (detail) => new MembershipRefusedError(detail),
  ],
  [/authentication is not enabled/, () => new AuthNotEnabledError()],
  [/user name is empty|invalid auth token|authentication failed|auth: token/, (detail) => new UnauthenticatedError(detail)],
  [/unknown (method|service) /, (detail) => new UnknownCallError(detail)],
  [/revision of auth store is old/, () => new AuthRevisionError()],
];

const BY_CODE: Readonly<Partial<Record<number, Maker>>> = {
  [GRPC.UNAVAILABLE]: (detail) => (TLS_TEXT.test(detail) ? new TlsError(detail) : new UnavailableError(detail)),
  [GRPC.CANCELLED]: (detail) => new UnavailableError(detail),
  [GRPC.DEADLINE_EXCEEDED]: (_, { what, timeoutMs }) => new DeadlineError(what, timeoutMs),
  [GRPC.PERMISSION_DENIED]: () => new PermissionDeniedError(),
  [GRPC.UNAUTHENTICATED]: (detail) => new UnauthenticatedError(detail),
};

/** Texts of OpenSSL and Node for failed handshakes and certificates; the status of such a failure is UNAVAILABLE. */
const TLS_TEXT = /certificate|SSL routines|\bTLS\b|altname|wrong version number|ssl3_|tls_/i;

/** The typed error for a gRPC status that is not OK. */
export function errorOfStatus({ status, details }: Pick<GrpcStatusError, 'status' | 'details'>, context: CallContext): EtcdError {
  const detail = printable(details, MAX_ETCD_TEXT_LENGTH);
  const make = makerFor(detail) ?? BY_CODE[status];
  return make === undefined ? new UnexpectedStatusError(status, detail) : make(detail, context);
}

/** The typed error for the reason that a watch was cancelled with; etcd gives a text there and no code. */
export function errorOfCancelReason(reason: string, context: CallContext): EtcdError {
  const detail = printable(reason, MAX_ETCD_TEXT_LENGTH);
  const make = makerFor(detail);
  return make === undefined ? new UnexpectedStatusError(GRPC.CANCELLED, detail || 'no reason given') : make(detail, context);
}

function makerFor(text: string): Maker | undefined {
  return BY_TEXT.find(([pattern]) => pattern.test(text))?.[1];
}
