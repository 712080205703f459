/**
 * Requests over HTTP/1.1, by the client of Node, over connections from a connector.
 *
 * A request has a connection of its own until its answer is read; idle ones are used again.
 */
import { Agent, type ClientRequest, type ClientRequestArgs, type IncomingMessage, request as startRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import { asError } from '../../errors.ts';
import { onAbort } from '../../time/abort.ts';
import { MAX_KUBE_ENVELOPE_BYTES } from '../limits.ts';
import type { Connector } from './connector.ts';

/** Idle connections are closed after it, or earlier where the server announces so: no server closes them as soon. */
const IDLE_CONNECTION_MS = 4_000;

type Headers = Readonly<Record<string, string | string[]>>;

export interface HttpRequest {
  readonly server: URL;
  /** With its query; the whole URL for a proxy. */
  readonly path: string;
  readonly method?: string;
  readonly headers: Headers;
  readonly content?: string | undefined;
}

/** The connection after the server has changed the protocol, or why it refused: a status with the beginning of the body. */
export interface Upgraded {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly socket: Duplex | undefined;
  readonly text: string;
}

interface ServerOptions extends ClientRequestArgs {
  readonly server: URL;
}

class Connections extends Agent {
  readonly #connect: Connector;

  constructor(connect: Connector, keepAliveMs: number) {
    super({ keepAlive: true, keepAliveMsecs: keepAliveMs, timeout: IDLE_CONNECTION_MS });
    this.#connect = connect;
  }

  /** What connections are interchangeable for. */
  override getName(options?: ClientRequestArgs): string {
    return (options as ServerOptions).server.origin;
  }

  /** Closes idle connections, also those that are idle later. */
  closeIdle(): void {
    this.maxFreeSockets = 0;
    for (const sockets of Object.values(this.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }

  override createConnection(
    options: ClientRequestArgs,
    callback: (error: Error | null, socket: Duplex) => void = () => undefined,
  ): undefined {
    this.#connect((options as ServerOptions).server).then(
      (socket) => callback(null, socket),
      (thrown: unknown) => callback(asError(thrown), undefined as never),
    );
  }
}

export class Requests {
  readonly #connections: Connections;
  /** Ends each request under way. */
  readonly #underWay = new Set<(reason: Error) => void>();
  readonly #idle = Promise.withResolvers<void>();
  #isClosing = false;

  constructor(connect: Connector, keepAliveMs: number) {
    this.#connections = new Connections(connect, keepAliveMs);
  }

  /**
   * Resolves with the answer, whose body is to be read or destroyed. `signal` ends the request, and the answer until it is
   * read. Errors have no class of this program, except for those of the connector and of `destroy`.
   */
  async send(request: HttpRequest, signal: AbortSignal): Promise<IncomingMessage> {
    try {
      return await this.#send(request, signal);
    } catch (thrown) {
      // The server closed an idle connection at the moment when it was used again.
      if (!(thrown instanceof StaleConnectionError) || signal.aborted) throw thrown;
      return this.#send(request, signal);
    }
  }

  /** Requests another protocol on the connection (RFC 9110, section 7.8). Once resolved, the caller closes the socket. */
  async upgrade(request: HttpRequest, protocol: string, signal: AbortSignal): Promise<Upgraded> {
    const { promise, resolve, reject } = Promise.withResolvers<Upgraded>();
    const asking = this.#start({ ...request, headers: { ...request.headers, connection: 'upgrade', upgrade: protocol } });
    const over = this.#follow(asking, signal, reject);
    asking.on('error', (error) => {
      over();
      reject(error);
    });
    asking.once('upgrade', ({ statusCode = 0, headers }, socket, head) => {
      over();
      if (head.length > 0) socket.unshift(head);
      resolve({ status: statusCode, headers, socket, text: '' });
    });
    asking.once('response', (answer) => {
      beginningOf(answer)
        .then((text) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, socket: undefined, text }), reject)
        .finally(over);
    });
    asking.end();
    return promise;
  }

  /** Takes no more requests, and resolves when those under way have ended. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#connections.closeIdle();
    if (this.#underWay.size > 0) await this.#idle.promise;
  }

  /** Ends every request under way with `reason`, and takes no more. */
  destroy(reason: Error): Promise<void> {
    for (const end of [...this.#underWay]) end(reason);
    return this.close();
  }

  #send(request: HttpRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const asking = this.#start(request);
    const over = this.#follow(asking, signal, reject);
    const isRepeatable = (request.method ?? 'GET') === 'GET';
    asking.on('error', (error: NodeJS.ErrnoException) => {
      over();
      const isStale = asking.reusedSocket && isRepeatable && error.code === 'ECONNRESET';
      reject(isStale ? new StaleConnectionError(error.message, { cause: error }) : error);
    });
    asking.once('response', (answer) => {
      answer.once('close', over);
      answer.once('end', over);
      resolve(answer);
    });
    asking.end(request.content);
    return promise;
  }

  #start({ server, path, method = 'GET', headers, content }: HttpRequest): ClientRequest {
    const length = content === undefined ? {} : { 'content-length': Buffer.byteLength(content) };
    const options = { agent: this.#connections, server, path, method, headers: { host: server.host, ...headers, ...length } };
    return startRequest(options);
  }

  /** Ends the request when `signal` is aborted, at once also while it connects; returns what is to be called when it has ended. */
  #follow(asking: ClientRequest, signal: AbortSignal, fail: (reason: Error) => void): () => void {
    const end = (reason: Error) => {
      asking.destroy(reason);
      // A body that is being read has an error of its own.
      answer?.destroy(reason);
      fail(reason);
      over();
    };
    let answer: IncomingMessage | undefined;
    asking.once('response', (came) => {
      answer = came;
      // It counts also when the body is not read any more.
      came.on('error', () => undefined);
    });
    let unlink = () => {};
    const over = () => {
      unlink();
      this.#underWay.delete(end);
      if (this.#isClosing && this.#underWay.size === 0) this.#idle.resolve();
    };
    this.#underWay.add(end);
    unlink = onAbort(signal, () => end(asError(signal.reason)));
    return over;
  }
}

/** A connection that was idle turned out to be closed, before anything of an answer. */
class StaleConnectionError extends Error {}

/** The text of `answer`. Rejects where it is too long. */
async function beginningOf(answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    pieces.push(piece);
    sizeBytes += piece.length;
    if (sizeBytes >= MAX_KUBE_ENVELOPE_BYTES) throw new Error('the response is too long');
  }
  return Buffer.concat(pieces).toString();
}
