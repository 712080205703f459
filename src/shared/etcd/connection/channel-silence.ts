/**
 * Detects a connection on which no data arrives.
 *
 * Any data counts, not only the answer to a ping: that one is late behind a large response on a slow link.
 * A connection without requests or streams sends no pings and may be silent.
 */
import type { Socket } from 'node:net';
import { ETCD_KEEPALIVE_TIME_MS, ETCD_KEEPALIVE_TIMEOUT_MS } from '../../limits.ts';
import type { Clock } from '../../time/clock.ts';
import { roundsOf } from '../../time/rounds.ts';

export interface KeepaliveTimes {
  /** Between two HTTP/2 pings. etcd closes connections that ping more often than every 5 s, unless configured otherwise. */
  readonly timeMs: number;
  /** How much longer nothing at all may arrive. */
  readonly timeoutMs: number;
}

/** Looks at a connection until it counts as lost. */
const LOOKS = 20;

export class ChannelSilence {
  readonly #times: KeepaliveTimes;
  readonly #clock: Clock;
  readonly #isInUse: () => boolean;
  #leave: () => void = () => undefined;
  #bytes = -1;
  #heardMs = 0;

  constructor(times: KeepaliveTimes | undefined, clock: Clock, isInUse: () => boolean) {
    this.#times = times ?? { timeMs: ETCD_KEEPALIVE_TIME_MS, timeoutMs: ETCD_KEEPALIVE_TIMEOUT_MS };
    this.#clock = clock;
    this.#isInUse = isInUse;
  }

  /** A ping was sent, and should have been answered by now. */
  get isSuspicious(): boolean {
    const { timeMs, timeoutMs } = this.#times;
    return this.#clock.monotonicMs() - this.#heardMs > timeMs + timeoutMs / 4;
  }

  /** Watches `socket` from now on; it is destroyed after a silence that is too long. */
  watch(socket: Socket | undefined): void {
    this.end();
    if (socket === undefined) return;
    this.#bytes = -1;
    this.#look(socket);
    const { timeMs, timeoutMs } = this.#times;
    const leave = roundsOf(this.#clock, (timeMs + timeoutMs) / LOOKS).join(() => this.#look(socket));
    this.#leave = leave;
    socket.once('close', leave);
  }

  end(): void {
    this.#leave();
  }

  #look(socket: Socket): void {
    const { bytesRead } = socket;
    if (bytesRead !== this.#bytes || !this.#isInUse()) this.#heardMs = this.#clock.monotonicMs();
    this.#bytes = bytesRead;
    const silentMs = this.#clock.monotonicMs() - this.#heardMs;
    if (silentMs < this.#times.timeMs + this.#times.timeoutMs) return;
    this.end();
    socket.destroy(new Error(`nothing arrived for ${Math.round(silentMs)} ms`));
  }
}
