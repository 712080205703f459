/**
 * All errors of the Kubernetes API, one class per cause.
 *
 * Messages name the request (`list ciliumnodes.cilium.io`) and, where an operator can do something,
 * the remedy. Tokens, certificates and bodies of responses are never part of a message.
 */
import { ProgramError } from '../errors.ts';

export abstract class KubeError extends ProgramError {
  readonly retriable: boolean = false;
  /** The delay requested by the server, milliseconds. */
  readonly retryAfterMs: number | undefined = undefined;
}

/** The kubeconfig, the in-cluster environment or a server URL cannot be used at all. */
export class KubeConfigError extends KubeError {
  readonly code = 'KUBE_CONFIG';
}

/** A token file, a certificate file or a credential plugin failed; they may recover. */
export class KubeCredentialsError extends KubeError {
  readonly code = 'KUBE_CREDENTIALS';
  override readonly retriable = true;
}

/** No connection, or the connection broke. */
export class KubeUnreachableError extends KubeError {
  readonly code = 'KUBE_UNREACHABLE';
  override readonly retriable = true;
}

/** Nothing came from the server for longer than it had promised to stay silent. */
export class KubeSilenceError extends KubeError {
  readonly code = 'KUBE_SILENCE';
  override readonly retriable = true;
}

/** An answer that is not what the protocol allows: bad JSON, cut in the middle, over a bound. */
export class KubeDecodeError extends KubeError {
  readonly code = 'KUBE_DECODE';
  override readonly retriable = true;
}

/** A status without a class of its own, such as 500. */
export class KubeStatusError extends KubeError {
  readonly code = 'KUBE_STATUS';
  override readonly retriable: boolean;
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
    this.retriable = status >= 500;
  }
}

/** 429, or 503 with a time to wait: the server sheds load. The same request may be sent again after `retryAfterMs`. */
export class KubeThrottledError extends KubeError {
  readonly code = 'KUBE_THROTTLED';
  override readonly retriable = true;
  override readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs: number | undefined) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** 410: the resource version or the continue token is too old. A new list is required. */
export class KubeExpiredError extends KubeError {
  readonly code = 'KUBE_EXPIRED';
}

/** The resource version is one the server has not reached: a lagging replica, or an etcd restored from a backup. */
export class KubeFutureVersionError extends KubeError {
  readonly code = 'KUBE_FUTURE_VERSION';
}

/** 404: the collection does not exist, the usual reason being a CRD that is not installed. */
export class KubeMissingError extends KubeError {
  readonly code = 'KUBE_MISSING';
  override readonly retriable = true;
}

/** 401: the credentials are not, or no longer, accepted. */
export class KubeUnauthorizedError extends KubeError {
  readonly code = 'KUBE_UNAUTHORIZED';
  override readonly retriable = true;
}

/** 403: RBAC denies the request. Retriable, because a role can be changed while the program runs. */
export class KubeForbiddenError extends KubeError {
  readonly code = 'KUBE_FORBIDDEN';
  override readonly retriable = true;
}

/** An object cannot be created because its namespace does not exist. */
export class NamespaceMissingError extends KubeError {
  readonly code = 'KUBE_NAMESPACE';
}

/** The server does not support streaming lists: it rejected or ignored the parameters. */
export class StreamingListUnsupportedError extends KubeError {
  readonly code = 'KUBE_NO_STREAMING_LIST';
}

/** A streaming list that made no progress for a while, and did not end either. */
export class StreamingListStalledError extends KubeError {
  readonly code = 'KUBE_STREAMING_LIST_STALLED';
}

/** CRDs that did not appear in time. */
export class CrdTimeoutError extends KubeError {
  readonly code = 'CRD_TIMEOUT';
  readonly missing: readonly string[];

  constructor(missing: readonly string[], timeoutMs: number, options?: ErrorOptions) {
    super(
      `CRDs missing after ${Math.round(timeoutMs / 1000)} s: ${missing.join(', ')}; ` +
        'is Cilium installed in this cluster, and is its operator running?',
      options,
    );
    this.missing = missing;
  }
}
