/**
 * The HTTP servers of a daemon: health, metrics, and a small read-only JSON API.
 *
 * Each has its own port, as deployments expect. All are plain HTTP, read-only, and answer from
 * memory; a request body is never read. None sends a header that allows pages of other origins to read it, and all but
 * `/readyz`, which has no details, check the host name of the request: see allowed-hosts.ts.
 */
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { ProgramError } from '../errors.ts';
import { HTTP_ANSWER_TIMEOUT_MS, HTTP_REQUEST_TIMEOUT_MS, MAX_HTTP_CONNECTIONS } from '../limits.ts';
import { onAbort } from '../time/abort.ts';
import { allowedHosts, readSearchDomains } from './allowed-hosts.ts';
import { type EventStreamOptions, EventStreams } from './event-stream.ts';
import type { Health } from './health.ts';
import { joinInSlices, jsonPieces } from './in-slices.ts';
import { formatListenAddress, type ListenAddress } from './listen-address.ts';
import type { Registry } from './metrics.ts';

/** A server cannot listen on the address of its flag. */
export class ListenError extends ProgramError {
  readonly code = 'LISTEN_FAILED';
  readonly retriable = false;
}

export interface HttpServer {
  readonly port: number;
  /** Idempotent; open connections are cut. */
  close(): Promise<void>;
}

export interface ListenOptions {
  readonly address: ListenAddress;
  /** Additional allowed host names of the server. */
  readonly allowedHosts?: readonly string[];
  /** The flag that chose the address, for the message where it cannot be had. */
  readonly flag: string;
  /** The server closes when it is aborted. */
  readonly signal: AbortSignal;
}

const TEXT = 'text/plain; charset=utf-8';

/**
 * `/readyz`: 200 `Ready` or 500 `NotReady`. `/healthz`: 200 `ok`, or 500 with a line for each problem.
 * `/livez`: the same text, but always 200: the process responds, and a restart would fix none of the
 * problems. Everything else is 404.
 */
export async function serveHealth(health: Health, options: ListenOptions): Promise<HttpServer> {
  const app = createApp();
  await refuseForeignHosts(app, options, (reply, reason) => reply.type(TEXT).send(`${reason}\n`));
  app.setNotFoundHandler(notFound);
  app.get('/readyz', (_, reply) =>
    reply
      .code(health.ready ? 200 : 500)
      .type(TEXT)
      .send(health.ready ? 'Ready' : 'NotReady'),
  );
  for (const [path, unwell] of [
    ['/livez', 200],
    ['/healthz', 500],
  ] as const) {
    app.get(path, (_, reply) => {
      const problems = health.publicProblems();
      return reply
        .code(health.isWell ? 200 : unwell)
        .type(TEXT)
        .send(problems.length === 0 ? 'ok' : `${problems.join('\n')}\n`);
    });
  }
  return listen(app, options);
}

/** `/metrics` in the text format of Prometheus. */
export async function serveMetrics(registry: Registry, options: ListenOptions): Promise<HttpServer> {
  const app = createApp();
  await refuseForeignHosts(app, options, (reply, reason) => reply.type(TEXT).send(`${reason}\n`));
  app.setNotFoundHandler(notFound);
  const scrape = atOnce(() => registry.render());
  app.get('/metrics', async (_, reply) => reply.type(registry.contentType).send(await scrape()));
  return listen(app, options);
}

/** A file of a page, such as a script. */
export interface PageFile {
  readonly type: string;
  readonly body: string;
}

export interface JsonServerOptions extends ListenOptions {
  /** Files of a page by path, served with a policy that permits nothing but these files and this API. */
  readonly files?: Readonly<Record<string, PageFile>>;
  /** Server-sent events by path. */
  readonly streams?: Readonly<Record<string, EventStreamOptions>>;
}

/**
 * A read-only JSON API: `resources` returns the response of each path at the time of the request, or a promise of it; an
 * iterable is read while the response is written.
 * Errors have the form `{"code":404,"message":"…"}`, and each connection serves one request, as in
 * the original.
 */
export async function serveJson(
  resources: Readonly<Record<string, () => unknown>>,
  options: JsonServerOptions,
): Promise<HttpServer> {
  const { files = {}, streams = {}, signal } = options;
  const app = createApp();
  app.addHook('onRequest', (_, reply, done) => {
    reply.header('connection', 'close').type('application/json');
    done();
  });
  await refuseForeignHosts(app, options, (reply, message) => reply.send(JSON.stringify({ code: FORBIDDEN, message })));
  for (const [path, read] of Object.entries(resources)) {
    const answer = atOnce(async () => Buffer.concat([await joinInSlices(jsonPieces(await read())), LINE_BREAK]));
    app.get(path, async (_, reply) => reply.send(await answer()));
  }
  for (const [path, { type, body }] of Object.entries(files))
    app.get(path, (_, reply) => reply.headers(PAGE_HEADERS).type(type).send(body));
  for (const [path, stream] of Object.entries(streams)) addStream(app, path, new EventStreams(stream), signal);
  const paths = new Set([resources, files, streams].flatMap(Object.keys));
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.replace(/\?.*/s, '');
    const isKnown = paths.has(path);
    const code = isKnown ? 405 : 404;
    const message = isKnown ? `method ${request.method} is not allowed, but [GET] are` : `path ${path} was not found`;
    if (isKnown) reply.header('allow', 'GET');
    return reply.code(code).send(JSON.stringify({ code, message }));
  });
  return listen(app, options);
}

const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
];

/** A page loads nothing from elsewhere, and is part of no other page. */
const PAGE_HEADERS = {
  'content-security-policy': PAGE_POLICY.join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

function addStream(app: FastifyInstance, path: string, streams: EventStreams, signal: AbortSignal): void {
  app.get(path, (request, reply) => {
    // A page of another origin cannot read it, but could take all of them.
    if (/^(?:cross|same)-site$/.test(String(request.headers['sec-fetch-site']))) {
      const message = 'a page of another origin may not read this';
      return reply.code(FORBIDDEN).send(JSON.stringify({ code: FORBIDDEN, message }));
    }
    if (streams.isFull) {
      const message = 'too many streams are open; close other pages';
      return reply
        .code(UNAVAILABLE)
        .header('retry-after', '10')
        .send(JSON.stringify({ code: UNAVAILABLE, message }));
    }
    reply.hijack();
    // The limits of time are for answers that end.
    withoutDeadline(request);
    request.raw.socket.setTimeout(0);
    return streams.serve(reply.raw, new URL(request.url, 'http://page').searchParams, signal);
  });
}

/** No route has a schema. Unless it is given compilers of schemas, Fastify loads some, which take megabytes. */
const NO_SCHEMAS = { buildValidator: noCompiler, buildSerializer: noCompiler };

function noCompiler(): never {
  throw new TypeError('routes have no schemas');
}

function createApp(): FastifyInstance {
  const app = fastify({
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    requestTimeout: HTTP_REQUEST_TIMEOUT_MS,
    connectionTimeout: HTTP_REQUEST_TIMEOUT_MS,
    schemaController: { compilersFactory: NO_SCHEMAS },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null));
  boundAnswers(app);
  return app;
}

/** Concurrent callers share the call in flight. */
function atOnce<T>(make: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined;
  return () => {
    underWay ??= make().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}

const LINE_BREAK = Buffer.from('\n');
const FORBIDDEN = 403;
const UNAVAILABLE = 503;

/** A probe of `/readyz` may call it as it likes: readiness is no secret, and a probe that fails takes the Pod out of service. */
const ANY_HOST = ['/readyz'];

async function refuseForeignHosts(
  app: FastifyInstance,
  { allowedHosts: added = [] }: ListenOptions,
  refuse: (reply: FastifyReply, reason: string) => FastifyReply,
): Promise<void> {
  const isAllowed = allowedHosts({ hostname: hostname(), searchDomains: await readSearchDomains(), added });
  app.addHook('onRequest', (request, reply, done) => {
    if (isAllowed(request.headers.host) || ANY_HOST.includes(request.url)) done();
    else refuse(reply.code(FORBIDDEN), 'unknown host name; use an IP address of this server, or add the name to --allowed-hosts');
  });
}

/** A client that reads its answer slowly is cut off, and holds no other one up. */
function boundAnswers(app: FastifyInstance): void {
  app.server.maxConnections = MAX_HTTP_CONNECTIONS;
  app.addHook('onRequest', (request, reply, done) => {
    const timer = setTimeout(() => request.raw.socket.destroy(), HTTP_ANSWER_TIMEOUT_MS).unref();
    deadlines.set(request.raw, timer);
    reply.raw.once('close', () => clearTimeout(timer));
    done();
  });
}

const deadlines = new WeakMap<FastifyRequest['raw'], NodeJS.Timeout>();

function withoutDeadline({ raw }: FastifyRequest): void {
  clearTimeout(deadlines.get(raw));
}

function notFound(_request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.code(404).type(TEXT).send('404 page not found\n');
}

async function listen(app: FastifyInstance, options: ListenOptions): Promise<HttpServer> {
  const { address, flag, signal } = options;
  signal.throwIfAborted();
  await listenOn(app, address).catch((thrown: unknown) => {
    throw new ListenError(`flag --${flag}: cannot listen on ${formatListenAddress(address)}: ${reason(thrown)}`, {
      cause: thrown,
    });
  });
  const unlink = onAbort(signal, () => void app.close());
  return {
    port: (app.server.address() as AddressInfo).port,
    close: async () => {
      unlink();
      await app.close();
    },
  };
}

/** All addresses means IPv6 and IPv4 through one socket, or IPv4 where the machine has no IPv6. */
async function listenOn(app: FastifyInstance, { host, port }: ListenAddress): Promise<void> {
  try {
    await app.listen({ host: host ?? '::', port });
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (host !== undefined || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw thrown;
    await app.listen({ host: '0.0.0.0', port });
  }
}

function reason(thrown: unknown): string {
  const { code, message } = thrown as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return 'the port is in use; free it or choose another';
  if (code === 'EACCES') return 'not permitted; choose a port from 1024';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'the host name does not resolve';
  if (code === 'EADDRNOTAVAIL') return 'the address does not belong to this host';
  return message;
}
