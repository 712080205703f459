/**
 * How a gRPC call ends: a code and a text, in the trailers of its HTTP/2 stream.
 *
 * Rules: "gRPC over HTTP2" and "HTTP to gRPC Status Code Mapping" in the documents of gRPC.
 */
import type { IncomingHttpHeaders } from 'node:http2';

export const GRPC = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

const NAMES = new Map<number, string>(Object.entries(GRPC).map(([name, code]) => [code, name]));

const CODE_OF_HTTP_STATUS: Readonly<Partial<Record<number, number>>> = {
  400: GRPC.INTERNAL,
  401: GRPC.UNAUTHENTICATED,
  403: GRPC.PERMISSION_DENIED,
  404: GRPC.UNIMPLEMENTED,
  429: GRPC.UNAVAILABLE,
  502: GRPC.UNAVAILABLE,
  503: GRPC.UNAVAILABLE,
  504: GRPC.UNAVAILABLE,
};

const HTTP_OK = 200;

/** The end of a call that did not succeed. `errorOfStatus` makes a typed error of it. */
export class GrpcStatusError extends Error {
  readonly status: number;
  readonly details: string;

  constructor(status: number, details: string) {
    super(details);
    this.name = 'GrpcStatusError';
    this.status = status;
    this.details = details;
  }
}

/** As gRPC spells it, such as `UNAVAILABLE`; a number that gRPC does not define is shown as such. */
export function grpcCodeName(code: number): string {
  return NAMES.get(code) ?? `status ${code}`;
}

/** The error of a response that is no response to a gRPC call, by its HTTP status; undefined where it is one. */
export function errorOfResponse(headers: IncomingHttpHeaders): GrpcStatusError | undefined {
  const httpStatus = Number(headers[':status']);
  if (httpStatus === HTTP_OK || headers['grpc-status'] !== undefined) return undefined;
  const code = CODE_OF_HTTP_STATUS[httpStatus] ?? GRPC.UNKNOWN;
  return new GrpcStatusError(code, `HTTP status ${httpStatus} instead of an answer`);
}

/** What trailers, or headers without a message, say about the end of a call: undefined where it succeeded. */
export function errorOfTrailers(headers: IncomingHttpHeaders): GrpcStatusError | undefined {
  const code = codeOf(headers['grpc-status']);
  return code === GRPC.OK ? undefined : new GrpcStatusError(code, textOf(headers['grpc-message']));
}

function codeOf(value: string | string[] | undefined): number {
  const code = typeof value === 'string' && /^\d{1,3}$/.test(value) ? Number(value) : GRPC.UNKNOWN;
  return NAMES.has(code) ? code : GRPC.UNKNOWN;
}

/** Percent-encoded by the server; a text that is not is taken as it is. */
function textOf(value: string | string[] | undefined): string {
  if (typeof value !== 'string') return 'no status and no text';
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
