/**
 * The connection to the Kubernetes API: requests over HTTP/1.1 with the current credentials, to
 * one of several servers.
 *
 * A watch has a socket of its own; short requests share idle ones. After a server is unreachable
 * or fails, the next one in the list is used. Nothing else is retried here, except a request
 * that was rejected with 401, once, with reloaded credentials.
 */
import { isDeepStrictEqual } from 'node:util';
import { asError } from '../../errors.ts';
import { printable } from '../../printable.ts';
import type { Logger } from '../../process/log.ts';
import type { Clock } from '../../time/clock.ts';
import { isLoopback } from '../../tls/address.ts';
import { Trust } from '../../tls/trust.ts';
import {
  KubeConfigError,
  KubeCredentialsError,
  KubeDecodeError,
  type KubeError,
  KubeSilenceError,
  KubeStatusError,
  KubeUnauthorizedError,
  KubeUnreachableError,
} from '../errors.ts';
import { KUBE_ANSWER_TIMEOUT_MS, KUBE_LOG_INTERVAL_MS, MAX_KUBE_ENVELOPE_BYTES, MAX_KUBE_OBJECT_BYTES } from '../limits.ts';
import { parseJson } from '../objects/json.ts';
import { purposeText, type RequestPurpose, statusError } from '../objects/status.ts';
import { handshake, WebSocket } from '../web-socket/web-socket.ts';
import { type Access, ANONYMOUS, type Credentials, type TlsMaterial } from './access.ts';
import { explain, KubeBody } from './body.ts';
import { connectorOf, isAskedInAbsoluteForm, proxyAuthorization } from './connector.ts';
import { loadKubeConfig } from './kubeconfig.ts';
import { type Environment, proxyFromEnvironment } from './proxy.ts';
import { RequestRate } from './request-rate.ts';
import { Requests } from './requests.ts';
import { hostOf, serverUrlOf } from './server-url.ts';
import { SilenceWatchdog } from './silence.ts';

/** Characters shown of the text of a refused WebSocket. */
const MAX_REFUSAL_LENGTH = 300;

export interface ConnectionOptions {
  /** '' for the service account of the pod. */
  readonly kubeconfigPath: string;
  /** Of the kubeconfig; the current one where absent. */
  readonly context?: string;
  /** Instead of the server that the credentials name. http servers among them are sent no credentials. */
  readonly serverUrls: readonly string[];
  readonly userAgent: string;
  /** A server certificate that has its name in the common name alone is refused. */
  readonly strictServerNames?: boolean;
  /** Of proxies; that of the process where absent. */
  readonly environment?: Environment;
  /** For proxy, TCP and TLS together. */
  readonly connectTimeoutMs: number;
  /** Idle time of a socket before the kernel probes its peer. */
  readonly keepAliveMs: number;
  /** Limit on requests; `perSecond` 0 for none. */
  readonly rate: { readonly perSecond: number; readonly burst: number };
  readonly clock: Clock;
  readonly log: Logger;
}

export interface KubeRequest {
  readonly purpose: RequestPurpose;
  /** With its query, without the server. */
  readonly path: string;
  readonly accept: string;
  /** GET where absent. */
  readonly method?: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly content?: string;
  readonly contentType?: string;
  readonly signal: AbortSignal;
  /** Longest silence before the answer, credentials and connecting included. */
  readonly timeoutMs?: number;
}

/** A request for a WebSocket. */
export interface SocketRequest {
  readonly purpose: RequestPurpose;
  readonly path: string;
  /** The preferred one first. */
  readonly protocols: readonly string[];
  /** Closes the WebSocket, too. */
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

type SentRequest = Pick<KubeRequest, 'purpose' | 'signal' | 'timeoutMs'>;

/** Of one attempt. */
interface Attempt {
  readonly server: URL;
  readonly access: Access;
  readonly watchdog: SilenceWatchdog;
  readonly what: string;
}

/** What connections depend on. */
interface Way {
  readonly tls: TlsMaterial;
  readonly proxy: string | undefined;
}

/** Makes ready, without a request. Throws KubeConfigError where the configuration can never work. */
export async function openConnection(options: ConnectionOptions): Promise<KubeConnection> {
  const urls = options.serverUrls.map(parseServerUrl);
  if (options.kubeconfigPath === '' && urls.length > 0 && urls.every((url) => url.protocol === 'http:')) {
    return new KubeConnection(options, urls, ANONYMOUS);
  }
  const credentials = await loadKubeConfig(options.kubeconfigPath, undefined, options.context);
  return new KubeConnection(options, urls.length > 0 ? urls : [credentials.server], credentials);
}

export class KubeConnection {
  readonly #options: ConnectionOptions;
  readonly #servers: readonly URL[];
  readonly #credentials: Credentials;
  readonly #rate: RequestRate;
  /** What was logged once, and is not again. */
  readonly #warned = new Set<string>();
  #current = 0;
  #moveLoggedMs = Number.NEGATIVE_INFINITY;
  #present: { readonly way: Way; readonly requests: Requests } | undefined;
  /** Of earlier ways, whose watches have not ended yet. */
  readonly #retired = new Set<Requests>();

  constructor(options: ConnectionOptions, servers: readonly URL[], credentials: Credentials) {
    this.#options = options;
    this.#servers = servers;
    this.#credentials = credentials;
    this.#rate = new RequestRate({ ...options.rate, clock: options.clock });
  }

  /** The server that the next request goes to. */
  get server(): string {
    return this.#server().href;
  }

  /**
   * Sends a request and resolves with the body of its answer, which the caller closes in any case. Throws a
   * KubeError, or the signal's reason. Tries each server once where none can be reached.
   */
  open(request: KubeRequest): Promise<KubeBody> {
    return this.#tried(request, (attempt) => this.#send(request, attempt));
  }

  /** Opens a WebSocket, which the caller closes in any case. Throws like `open`. */
  async openSocket(request: SocketRequest): Promise<WebSocket> {
    const { socket, watchdog } = await this.#tried(request, (attempt) => this.#upgrade(request, attempt));
    watchdog.dispose();
    return socket;
  }

  async #tried<T>(request: SentRequest, send: (attempt: Attempt) => Promise<T>): Promise<T> {
    for (let left = this.#servers.length; ; left -= 1) {
      await this.#rate.turn(request.signal);
      try {
        return await this.#attempt(request, send);
      } catch (thrown) {
        if (!(thrown instanceof KubeUnreachableError) || left <= 1) throw thrown;
      }
    }
  }

  /** Sends a GET and parses its small answer. Throws like `open`. */
  async get(request: KubeRequest): Promise<unknown> {
    return this.#parsed(request, MAX_KUBE_ENVELOPE_BYTES);
  }

  /** Sends a request that reads or writes a single object, and parses the answer. Throws like `open`. */
  async send(request: KubeRequest): Promise<unknown> {
    return this.#parsed(request, MAX_KUBE_OBJECT_BYTES);
  }

  /** Aborts every request in flight with `reason`; callers retry over a new socket. */
  async reset(reason: KubeError): Promise<void> {
    const all = [...this.#retired];
    if (this.#present !== undefined) all.push(this.#present.requests);
    this.#present = undefined;
    this.#retired.clear();
    await Promise.all(all.map((requests) => requests.destroy(reason)));
  }

  /** Turns to the next server, where `failed` is still the one in use. */
  leave(failed: string): void {
    if (this.#servers.length < 2 || this.server !== failed) return;
    this.#current = (this.#current + 1) % this.#servers.length;
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#moveLoggedMs < KUBE_LOG_INTERVAL_MS) return;
    this.#moveLoggedMs = nowMs;
    this.#options.log.warn({ failed, server: this.server }, 'switched to another Kubernetes API server');
  }

  /** Ends every request and frees every socket; stop the callers first. Idempotent. */
  close(): Promise<void> {
    return this.reset(new KubeUnreachableError('the connection to the Kubernetes API was closed'));
  }

  async #parsed(request: KubeRequest, maxBytes: number): Promise<unknown> {
    const body = await this.open(request);
    try {
      return parseJson(await body.text(maxBytes), purposeText(request.purpose));
    } finally {
      body.close();
    }
  }

  async #attempt<T>(request: SentRequest, send: (attempt: Attempt) => Promise<T>): Promise<T> {
    const server = this.#server();
    const what = `${purposeText(request.purpose)} at ${server.origin}`;
    const { timeoutMs = KUBE_ANSWER_TIMEOUT_MS } = request;
    const watchdog = new SilenceWatchdog(this.#options.clock, request.signal, timeoutMs, what);
    try {
      return await watchdog.guard(this.#authorized({ server, watchdog, what }, send));
    } catch (thrown) {
      const error = explain(thrown, watchdog.signal, what);
      watchdog.dispose();
      if (isServerFailure(error)) this.leave(server.href);
      throw error;
    }
  }

  async #authorized<T>(attempt: Omit<Attempt, 'access'>, send: (attempt: Attempt) => Promise<T>): Promise<T> {
    const access = await this.#credentials.access();
    try {
      return await send({ ...attempt, access });
    } catch (thrown) {
      if (!(thrown instanceof KubeUnauthorizedError)) throw thrown;
      await this.#reloadCredentials();
      const renewed = await this.#credentials.access();
      if (isDeepStrictEqual(renewed, access)) throw thrown;
      return send({ ...attempt, access: renewed });
    }
  }

  async #send(request: KubeRequest, attempt: Attempt): Promise<KubeBody> {
    const { watchdog, what } = attempt;
    const { content, contentType } = request;
    const described = contentType === undefined ? {} : { 'content-type': contentType };
    const { requests, headers, ...place } = this.#placeOf(request.path, attempt);
    const { method = 'GET', accept } = request;
    const sent = { ...place, method, content, headers: { ...headers, ...described, accept } };
    const answer = await requests.send(sent, watchdog.signal);
    const body = new KubeBody(answer, watchdog, what);
    const { statusCode: status = 0 } = answer;
    if (status === 200 || status === 201) return body;
    const text = await body.text(MAX_KUBE_ENVELOPE_BYTES);
    throw refusal(request.purpose, status, jsonOrNothing(text), answer.headers);
  }

  async #upgrade(request: SocketRequest, attempt: Attempt) {
    const { watchdog, what } = attempt;
    const { accept, headers: asked } = handshake(request.protocols);
    const { requests, headers, ...place } = this.#placeOf(request.path, attempt);
    const answer = await requests.upgrade({ ...place, headers: { ...headers, ...asked } }, 'websocket', watchdog.signal);
    if (answer.socket === undefined) {
      // A kubelet behind the API server answers with text.
      const body = jsonOrNothing(answer.text) ?? { message: printable(answer.text, MAX_REFUSAL_LENGTH) };
      throw refusal(request.purpose, answer.status, body, answer.headers);
    }
    const protocol = answer.headers['sec-websocket-protocol'];
    const socket = new WebSocket(answer.socket, String(protocol), what, request.signal);
    if (answer.headers['sec-websocket-accept'] === accept && request.protocols.includes(socket.protocol))
      return { socket, watchdog };
    socket.close();
    throw new KubeDecodeError(`${what}: the server does not speak ${request.protocols.join(' or ')} over WebSocket`);
  }

  /** Credentials never travel in plain text over a network. */
  #placeOf(path: string, { server, access }: Attempt) {
    const proxy = this.#credentials.proxy ?? proxyFromEnvironment(server, this.#options.environment ?? process.env);
    const trusted = this.#isTrusted(server, proxy, access) ? access.headers : {};
    const isAbsolute = isAskedInAbsoluteForm(server, proxy);
    return {
      requests: this.#requestsBy(access.tls, proxy),
      server,
      path: `${isAbsolute ? server.origin : ''}${server.pathname.replace(/\/$/, '')}${path}`,
      headers: {
        ...trusted,
        ...(isAbsolute ? proxyAuthorization(proxy) : {}),
        'user-agent': this.#options.userAgent,
      },
    };
  }

  /** The credentials in use stay where the new ones cannot be read. */
  async #reloadCredentials(): Promise<void> {
    await this.#credentials.reload().catch((thrown: unknown) => {
      this.#options.log.warn({ reason: asError(thrown).message }, 'cannot reload the Kubernetes credentials');
    });
  }

  #server(): URL {
    return this.#servers[this.#current] as URL;
  }

  /** A server without TLS is sent credentials only where it is the one that they are for, on this machine and without a proxy. */
  #isTrusted(server: URL, proxy: URL | undefined, { headers }: Access): boolean {
    if (server.protocol === 'https:') return true;
    if (Object.keys(headers).length === 0) return false;
    const isNamed = server.href === this.#credentials.server?.href;
    if (isNamed && proxy === undefined && isLoopback(hostOf(server))) return true;
    if (isNamed) {
      this.#warnOnce({ server: server.origin }, 'credentials are not sent to a Kubernetes API server over http; use https');
    }
    return false;
  }

  #warnOnce(fields: { readonly server: string }, message: string): void {
    const line = `${fields.server} ${message}`;
    if (!this.#warned.has(line)) this.#options.log.warn(fields, message);
    this.#warned.add(line);
  }

  /**
   * Requests by `tls` and `proxy`. Those by other material are retired: no new one is made, and their connections close once their
   * watches have ended. Throws KubeCredentialsError where no TLS can be made of the material.
   */
  #requestsBy(tls: TlsMaterial, proxy: URL | undefined): Requests {
    const way = { tls, proxy: proxy?.href };
    if (this.#present !== undefined && isDeepStrictEqual(this.#present.way, way)) return this.#present.requests;
    const { connectTimeoutMs, keepAliveMs, strictServerNames = false } = this.#options;
    const connect = connectorOf({
      trust: trustOf(tls),
      servername: tls.servername,
      skipVerify: tls.skipVerify,
      strictServerNames,
      proxy,
      timeoutMs: connectTimeoutMs,
      keepAliveMs,
      onLegacyName: (host) => this.#warnOnce({ server: host }, LEGACY_NAME),
    });
    if (this.#present !== undefined) this.#retire(this.#present.requests);
    const requests = new Requests(connect, keepAliveMs);
    this.#present = { way, requests };
    return requests;
  }

  #retire(requests: Requests): void {
    this.#retired.add(requests);
    void requests.close().then(() => this.#retired.delete(requests));
  }
}

/** Whether another server might succeed. A busy one (429) or a lagging one (504) remains in use. */
function isServerFailure(error: Error): boolean {
  if (error instanceof KubeStatusError) return error.status >= 500 && error.status !== 504;
  return error instanceof KubeUnreachableError || error instanceof KubeSilenceError;
}

function parseServerUrl(text: string): URL {
  const url = serverUrlOf(text);
  if (url !== undefined) return url;
  throw new KubeConfigError(`"${text}" is not the URL of a Kubernetes API server (https://host:port)`);
}

const LEGACY_NAME =
  'server certificate has its name only in the common name, which Go clients reject; issue it with a subject alternative name';

function trustOf({ ca, cert, key }: TlsMaterial): Trust {
  try {
    return new Trust({ ca, cert, key });
  } catch (thrown) {
    throw new KubeCredentialsError(`cannot use the Kubernetes credentials: ${asError(thrown).message}`);
  }
}

function refusal(
  purpose: RequestPurpose,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): KubeError {
  const retryAfter = headers['retry-after'];
  return statusError(purpose, status, body, typeof retryAfter === 'string' ? retryAfter : undefined);
}

function jsonOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
