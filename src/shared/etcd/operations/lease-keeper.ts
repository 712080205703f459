/**
 * Keeps leases alive, all of them over one stream.
 *
 * Each lease is refreshed every third of its TTL, by the monotonic clock, and all of them when a
 * lost connection returns. Only the server decides whether a lease exists: neither a disconnection nor
 * a long silence loses a lease, a response with a TTL of 0 does.
 */

import { asError } from '../../errors.ts';
import { ETCD_BACKOFF_MAX_MS, ETCD_BACKOFF_MIN_MS, ETCD_CALL_TIMEOUT_MS } from '../../limits.ts';
import type { Logger } from '../../process/log.ts';
import { ENDED } from '../../time/abort.ts';
import { Backoff } from '../../time/backoff.ts';
import type { Clock } from '../../time/clock.ts';
import type { OpenStream, Transport } from '../connection/transport.ts';
import { DeadlineError, EtcdError, UnavailableError } from '../errors.ts';
import type { LeaseId } from '../types.ts';
import { decodeLease, encodeLeaseId } from '../wire/messages.ts';
import { LEASE_KEEP_ALIVE } from '../wire/methods.ts';

export interface LeaseKeeperParts {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Listener {
  readonly onLost: () => void;
  readonly onKept: ((askedMs: number) => void) | undefined;
}

interface KeptLease {
  readonly listeners: Set<Listener>;
  periodMs: number;
  dueMs: number;
  /** When the request was sent that is not answered yet. */
  sentMs: number | undefined;
}

export class LeaseKeeper {
  readonly #parts: LeaseKeeperParts;
  readonly #kept = new Map<LeaseId, KeptLease>();
  readonly #stop = new AbortController();
  #isRunning = false;
  #wake = new AbortController();

  constructor(parts: LeaseKeeperParts) {
    this.#parts = parts;
  }

  /** See `EtcdClient.keepLease`. The first refresh is at once: an adopted lease may be about to expire. */
  keep(lease: LeaseId, ttlSeconds: number, onLost: () => void, onKept?: (askedMs: number) => void): () => void {
    const listener = { onLost, onKept };
    const kept = this.#kept.get(lease) ?? { listeners: new Set(), periodMs: 0, dueMs: 0, sentMs: undefined };
    kept.listeners.add(listener);
    kept.periodMs = (ttlSeconds * 1000) / 3;
    kept.dueMs = this.#parts.clock.monotonicMs();
    this.#kept.set(lease, kept);
    this.#wake.abort(ENDED);
    if (!this.#isRunning && !this.#stop.signal.aborted) void this.#run();
    return () => {
      kept.listeners.delete(listener);
      if (kept.listeners.size === 0 && this.#kept.get(lease) === kept) this.#kept.delete(lease);
      this.#wake.abort(ENDED);
    };
  }

  close(): void {
    this.#kept.clear();
    this.#stop.abort(new Error('the etcd client was closed'));
    this.#wake.abort(ENDED);
  }

  async #run(): Promise<void> {
    const { transport } = this.#parts;
    const backoff = new Backoff({ minMs: ETCD_BACKOFF_MIN_MS, maxMs: ETCD_BACKOFF_MAX_MS });
    this.#isRunning = true;
    while (this.#kept.size > 0 && !transport.isClosed) {
      try {
        await this.#session(() => backoff.reset());
      } catch (thrown) {
        this.#parts.log.debug({ reason: asError(thrown).message }, 'keep-alive stream ended');
        await transport.pause(backoff, this.#stop.signal).catch(() => undefined);
      }
    }
    this.#isRunning = false;
  }

  /** One stream. Resolves when no lease is left to keep, or when the stream is to move to another connection. */
  async #session(onAnswer: () => void): Promise<void> {
    const { transport, clock } = this.#parts;
    let isRetired = false;
    await transport.ready(this.#stop.signal);
    const open = transport.open(LEASE_KEEP_ALIVE, () => {
      isRetired = true;
      open.close();
    });
    for (const kept of this.#kept.values()) {
      kept.dueMs = clock.monotonicMs();
      kept.sentMs = undefined;
    }
    try {
      await Promise.race([this.#refresh(open), this.#receive(open, onAnswer)]);
    } catch (thrown) {
      if (isRetired) return;
      const error = transport.streamError(thrown, LEASE_KEEP_ALIVE, open.channel);
      if (error instanceof EtcdError) transport.failed(open.channel, error);
      throw error;
    } finally {
      open.close();
      // Ends the other one of the two.
      this.#wake.abort(ENDED);
    }
  }

  /** Sends a request for each lease that is due; returns when none is left. */
  async #refresh({ stream, isClosed }: OpenStream): Promise<void> {
    const { clock } = this.#parts;
    while (this.#kept.size > 0 && !isClosed()) {
      if (this.#wake.signal.aborted) this.#wake = new AbortController();
      const nowMs = clock.monotonicMs();
      let nextMs = Number.POSITIVE_INFINITY;
      for (const [lease, kept] of this.#kept) {
        if (kept.sentMs === undefined && kept.dueMs <= nowMs) {
          kept.sentMs = nowMs;
          stream.send(encodeLeaseId(lease));
        }
        const eventMs = kept.sentMs === undefined ? kept.dueMs : kept.sentMs + ETCD_CALL_TIMEOUT_MS;
        if (eventMs <= nowMs) throw new DeadlineError(LEASE_KEEP_ALIVE.name, ETCD_CALL_TIMEOUT_MS);
        nextMs = Math.min(nextMs, eventMs);
      }
      await clock.sleep(nextMs - nowMs, this.#wake.signal).catch(() => undefined);
    }
  }

  async #receive({ stream }: OpenStream, onAnswer: () => void): Promise<void> {
    const { transport, clock } = this.#parts;
    const { pin } = transport;
    for (;;) {
      const message = await stream.next();
      if (message === undefined) throw new UnavailableError('the server ended the keep-alive stream');
      const { header, id: lease, ttl } = decodeLease(message);
      stream.settle(message.length);
      transport.contact(pin, header);
      onAnswer();
      const kept = this.#kept.get(lease);
      if (kept === undefined) continue;
      if (ttl <= 0n) {
        this.#kept.delete(lease);
        for (const { onLost } of kept.listeners) queueMicrotask(() => onLost());
      } else {
        if (kept.sentMs !== undefined) for (const { onKept } of kept.listeners) onKept?.(kept.sentMs);
        kept.dueMs = clock.monotonicMs() + kept.periodMs;
      }
      kept.sentMs = undefined;
      this.#wake.abort(ENDED);
    }
  }
}
