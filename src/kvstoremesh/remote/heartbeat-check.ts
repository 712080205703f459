/**
 * Detects a connection that responds but whose watches receive no events.
 *
 * Every cluster rewrites its heartbeat once a minute. After two minutes without an event the key is
 * read: a value that no event delivered means that events are lost, and the connection must be replaced.
 * The same value means that it is not written. That counts as a failure, as in the original, but the connection
 * is kept: it responds, and a new one would not change this.
 */

import { HEARTBEAT_KEY } from '../../shared/etcd/keyspace.ts';
import type { EtcdClient } from '../../shared/etcd/types.ts';
import { MAX_HEARTBEAT_BYTES } from '../../shared/limits.ts';
import { HEARTBEAT_INTERVAL_MS } from '../../shared/publisher/heartbeat.ts';
import type { Sink } from '../../shared/publisher/types.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { ConnectionLostError } from '../errors.ts';

/** Two heartbeats, the limit of the original. */
const SILENCE_MS = 2 * HEARTBEAT_INTERVAL_MS;
/** How long the event of a value that was read may be delayed. */
const EVENT_DELAY_MS = 10_000;

/** The receiver of the heartbeat's changes. */
export class Heartbeat implements Sink {
  readonly #clock: Clock;
  #value: Buffer | undefined;
  #seenMs: number;
  #wasHeard = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#seenMs = clock.monotonicMs();
  }

  get silentMs(): number {
    return this.#clock.monotonicMs() - this.#seenMs;
  }

  has(value: Uint8Array): boolean {
    return this.#value?.equals(cut(value)) ?? false;
  }

  /** An event of it arrived since the last `restart`. */
  get wasHeard(): boolean {
    return this.#wasHeard;
  }

  /** Counts as seen now, though not by an event. */
  restart(): void {
    this.#seenMs = this.#clock.monotonicMs();
    this.#wasHeard = false;
  }

  upsert(_key: unknown, value: Uint8Array): void {
    this.#value = Buffer.from(cut(value));
    this.#seenMs = this.#clock.monotonicMs();
    this.#wasHeard = true;
  }

  remove(): void {}

  listed(): void {}

  interrupted(): void {}
}

function cut(value: Uint8Array): Uint8Array {
  return value.subarray(0, MAX_HEARTBEAT_BYTES);
}

export interface HeartbeatCheckOptions {
  readonly client: EtcdClient;
  readonly heartbeat: Heartbeat;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The heartbeat was not written for two of its intervals; called repeatedly while that lasts. */
  readonly onSilent: () => void;
  /** It is written again. */
  readonly onBeating: () => void;
}

/** Runs until the signal is aborted; rejects with ConnectionLostError when events are lost. */
export async function checkHeartbeat(options: HeartbeatCheckOptions): Promise<never> {
  const { heartbeat, clock, signal, onSilent, onBeating } = options;
  let isSilent = false;
  for (;;) {
    await clock.sleep(Math.max(EVENT_DELAY_MS, SILENCE_MS - heartbeat.silentMs), signal);
    if (heartbeat.silentMs < SILENCE_MS) {
      // A sleep may end a moment early: that alone is no sign of life.
      if (isSilent && heartbeat.wasHeard) {
        onBeating();
        isSilent = false;
      }
    } else if (await isUnwritten(options)) {
      isSilent = true;
      heartbeat.restart();
      onSilent();
    }
  }
}

/** True if the heartbeat is unchanged, false if it is unknown or was just read for the first time. */
async function isUnwritten({ client, heartbeat, clock, signal }: HeartbeatCheckOptions): Promise<boolean> {
  let value: Buffer | undefined;
  try {
    const written = await client.get(HEARTBEAT_KEY, { signal });
    if (written !== undefined) value = Buffer.from(cut(written.value));
  } catch {
    // Other code checks whether the remote responds at all.
    signal.throwIfAborted();
    return false;
  }
  if (value === undefined || heartbeat.has(value)) return true;
  await clock.sleep(EVENT_DELAY_MS, signal);
  if (!heartbeat.has(value) && heartbeat.silentMs >= SILENCE_MS) {
    throw new ConnectionLostError('the heartbeat of the remote was written, but the watch received no event');
  }
  return false;
}
