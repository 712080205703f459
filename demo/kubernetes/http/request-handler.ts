/**
 * From a request to the part of the API that answers it.
 */
import type { Clock } from '../../../src/shared/time/clock.ts';
import type { KindRegistry } from '../kinds/kind-registry.ts';
import type { KubernetesObject } from '../objects/kubernetes-object.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { listObjects } from '../reading/object-list.ts';
import { isSet, openWatch } from '../reading/object-watch.ts';
import type { ResourceRequests } from '../writing/resource-requests.ts';
import { discover } from './discovery.ts';
import type { HttpExchange } from './http-exchange.ts';
import { openApi } from './openapi.ts';
import { formOf, type Representation, representList, representOne } from './representation.ts';
import { parseResourcePath, type ResourcePath } from './resource-path.ts';
import { badRequest, methodNotAllowed, noSuchPath, StatusError } from './status-error.ts';

export interface Api {
  readonly store: ObjectStore;
  readonly kinds: KindRegistry;
  readonly requests: ResourceRequests;
  readonly clock: Clock;
  readonly bookmarkIntervalMs: number;
}

const HEALTH_PATHS = ['/healthz', '/livez', '/readyz'];

/** Answers one request; whatever is refused is answered as a Status. */
export async function handle(api: Api, exchange: HttpExchange): Promise<void> {
  try {
    await route(api, exchange);
  } catch (error) {
    if (exchange.signal.aborted || exchange.isAnswering) {
      exchange.endStream();
      return;
    }
    const status = error instanceof StatusError ? error : internalError(error);
    const { retryAfterSeconds } = status.details;
    const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
    exchange.answer(status.httpCode, status.toStatus(), status.httpCode === 413 ? { connection: 'close' } : headers);
  }
}

async function route(api: Api, exchange: HttpExchange): Promise<void> {
  const { pathname } = exchange;
  if (HEALTH_PATHS.includes(pathname)) return exchange.answerText(200, 'ok');
  const path = parseResourcePath(pathname, api.kinds);
  if (path !== undefined) return answerResource(api, exchange, path);
  if (exchange.method !== 'GET') throw noSuchPath();
  const found = pathname.startsWith('/openapi/v3') ? openApi(pathname, api.kinds) : discover(pathname, api.kinds, exchange.host);
  if (found === undefined) throw noSuchPath();
  exchange.answer(200, found);
}

async function answerResource(api: Api, exchange: HttpExchange, path: ResourcePath): Promise<void> {
  const { method, query } = exchange;
  const as = representationOf(api, exchange);
  const one = (code: number, object: KubernetesObject) => exchange.answer(code, representOne(path, object, as));
  if (method === 'GET') {
    if (isSet(query.get('watch'))) return watch(api, exchange, path, as);
    if (path.name !== '') return one(200, api.requests.get(path));
    const { objects, meta } = listObjects(api.store, path, query);
    return exchange.answer(200, representList(path, objects, meta, as));
  }
  if (query.has('dryRun')) throw badRequest('a dry run is not supported');
  const isCollection = path.name === '';
  if (method === 'POST' && isCollection) {
    if (path.kind.namespaced && path.namespace === '') throw badRequest('an object of a namespace is created in its namespace');
    return one(201, api.requests.create(path, await exchange.body()));
  }
  if (method === 'PUT' && !isCollection) return one(200, api.requests.replace(path, await exchange.body()));
  if (method === 'PATCH' && !isCollection) return one(200, api.requests.patch(path, exchange.contentType, await exchange.body()));
  if (method === 'DELETE' && !isCollection && path.subresource === '') {
    const { preconditions } = await exchange.body();
    if (preconditions !== undefined) throw badRequest('preconditions of a delete are not supported');
    return one(200, api.requests.delete(path));
  }
  throw methodNotAllowed(method);
}

async function watch(api: Api, exchange: HttpExchange, path: ResourcePath, as: Representation): Promise<void> {
  const { query, signal } = exchange;
  const run = openWatch(api.store, api.kinds, { path, query, as, bookmarkIntervalMs: api.bookmarkIntervalMs });
  exchange.beginStream();
  await run(exchange, signal);
  exchange.endStream();
}

function representationOf(api: Api, { accept, query }: HttpExchange): Representation {
  const asked = query.get('includeObject');
  const rowObject = asked === 'None' || asked === 'Object' ? asked : 'Metadata';
  return { form: formOf(accept), rowObject, nowMs: api.clock.nowMs() };
}

function internalError(error: unknown): StatusError {
  return new StatusError(
    500,
    'InternalError',
    `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`,
  );
}
