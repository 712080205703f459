/**
 * Connections to an API server, directly or through a proxy, and verified by the rules of tls/.
 */
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { SocksClient } from 'socks';
import { asError } from '../../errors.ts';
import { onAbort } from '../../time/abort.ts';
import { MAX_TIMER_MS, systemClock } from '../../time/clock.ts';
import { handshake } from '../../tls/handshake.ts';
import { PeerError } from '../../tls/peer.ts';
import type { Trust } from '../../tls/trust.ts';
import { hostOf } from './server-url.ts';

export interface ConnectorOptions {
  readonly trust: Trust;
  /** In place of the server's own name. */
  readonly servername: string | undefined;
  readonly skipVerify: boolean;
  readonly strictServerNames: boolean;
  readonly proxy: URL | undefined;
  /** For everything from the name to the end of the handshake; 0 for no limit. */
  readonly timeoutMs: number;
  /** Idle time of a socket before the kernel probes its peer. */
  readonly keepAliveMs: number;
  /** The certificate of `host` has its name in the common name alone. */
  readonly onLegacyName: (host: string) => void;
}

/** Connects to a server. Rejects with what went wrong; errors have no class of this program. */
export type Connector = (server: URL) => Promise<Socket>;

export function connectorOf(options: ConnectorOptions): Connector {
  return async (server) => {
    const { timeoutMs } = options;
    const [deadline, settled] = [new AbortController(), new AbortController()];
    if (timeoutMs > 0) {
      // The network takes its time by no other clock.
      systemClock.sleep(timeoutMs, settled.signal).then(
        () => deadline.abort(),
        () => undefined,
      );
    }
    const isSecure = server.protocol === 'https:';
    try {
      return await new Attempt(options, deadline.signal).open(
        hostOf(server),
        Number(server.port || (isSecure ? 443 : 80)),
        isSecure,
      );
    } catch (thrown) {
      const late = `no connection to ${server.hostname} within ${timeoutMs} ms`;
      throw deadline.signal.aborted ? new Error(late, { cause: thrown }) : failureOf(thrown);
    } finally {
      settled.abort();
    }
  };
}

/** The error for a request, which adds its purpose. */
function failureOf(thrown: unknown): Error {
  return thrown instanceof PeerError ? new Error(thrown.message) : asError(thrown);
}

class Attempt {
  readonly #options: ConnectorOptions;
  readonly #signal: AbortSignal;

  constructor(options: ConnectorOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  async open(host: string, port: number, isSecure: boolean): Promise<Socket> {
    const { proxy, servername } = this.#options;
    const socket = proxy === undefined ? await this.#dial(host, port) : await this.#tunnel(proxy, host, port, isSecure);
    return isSecure ? this.#secure(socket, servername ?? host) : socket;
  }

  /** For a server without TLS each request is sent to the proxy: see `absoluteForm`. */
  async #tunnel(proxy: URL, host: string, port: number, isSecure: boolean): Promise<Socket> {
    const proxyHost = hostOf(proxy);
    if (proxy.protocol.startsWith('socks5')) return this.#throughSocks(proxy, proxyHost, host, port);
    const isSecureProxy = proxy.protocol === 'https:';
    const plain = await this.#dial(proxyHost, Number(proxy.port || (isSecureProxy ? 443 : 80)));
    const socket = isSecureProxy ? await this.#secure(plain, proxyHost) : plain;
    return isSecure ? this.#ask(socket, proxy, host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`) : socket;
  }

  #dial(host: string, port: number): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const keepAliveInitialDelay = this.#options.keepAliveMs;
      const socket = connect({ host, port, keepAlive: true, keepAliveInitialDelay, noDelay: true });
      this.#guard(socket);
      socket.once('connect', () => resolve(socket));
      socket.once('error', reject);
    });
  }

  async #throughSocks(proxy: URL, proxyHost: string, host: string, port: number): Promise<Socket> {
    const socket = await this.#dial(proxyHost, Number(proxy.port || 1080));
    const [userId, password] = [proxy.username, proxy.password].map(decodeURIComponent);
    const login = userId ? { userId, password: password ?? '' } : {};
    await SocksClient.createConnection({
      proxy: { host: proxyHost, port: Number(proxy.port || 1080), type: 5, ...login },
      command: 'connect',
      // The name is resolved by the proxy.
      destination: { host, port },
      existing_socket: socket,
      timeout: this.#options.timeoutMs || MAX_TIMER_MS,
    });
    socket.resume();
    return socket;
  }

  /** `CONNECT` (RFC 9110, section 9.3.6). */
  #ask(socket: Socket, proxy: URL, target: string): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const headers = { host: target, ...proxyAuthorization(proxy) };
      const asking = request({ method: 'CONNECT', path: target, headers, createConnection: () => socket });
      asking.once('connect', ({ statusCode }, _, head) => {
        if (statusCode === 200) {
          if (head.length > 0) socket.unshift(head);
          resolve(socket);
          return;
        }
        socket.destroy();
        reject(new Error(`the proxy ${proxy.host} answered ${statusCode} for ${target}`));
      });
      asking.once('response', ({ statusCode }) => {
        socket.destroy();
        reject(new Error(`the proxy ${proxy.host} answered ${statusCode} for ${target}`));
      });
      asking.once('error', ({ message }) => reject(new Error(`the proxy ${proxy.host}: ${message}`)));
      asking.end();
    });
  }

  async #secure(socket: Duplex, host: string): Promise<Socket> {
    const { trust, skipVerify, strictServerNames, onLegacyName } = this.#options;
    const secured = await handshake({ socket, alpn: ['http/1.1'], trust, host, skipVerify, strictServerNames });
    if (secured.peer.hasLegacyName) onLegacyName(host);
    this.#guard(secured.socket);
    return secured.socket;
  }

  #guard(socket: Socket): void {
    const unlink = onAbort(this.#signal, () => socket.destroy());
    // After it, errors belong to the user of the socket; the first one must not end the process.
    socket.on('error', () => undefined);
    socket.once('close', unlink);
  }
}

/** Whether requests to `server` go to the proxy in the form with the whole URL, rather than through a tunnel. */
export function isAskedInAbsoluteForm(server: URL, proxy: URL | undefined): proxy is URL {
  return proxy !== undefined && server.protocol === 'http:' && !proxy.protocol.startsWith('socks5');
}

export function proxyAuthorization({ username, password }: URL): Readonly<Record<string, string>> {
  if (username === '') return {};
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(login).toString('base64')}` };
}
