/**
 * A Kubernetes `Status`, as the body of a failed request or as the object of an ERROR event, converted
 * to a typed error.
 */

import {
  type KubeError,
  KubeExpiredError,
  KubeForbiddenError,
  KubeFutureVersionError,
  KubeMissingError,
  KubeStatusError,
  KubeThrottledError,
  KubeUnauthorizedError,
} from '../errors.ts';
import { MAX_KUBE_RETRY_AFTER_MS } from '../limits.ts';
import { recordOf } from './json.ts';
import { type Resource, resourceName } from './resources.ts';

/** What a request was for, so that its error can name it. */
export type RequestPurpose =
  | { readonly verb: 'list' | 'watch'; readonly resource: Resource }
  | { readonly verb: 'get' | 'create' | 'update' | 'patch' | 'delete'; readonly what: string };

/** `list ciliumnodes.cilium.io`. */
export function purposeText(purpose: RequestPurpose): string {
  return `${purpose.verb} ${'what' in purpose ? purpose.what : resourceName(purpose.resource)}`;
}

interface Status {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterSeconds: number | undefined;
  readonly causes: readonly string[];
}

/**
 * The error of HTTP status `code` with `body`, which may be a Status, anything else, or nothing.
 * `retryAfter` is the header of that name.
 */
export function statusError(purpose: RequestPurpose, code: number, body: unknown, retryAfter?: string): KubeError {
  const status = readStatus(body, code);
  const what = purposeText(purpose);
  const told = `cannot ${what}: ${status.message || status.reason || `status ${status.code}`}`;
  const seconds = wholeSeconds(retryAfter) ?? status.retryAfterSeconds;
  const retryAfterMs = seconds === undefined ? undefined : Math.min(seconds * 1000, MAX_KUBE_RETRY_AFTER_MS);

  if (isFutureVersion(status)) return new KubeFutureVersionError(`${told}; list again`);
  if (status.code === 410 || status.reason === 'Expired' || status.reason === 'Gone') {
    return new KubeExpiredError(`${told}; list again`);
  }
  if (status.code === 429 || (status.code === 503 && retryAfterMs !== undefined)) {
    return new KubeThrottledError(told, retryAfterMs);
  }
  if (status.code === 401) return new KubeUnauthorizedError(`cannot ${what}: the API server rejected the credentials`);
  if (status.code === 403) return new KubeForbiddenError(forbiddenText(purpose, status));
  if (status.code === 404) return new KubeMissingError(`cannot ${what}: the API server does not have this resource`);
  return new KubeStatusError(told, status.code);
}

function forbiddenText(purpose: RequestPurpose, status: Status): string {
  const what = purposeText(purpose);
  if ('what' in purpose) return `cannot ${what}: ${status.message || 'forbidden'}`;
  const { group, plural } = purpose.resource;
  return `cannot ${what}: add get, list, watch of ${plural} in API group "${group}" to the ClusterRole`;
}

/** Servers before 1.18.6 send no machine-readable cause, and before 1.17 only the message identifies it. */
function isFutureVersion(status: Status): boolean {
  if (status.causes.includes('ResourceVersionTooLarge')) return true;
  return (status.code === 504 || status.reason === 'Timeout') && /too large resource version/i.test(status.message);
}

function readStatus(body: unknown, code: number): Status {
  const raw = recordOf(body);
  const details = recordOf(raw.details);
  const causes = Array.isArray(details.causes) ? details.causes.map((cause) => recordOf(cause).reason) : [];
  return {
    code: typeof raw.code === 'number' ? raw.code : code,
    reason: typeof raw.reason === 'string' ? raw.reason : '',
    message: typeof raw.message === 'string' ? raw.message.slice(0, 500) : '',
    retryAfterSeconds: typeof details.retryAfterSeconds === 'number' ? details.retryAfterSeconds : undefined,
    causes: causes.filter((reason) => typeof reason === 'string'),
  };
}

function wholeSeconds(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,9}$/.test(header) ? Number(header) : undefined;
}
