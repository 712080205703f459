/**
 * One attempt to reach an endpoint: looks up its name and races the addresses, as in RFC 8305.
 *
 * The next address is dialed after a delay, or as soon as one has failed. The first usable connection wins, and the
 * sockets of the others are destroyed. Each socket has a timeout.
 */
import { isIPv6, connect as netConnect, type Socket } from 'node:net';
import { asError } from '../../errors.ts';
import { ETCD_ADDRESS_DELAY_MS, ETCD_CONNECT_TIMEOUT_MS, ETCD_DIAL_TIMEOUT_MS, MAX_DIALLED_ADDRESSES } from '../../limits.ts';
import { LinkedAbort } from '../../time/abort.ts';
import type { Clock } from '../../time/clock.ts';
import { hostPort } from '../endpoint-address.ts';
import type { GrpcTransport, OpenSession, SecuredSocket } from './grpc-connector.ts';

export interface Connection {
  readonly transport: GrpcTransport;
  /** The TCP socket, below TLS. */
  readonly socket: Socket;
}

export interface RoundOptions {
  /** Of the endpoint. */
  readonly host: string;
  readonly port: number;
  readonly addresses: () => Promise<readonly string[]>;
  /** The TLS handshake, where the endpoint has TLS. */
  readonly secure: (socket: Socket) => Promise<SecuredSocket>;
  readonly open: OpenSession;
  readonly clock: Clock;
}

/**
 * Resolves with the first connection. Rejects with why there is none, or with the signal's reason; no socket is left then.
 */
export async function dialRound(options: RoundOptions, signal: AbortSignal): Promise<Connection> {
  const round = new LinkedAbort(signal);
  try {
    signal.throwIfAborted();
    return await race(options, await lookedUp(options, round.signal), round.signal);
  } finally {
    round.abort(new Error('another address was faster'));
  }
}

async function lookedUp({ host, addresses, clock }: RoundOptions, signal: AbortSignal): Promise<readonly string[]> {
  const found = await withinTime(addresses(), clock, signal, ETCD_CONNECT_TIMEOUT_MS, `no DNS response for ${host}`);
  return alternating(found).slice(0, MAX_DIALLED_ADDRESSES);
}

/** Of both families in turns, the family of the first one first. */
function alternating(addresses: readonly string[]): readonly string[] {
  const first = addresses.filter((address) => isIPv6(address) === isIPv6(addresses[0] ?? ''));
  const second = addresses.filter((address) => !first.includes(address));
  const pairs = Array.from({ length: Math.max(first.length, second.length) }, (_, at) => [first[at], second[at]]);
  return pairs.flat().filter((address) => address !== undefined);
}

function race(options: RoundOptions, addresses: readonly string[], signal: AbortSignal): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const errors: Error[] = [];
    let started = 0;
    let hasWon = false;
    const onFailed = (error: Error) => {
      errors.push(error);
      if (errors.length === addresses.length) reject(joined(errors));
      else dialNext();
    };
    const onConnected = (connection: Connection) => {
      if (hasWon) connection.socket.destroy();
      hasWon = true;
      resolve(connection);
    };
    const dialNext = () => {
      const address = addresses[started];
      if (address === undefined || hasWon) return;
      started += 1;
      const current = started;
      dialAddress(options, address, signal).then(onConnected, (thrown: unknown) => onFailed(asError(thrown)));
      void options.clock.sleep(ETCD_ADDRESS_DELAY_MS, signal).then(
        () => {
          if (current === started) dialNext();
        },
        () => undefined,
      );
    };
    if (addresses.length === 0) reject(new Error(`DNS has no address for ${options.host}`));
    else dialNext();
  });
}

async function dialAddress(options: RoundOptions, address: string, signal: AbortSignal): Promise<Connection> {
  const { host, port, secure, open, clock } = options;
  const socket = netConnect({ host: address, port, noDelay: true });
  // After the attempt errors are reported to the owner of the connection.
  socket.on('error', () => undefined);
  let secured: SecuredSocket | undefined;
  try {
    const place = isSame(host, address) ? hostPort(host, port) : `${host} at ${hostPort(address, port)}`;
    await withinTime(connected(socket), clock, signal, ETCD_CONNECT_TIMEOUT_MS, `no connection to ${place}`);
    const session = async () => {
      secured = await secure(socket);
      return await open(secured);
    };
    const text = `connected to ${place}, but no response`;
    return { transport: await withinTime(session(), clock, signal, ETCD_DIAL_TIMEOUT_MS, text), socket };
  } catch (thrown) {
    secured?.socket.destroy();
    socket.destroy();
    throw thrown;
  }
}

function isSame(host: string, address: string): boolean {
  return host.toLowerCase() === address.toLowerCase();
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the connection was closed')));
  });
}

/** Settles as `promise` does; rejects before with the signal's reason, or after `ms` with `text` and the time. */
async function withinTime<T>(promise: Promise<T>, clock: Clock, signal: AbortSignal, ms: number, text: string): Promise<T> {
  const waiting = new LinkedAbort(signal);
  const late = clock.sleep(ms, waiting.signal).then(() => {
    throw new Error(`${text} within ${ms} ms`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    waiting.abort();
  }
}

/** What the addresses failed with, each once. */
function joined(errors: readonly Error[]): Error {
  const [first] = errors;
  const messages = new Set(errors.map(({ message }) => message));
  return messages.size === 1 && first !== undefined ? first : new Error([...messages].join('; '), { cause: first });
}
