/**
 * A small Kubernetes API server with scripted faults.
 *
 * It keeps collections of objects with resource versions and a history, and serves lists (whole, in
 * pages, streamed) and watches like the real one. A fault takes a request over, or spoils its answer.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Collection, type HistoryEvent } from './fake-collection.ts';

export interface SeenRequest {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
}

/** True where the fault has answered, or will. */
export type Fault = (request: SeenRequest, response: ServerResponse) => boolean;

interface Watcher {
  readonly request: SeenRequest;
  readonly response: ServerResponse;
}

export class FakeApiserver implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  readonly sockets = new Set<Socket>();
  readonly watchers = new Set<Watcher>();
  /** Tried in order on each request; the first that takes it wins. */
  readonly faults: Fault[] = [];
  /** `refused` as by a server that supports the parameter, `ignored` as by one that does not. */
  streamingLists: 'served' | 'refused' | 'ignored' = 'served';
  /** Connections accepted so far. */
  accepted = 0;
  readonly #server: Server;
  #port = 0;
  readonly #collections = new Map<string, Collection>();

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.accepted += 1;
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  /** Listens on a free port; `server` may be one with TLS. */
  static async start(server: Server = createServer()): Promise<FakeApiserver> {
    const fake = new FakeApiserver(server);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => fake.#serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    fake.#port = (server.address() as AddressInfo).port;
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get lists(): SeenRequest[] {
    return this.requests.filter(({ path, query }) => path !== '/version' && !query.has('watch'));
  }

  get watches(): SeenRequest[] {
    return this.requests.filter(({ query }) => query.has('watch'));
  }

  /** The collection at `path`, which from now on exists. */
  collection(path: string): Collection {
    let collection = this.#collections.get(path);
    if (collection === undefined) {
      const created: Collection = new Collection((event) => this.#tell(created, event));
      collection = created;
      this.#collections.set(path, collection);
    }
    return collection;
  }

  /** The objects at `path` are served at `alias` too, as in another version of their kind. */
  alias(alias: string, path: string): void {
    this.#collections.set(alias, this.collection(path));
  }

  /** The collection at `path` is no longer served, as when its CRD is deleted. */
  drop(path: string): void {
    this.#collections.delete(path);
    this.endWatches();
  }

  /** The next `times` requests that `matches` get this answer. */
  fail(matches: (request: SeenRequest) => boolean, answer: Fault, times = 1): void {
    let left = times;
    const fault: Fault = (request, response) => {
      if (left === 0 || !matches(request)) return false;
      left -= 1;
      return answer(request, response);
    };
    this.faults.push(fault);
  }

  /** Ends every watch in order. */
  endWatches(): void {
    for (const { response } of this.watchers) response.end();
  }

  /** Resets the connection of every watch. */
  cutWatches(): void {
    for (const { response } of this.watchers) response.socket?.resetAndDestroy();
  }

  /** Writes `text` into every watch, as it is. */
  writeToWatches(text: string): void {
    for (const { response } of this.watchers) response.write(text);
  }

  bookmark(path: string): void {
    this.writeToWatches(eventLine('BOOKMARK', bookmarkOf(this.collection(path).version)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://fake');
    const seen: SeenRequest = { path: url.pathname, query: url.searchParams, headers: request.headers };
    this.requests.push(seen);
    // A client that goes away is no concern of this server.
    response.on('error', () => undefined);
    for (const fault of this.faults) if (fault(seen, response)) return;

    this.#answer(seen, response);
  }

  #answer(request: SeenRequest, response: ServerResponse): boolean {
    if (request.path === '/version') return sendJson(response, 200, { gitVersion: 'v1.34.0-fake' });
    const collection = this.#collections.get(request.path);
    if (collection === undefined)
      return sendStatus(response, 404, 'NotFound', 'the server could not find the requested resource');
    return request.query.has('watch') ? this.#watch(collection, request, response) : list(collection, request, response);
  }

  #watch(collection: Collection, request: SeenRequest, response: ServerResponse): boolean {
    const isStreaming = request.query.get('sendInitialEvents') === 'true';
    if (isStreaming && this.streamingLists === 'refused') {
      return sendStatus(response, 422, 'Invalid', 'sendInitialEvents is forbidden for watch');
    }
    const from = Number(request.query.get('resourceVersion') ?? '0');
    if (from > collection.version) return sendFutureVersion(response);
    if (!isStreaming && from < collection.compacted) return sendStatus(response, 410, 'Expired', 'too old resource version');
    const watcher: Watcher = { request, response };
    this.watchers.add(watcher);
    response.once('close', () => this.watchers.delete(watcher));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (!isStreaming) {
      for (const event of collection.after(from)) response.write(eventLine(event.type, event.object));
      return true;
    }
    for (const object of collection.objects.values()) response.write(eventLine('ADDED', object));
    const isMarked = this.streamingLists === 'served';
    response.write(eventLine('BOOKMARK', bookmarkOf(collection.version, isMarked)));
    return true;
  }

  #tell(collection: Collection, event: HistoryEvent): void {
    for (const { request, response } of this.watchers) {
      if (this.#collections.get(request.path) === collection) response.write(eventLine(event.type, event.object));
    }
  }
}

export function sendJson(response: ServerResponse, code: number, body: unknown, headers: Record<string, string> = {}): true {
  response.writeHead(code, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
  return true;
}

export function sendStatus(
  response: ServerResponse,
  code: number,
  reason: string,
  message = '',
  headers: Record<string, string> = {},
): true {
  return sendJson(response, code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message }, headers);
}

/** A response with this status to every request. */
export function status(code: number, reason: string, headers: Record<string, string> = {}): Fault {
  return (_, response) => sendStatus(response, code, reason, '', headers);
}

export function eventLine(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function bookmarkOf(version: number, endsInitialEvents = false): object {
  const annotations = endsInitialEvents ? { 'k8s.io/initial-events-end': 'true' } : undefined;
  return { kind: 'Bookmark', metadata: { resourceVersion: String(version), annotations } };
}

function sendFutureVersion(response: ServerResponse): true {
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
  const message = 'Timeout: Too large resource version';
  return sendJson(response, 504, {
    kind: 'Status',
    code: 504,
    reason: 'Timeout',
    message,
    details: { causes, retryAfterSeconds: 1 },
  });
}

function list(collection: Collection, { query }: SeenRequest, response: ServerResponse): boolean {
  const token = query.get('continue') ?? '';
  if (Number(query.get('resourceVersion') ?? '0') > collection.version) return sendFutureVersion(response);
  const page = collection.page(token, Number(query.get('limit') ?? '0'));
  if (page === undefined) return sendStatus(response, 410, 'Expired', 'the continue token is too old');
  const metadata = { resourceVersion: String(page.version), continue: page.next };
  return sendJson(response, 200, { kind: 'List', apiVersion: 'v1', metadata, items: page.objects });
}
