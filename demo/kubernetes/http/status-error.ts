/**
 * Refusals of the API, each a Kubernetes Status object.
 */
import { ProgramError } from '../../../src/shared/errors.ts';

/** One thing that is wrong with a request, as `details.causes` has it. */
export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly causes?: readonly Cause[];
  readonly retryAfterSeconds?: number;
}

/** The names of a resource in messages and details. */
export interface ResourceName {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

/** A request the API refuses. `code` is the Status reason, `httpCode` the status of the answer. */
export class StatusError extends ProgramError {
  readonly code: string;
  readonly httpCode: number;
  readonly retriable: boolean;
  readonly details: StatusDetails;

  constructor(httpCode: number, code: string, message: string, details: StatusDetails = {}) {
    super(message);
    this.httpCode = httpCode;
    this.code = code;
    this.retriable = httpCode === 429 || httpCode >= 500;
    this.details = details;
  }

  /** The body of the answer. */
  toStatus() {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.code,
      details: this.details,
      code: this.httpCode,
    };
  }
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message);
}

export function notFound(resource: ResourceName, name: string): StatusError {
  return new StatusError(404, 'NotFound', `${qualified(resource)} "${name}" not found`, detailsOf(resource, name));
}

/** The path leads nowhere: no such kind, version or endpoint. */
export function noSuchPath(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource');
}

export function alreadyExists(resource: ResourceName, name: string): StatusError {
  return new StatusError(409, 'AlreadyExists', `${qualified(resource)} "${name}" already exists`, detailsOf(resource, name));
}

export function conflict(resource: ResourceName, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`;
  return new StatusError(409, 'Conflict', message, detailsOf(resource, name));
}

export function invalid(resource: ResourceName, name: string, causes: readonly Cause[]): StatusError {
  const list = causes.map((cause) => `${cause.field ?? '<nil>'}: ${cause.message}`);
  const text = list.length === 1 ? (list[0] ?? '') : `[${list.join(', ')}]`;
  const kind = resource.group === '' ? resource.kind : `${resource.kind}.${resource.group}`;
  const details = { name, group: resource.group, kind: resource.kind, causes };
  return new StatusError(422, 'Invalid', `${kind} "${name}" is invalid: ${text}`, details);
}

/** An option of the request itself that cannot be. */
export function invalidOptions(field: string, message: string): StatusError {
  const options = { group: 'meta.k8s.io', plural: '', kind: 'RequestOptions' };
  return invalid(options, '', [{ reason: 'FieldValueInvalid', message, field }]);
}

/** The history asked for was compacted away. */
export function expired(asked: number, oldest: number): StatusError {
  return new StatusError(410, 'Expired', `too old resource version: ${asked} (${oldest})`);
}

/** The rest of a paged list was compacted away. */
export function continueExpired(): StatusError {
  const message =
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.';
  return new StatusError(410, 'Expired', message);
}

export function tooLargeResourceVersion(asked: number, current: number): StatusError {
  const cause = { reason: 'ResourceVersionTooLarge', message: 'Too large resource version' };
  return new StatusError(504, 'Timeout', `Too large resource version: ${asked}, current: ${current}`, {
    causes: [cause],
    retryAfterSeconds: 1,
  });
}

export function methodNotAllowed(method: string): StatusError {
  return new StatusError(405, 'MethodNotAllowed', `the server does not allow ${method} on the requested resource`);
}

export function unsupportedMediaType(type: string): StatusError {
  const remedy = 'this server reads JSON and merge patches, as kubectl create -f, apply and annotate send them';
  return new StatusError(415, 'UnsupportedMediaType', `the body of the request was in an unknown format: "${type}"; ${remedy}`);
}

export function bodyTooLarge(limitBytes: number): StatusError {
  return new StatusError(413, 'RequestEntityTooLarge', `the request is larger than ${limitBytes} bytes`);
}

function qualified(resource: ResourceName): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}

function detailsOf(resource: ResourceName, name: string): StatusDetails {
  return { name, group: resource.group, kind: resource.plural };
}
