/**
 * A TCP proxy that misbehaves on demand, put between a client and a real server.
 *
 * What a black hole holds back is delivered when it is lifted, as TCP itself would do by sending again.
 * Faults apply to open and to new connections alike until `heal`, except for `cut` and `halfClose`, which
 * act once on the connections that are open.
 */
import { createServer, connect as dial, type Server, type Socket } from 'node:net';

export type Direction = 'toServer' | 'toClient';

export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:port`; for TLS build the URL from `port`. */
  readonly endpoint: string;
  /** Connections open now. */
  readonly connections: number;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Bytes passed on so far. */
  readonly bytes: Readonly<Record<Direction, number>>;
  /** Resets every open connection. */
  cut(): void;
  /** Passes exactly `count` more bytes to clients, then resets every open connection, once. */
  cutAfterBytes(count: number): void;
  /** Drops all packets from now on, without an error. */
  blackHole(direction?: Direction | 'both'): void;
  /** Every chunk arrives so much later, and one of a hundred a second later still. */
  delay(ms: number, stalls?: 'stalls'): void;
  /** At most so many bytes per second and connection reach the client. */
  throttle(bytesPerSecond: number): void;
  /** Sends FIN to every client and continues to read from it. */
  halfClose(): void;
  /** New connections are refused; open ones stay. */
  refuse(): Promise<void>;
  /** The same, and resets every open connection. */
  disconnect(): Promise<void>;
  /** New connections are accepted and reset at once, as by a balancer without a backend; open ones stay. */
  reject(): void;
  /** Later connections go to this port of 127.0.0.1; open ones stay where they are. */
  retarget(port: number): void;
  /** Ends every fault. */
  heal(): Promise<void>;
  stop(): Promise<void>;
}

interface Faults {
  held: Set<Direction>;
  delayMs: number;
  stalls: boolean;
  isRejecting: boolean;
  bytesPerSecond: number;
  cutAfter: number;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Takes up what a lifted black hole has left behind. */
  wake(): void;
}

const NO_FAULTS = { delayMs: 0, stalls: false, isRejecting: false, bytesPerSecond: 0, cutAfter: Number.POSITIVE_INFINITY };

/** Starts a proxy on a free port of 127.0.0.1 that leads to `targetPort` of 127.0.0.1. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const faults: Faults = { held: new Set(), ...NO_FAULTS };
  const bytes = { toServer: 0, toClient: 0 };
  const links = new Set<Link>();
  let target = targetPort;
  let accepted = 0;

  const cut = () => {
    for (const { client, server } of links) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  };
  const listener = createServer({ allowHalfOpen: true }, (client) => {
    accepted += 1;
    if (faults.isRejecting) {
      client.resetAndDestroy();
      return;
    }
    const server = dial({ port: target, host: '127.0.0.1', allowHalfOpen: true });
    const outward = new Pump(client, server, 'toServer', faults, bytes, cut);
    const inward = new Pump(server, client, 'toClient', faults, bytes, cut);
    const link: Link = {
      client,
      server,
      wake: () => {
        outward.wake();
        inward.wake();
      },
    };
    links.add(link);
    const end = () => {
      client.destroy();
      server.destroy();
      links.delete(link);
    };
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
  });
  const port = await listen(listener, 0);

  const heal = async () => {
    faults.held.clear();
    Object.assign(faults, NO_FAULTS);
    if (!listener.listening) await listen(listener, port);
    for (const link of links) link.wake();
  };
  const stop = async () => {
    for (const { client, server } of links) {
      client.destroy();
      server.destroy();
    }
    await unlisten(listener);
  };
  return {
    port,
    endpoint: `http://127.0.0.1:${port}`,
    get connections() {
      return links.size;
    },
    get accepted() {
      return accepted;
    },
    bytes,
    cut,
    cutAfterBytes: (count) => {
      faults.cutAfter = count;
    },
    blackHole: (direction = 'both') => {
      for (const each of ['toServer', 'toClient'] as const) {
        if (direction === 'both' || direction === each) faults.held.add(each);
      }
    },
    delay: (ms, stalls) => {
      faults.delayMs = ms;
      faults.stalls = stalls !== undefined;
    },
    reject: () => {
      faults.isRejecting = true;
    },
    throttle: (bytesPerSecond) => {
      faults.bytesPerSecond = bytesPerSecond;
    },
    halfClose: () => {
      for (const { client } of links) client.end();
    },
    refuse: () => unlisten(listener),
    disconnect: async () => {
      await unlisten(listener);
      cut();
    },
    retarget: (next) => {
      target = next;
    },
    heal,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Bytes that a direction takes in advance while it is delayed or held. */
const MAX_WAITING_BYTES = 64 * 1024;

/** One direction of one connection: passes chunks on in order, under the faults of the moment. */
class Pump {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #direction: Direction;
  readonly #faults: Faults;
  readonly #bytes: Record<Direction, number>;
  readonly #cut: () => void;
  #waiting: { chunk: Buffer; readonly dueMs: number }[] = [];
  #waitingBytes = 0;
  #chunks = 0;
  #isBusy = false;
  #hasEnded = false;

  constructor(from: Socket, to: Socket, direction: Direction, faults: Faults, bytes: Record<Direction, number>, cut: () => void) {
    this.#from = from;
    this.#to = to;
    this.#direction = direction;
    this.#faults = faults;
    this.#bytes = bytes;
    this.#cut = cut;
    from.on('data', (chunk: Buffer) => {
      this.#chunks += 1;
      const stallMs = faults.stalls && this.#chunks % 100 === 0 ? 1_000 : 0;
      this.#waiting.push({ chunk, dueMs: performance.now() + faults.delayMs + stallMs });
      this.#waitingBytes += chunk.length;
      if (this.#waitingBytes > MAX_WAITING_BYTES) from.pause();
      this.wake();
    });
    from.on('end', () => {
      this.#hasEnded = true;
      this.wake();
    });
  }

  wake(): void {
    if (this.#isBusy || this.#faults.held.has(this.#direction)) return;
    const next = this.#waiting[0];
    if (next === undefined) {
      if (this.#hasEnded) this.#to.end();
      return;
    }
    const waitMs = next.dueMs - performance.now();
    if (waitMs <= 0) this.#pass(next);
    else this.#later(waitMs);
  }

  #later(ms: number): void {
    this.#isBusy = true;
    setTimeout(() => {
      this.#isBusy = false;
      this.wake();
    }, ms);
  }

  #pass(next: { chunk: Buffer }): void {
    if (this.#to.destroyed) return;
    const faults = this.#faults;
    const isInward = this.#direction === 'toClient';
    let part = next.chunk;
    if (isInward && faults.bytesPerSecond > 0) part = part.subarray(0, Math.max(1, Math.ceil(faults.bytesPerSecond / 50)));
    if (isInward) part = part.subarray(0, faults.cutAfter);
    const isLast = isInward && part.length === faults.cutAfter;
    if (isInward) faults.cutAfter -= part.length;
    this.#bytes[this.#direction] += part.length;
    this.#waitingBytes -= part.length;
    next.chunk = next.chunk.subarray(part.length);
    if (next.chunk.length === 0) this.#waiting.shift();
    this.#isBusy = true;
    this.#to.write(part, () => {
      this.#isBusy = false;
      if (isLast) {
        faults.cutAfter = Number.POSITIVE_INFINITY;
        this.#cut();
        return;
      }
      if (this.#waitingBytes <= MAX_WAITING_BYTES) this.#from.resume();
      if (isInward && faults.bytesPerSecond > 0) this.#later(20);
      else this.wake();
    });
  }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

function unlisten(server: Server): Promise<void> {
  if (!server.listening) return Promise.resolve();
  // The callback of `close` waits for open connections as well; not listening any more is immediate.
  server.close();
  return Promise.resolve();
}
