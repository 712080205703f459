/**
 * One attempt to reach an endpoint: looks up its name and races the addresses, as in RFC 8305.
 *
 * The next address is dialed after a delay, or as soon as one has failed. An address that is the only one is dialed again after
 * each delay, while it has not responded. The first usable connection wins, and the sockets of the others are destroyed. Each
 * socket has a timeout.
 */
import { isIPv6, connect as netConnect, type Socket } from 'node:net';
import { asError } from '../../errors.ts';
import {
  ETCD_ADDRESS_DELAY_MS,
  ETCD_CONNECT_TIMEOUT_MS,
  ETCD_DIAL_TIMEOUT_MS,
  MAX_DIALLED_ADDRESSES,
  MAX_DIALS_OF_AN_ADDRESS,
} from '../../limits.ts';
import { LinkedAbort, unlessAborted } from '../../time/abort.ts';
import type { Clock } from '../../time/clock.ts';
import { hostPort } from '../endpoint-address.ts';
import type { GrpcSession, SecuredSocket } from '../wire/grpc-session.ts';

export interface Connection {
  readonly session: GrpcSession;
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
  readonly open: (secured: SecuredSocket) => Promise<GrpcSession>;
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
      dialAddress(options, address, addresses.length === 1, signal).then(onConnected, (thrown: unknown) =>
        onFailed(asError(thrown)),
      );
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

async function dialAddress(options: RoundOptions, address: string, isOnly: boolean, signal: AbortSignal): Promise<Connection> {
  const { host, port, secure, open, clock } = options;
  const place = isSame(host, address) ? hostPort(host, port) : `${host} at ${hostPort(address, port)}`;
  const dialing = new LinkedAbort(signal);
  let socket: Socket | undefined;
  let secured: SecuredSocket | undefined;
  try {
    const opened = openSocket({ address, port, isOnly, clock }, dialing.signal);
    socket = await withinTime(opened, clock, signal, ETCD_CONNECT_TIMEOUT_MS, `no connection to ${place}`);
    const session = async (below: Socket) => {
      secured = await secure(below);
      return await open(secured);
    };
    const text = `connected to ${place}, but no response`;
    return { session: await withinTime(session(socket), clock, signal, ETCD_DIAL_TIMEOUT_MS, text), socket };
  } catch (thrown) {
    dialing.abort(thrown);
    secured?.socket.destroy();
    socket?.destroy();
    throw thrown;
  }
}

interface SocketPlace {
  readonly address: string;
  readonly port: number;
  readonly isOnly: boolean;
  readonly clock: Clock;
}

/**
 * Resolves with the first socket that is connected; the others are destroyed. Rejects with the first error, or with the signal's
 * reason.
 *
 * Several sockets are for addresses of Services. Until kube-proxy knows that a Pod is gone, its rules may choose that Pod, and a
 * socket keeps the choice of its first packet; another socket gets another choice. The first one is kept, for networks with
 * a long delay, and one more at a time is tried beside it.
 */
async function openSocket({ address, port, isOnly, clock }: SocketPlace, signal: AbortSignal): Promise<Socket> {
  const opening = new LinkedAbort(signal);
  const sockets = new Set<Socket>();
  const winner = Promise.withResolvers<Socket>();
  const dial = () => {
    const socket = netConnect({ host: address, port, noDelay: true });
    // After the attempt errors are reported to the owner of the connection.
    socket.on('error', (thrown) => sockets.has(socket) && winner.reject(thrown));
    socket.once('connect', () => winner.resolve(socket));
    sockets.add(socket);
    return socket;
  };
  const drop = (socket: Socket) => {
    sockets.delete(socket);
    socket.destroy();
  };
  const dialAgain = async () => {
    let last: Socket | undefined;
    for (let count = 1; count < MAX_DIALS_OF_AN_ADDRESS; count += 1) {
      await clock.sleep(ETCD_ADDRESS_DELAY_MS, opening.signal);
      if (last !== undefined) drop(last);
      last = dial();
    }
  };
  dial();
  if (isOnly) dialAgain().catch(() => undefined);
  let connected: Socket | undefined;
  try {
    connected = await unlessAborted(winner.promise, signal);
    return connected;
  } finally {
    opening.abort(new Error('a socket is connected'));
    for (const socket of sockets) if (socket !== connected) drop(socket);
  }
}

function isSame(host: string, address: string): boolean {
  return host.toLowerCase() === address.toLowerCase();
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
