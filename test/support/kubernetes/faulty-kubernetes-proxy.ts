/**
 * An HTTP proxy in front of a Kubernetes API that misbehaves on demand.
 *
 * Its clients need no credentials: it has those of a kubeconfig. Faults take a request over before it is passed on; watches
 * in progress can be ended, silenced, or sent events that the API never sent.
 */
import { createServer, type IncomingMessage, request as plainRequest, type Server, type ServerResponse } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { parse } from 'yaml';

export interface ProxiedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
}

/** True where the fault has answered, or will. */
export type ProxyFault = (request: ProxiedRequest, response: ServerResponse) => boolean;

interface Watch {
  readonly response: ServerResponse;
  readonly upstream: IncomingMessage;
}

interface Target {
  readonly server: string;
  readonly ca: Buffer | undefined;
  readonly token: string | undefined;
}

export class KubeProxy implements AsyncDisposable {
  readonly requests: ProxiedRequest[] = [];
  /** What is done to each request instead of passing it on. */
  fault: ProxyFault | undefined;
  /** Where given, lists that are asked for in pages come in pages of so many objects, as from a server that keeps none in memory. */
  pageSize: number | undefined;
  /** After how many bytes the answer to a request is cut; undefined for a whole one. */
  cutAfterBytes: ((request: ProxiedRequest) => number | undefined) | undefined;
  readonly #target: Target;
  readonly #server: Server;
  readonly #watches = new Set<Watch>();
  #port = 0;

  private constructor(target: Target, server: Server) {
    this.#target = target;
    this.#server = server;
  }

  /** Leads to the server of a kubeconfig, whose text is given. */
  static async start(kubeconfig: string): Promise<KubeProxy> {
    const server = createServer();
    const proxy = new KubeProxy(readTarget(kubeconfig), server);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => proxy.#serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    proxy.#port = (server.address() as AddressInfo).port;
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Watches under way. */
  get watches(): number {
    return this.#watches.size;
  }

  /** Ends every watch in order, after `lastWords`. */
  endWatches(lastWords = ''): void {
    for (const { response } of this.#watches) response.end(lastWords);
  }

  /** The watches in progress deliver nothing any more, without an error. */
  hangWatches(): void {
    for (const { upstream } of this.#watches) upstream.pause();
  }

  /** Refuses connections from now on, and resets those that are open. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.url);
    const seen = { method: request.method ?? 'GET', path: url.pathname, query: url.searchParams, headers: request.headers };
    this.requests.push(seen);
    // A client that goes away is no concern of the proxy.
    response.on('error', () => undefined);
    if (this.fault?.(seen, response) === true) return;
    this.#forward(request, seen, response);
  }

  #forward(request: IncomingMessage, seen: ProxiedRequest, response: ServerResponse): void {
    const { query } = seen;
    const limitBytes = this.cutAfterBytes?.(seen);
    const { server, ca, token } = this.#target;
    const headers = {
      accept: request.headers.accept ?? 'application/json',
      ...pickHeaders(request.headers, ['content-type', 'content-length']),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const url = new URL(request.url ?? '/', server);
    if (this.pageSize !== undefined && query.has('limit')) {
      url.searchParams.set('limit', String(this.pageSize));
      // From its memory the server answers as a whole.
      if (query.get('resourceVersion') === '0') url.searchParams.delete('resourceVersion');
    }
    const options = { method: request.method, headers, agent: false, ...(ca === undefined ? {} : { ca }) };
    const outgoing = url.protocol === 'https:' ? tlsRequest(url, options) : plainRequest(url, options);
    outgoing.once('response', (upstream) => {
      const { statusCode = 502, headers: answered } = upstream;
      response.writeHead(statusCode, { 'content-type': answered['content-type'] ?? 'application/json' });
      response.flushHeaders();
      if (query.has('watch')) this.#remember({ response, upstream });
      upstream.on('error', () => response.destroy());
      upstream.pipe(response);
      if (limitBytes !== undefined) cutAfter(limitBytes, upstream, response);
    });
    outgoing.on('error', () => response.destroy());
    response.once('close', () => outgoing.destroy());
    request.pipe(outgoing);
  }

  #remember(watch: Watch): void {
    this.#watches.add(watch);
    watch.response.once('close', () => this.#watches.delete(watch));
  }
}

function pickHeaders(headers: IncomingMessage['headers'], names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (typeof headers[name] === 'string' ? [[name, headers[name]]] : [])));
}

function cutAfter(limitBytes: number, upstream: IncomingMessage, response: ServerResponse): void {
  let passedBytes = 0;
  upstream.on('data', (chunk: Buffer) => {
    passedBytes += chunk.length;
    if (passedBytes > limitBytes) response.destroy();
  });
}

function readTarget(kubeconfig: string): Target {
  const { clusters, users } = parse(kubeconfig) as {
    readonly clusters: readonly { readonly cluster: Readonly<Record<string, string>> }[];
    readonly users?: readonly { readonly user: Readonly<Record<string, string>> }[];
  };
  const cluster = clusters[0]?.cluster ?? {};
  const ca = cluster['certificate-authority-data'];
  return {
    server: cluster.server ?? '',
    ca: ca === undefined ? undefined : Buffer.from(ca, 'base64'),
    token: users?.[0]?.user.token,
  };
}
