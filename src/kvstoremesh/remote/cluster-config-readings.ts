/**
 * Reads the cluster config of a remote repeatedly while the connection lasts.
 *
 * A watch of the key triggers reads. Reads continue without it: each also proves that the
 * connection works, since it is served by the quorum, and corrects events that the watch has
 * missed. A connection without any response for longer than a restart takes is lost.
 */

import type { PodCheckId } from '../../shared/diagnosis/pod-checks.ts';
import { asError } from '../../shared/errors.ts';
import { ClusterChangedError, PermissionDeniedError } from '../../shared/etcd/errors.ts';
import { clusterConfigKey } from '../../shared/etcd/keyspace.ts';
import type { EtcdClient } from '../../shared/etcd/types.ts';
import { CONFIG_READING_SPACING_MS } from '../../shared/limits.ts';
import type { RunObserver } from '../../shared/process/controller-runs.ts';
import type { Sink } from '../../shared/publisher/types.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { Trigger } from '../../shared/time/trigger.ts';
import { type ClusterConfig, ClusterConfigError, parseClusterConfig, sameClusterConfig } from '../cluster-config.ts';
import { ConnectionLostError, SourceReplacedError } from '../errors.ts';

export type ClusterConfigReading =
  | { readonly kind: 'present'; readonly config: ClusterConfig }
  /** Missing, or not readable: the reason and the remedy. */
  | { readonly kind: 'absent'; readonly reason: string; readonly check: PodCheckId };

export interface ReadingsOptions {
  readonly client: EtcdClient;
  readonly cluster: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly timing: ReadingsTiming;
  /** Receives changes of the key. */
  readonly changes: ConfigChanges;
  /** The quorum has responded to a request sent at that time, monotonic milliseconds. */
  readonly onAnswer?: (askedMs: number) => void;
  /** How many remote clusters are read. */
  readonly remotes?: (() => number) | undefined;
  /** Receives for each read whether it found a valid cluster config. */
  readonly onRead?: RunObserver | undefined;
}

export interface ReadingsTiming {
  /** Interval between two reads, while the cluster config is present and while it is absent. With many remotes the first is longer. */
  readonly presentMs: number;
  readonly absentMs: number;
  /** Between two reads at least, however often the key changes. */
  readonly leastMs: number;
  /** Without an answer for so long the connection is lost. */
  readonly silenceMs: number;
}

export const READINGS_TIMING: ReadingsTiming = {
  presentMs: 5_000,
  absentMs: 2_000,
  leastMs: 500,
  silenceMs: 15_000,
};

/** The receiver of the changes of a cluster config: it only triggers a read. */
export class ConfigChanges implements Sink {
  readonly changed = new Trigger();

  upsert(): void {
    this.changed.trigger();
  }

  remove(): void {
    this.changed.trigger();
  }

  /** A listing does not contain a missing key. */
  listed(): void {
    this.changed.trigger();
  }

  interrupted(): void {}
}

/**
 * Yields the first reading and every one that differs from the one before. Throws ConnectionLostError or
 * SourceReplacedError when the connection is no good, and the signal's reason when it is aborted.
 */
export async function* clusterConfigReadings(options: ReadingsOptions): AsyncGenerator<ClusterConfigReading, never> {
  const { clock, signal, timing, changes, remotes, onRead } = options;
  let last: ClusterConfigReading | undefined;
  let answeredMs = clock.monotonicMs();
  /** When the first of the reads that have failed since then was sent. */
  let failingMs: number | undefined;
  for (;;) {
    const askedMs = clock.monotonicMs();
    try {
      const reading = await read(options);
      onRead?.(reading.kind === 'present');
      if (last === undefined || !sameReading(last, reading)) {
        last = reading;
        yield reading;
      }
      answeredMs = clock.monotonicMs();
      failingMs = undefined;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asError(thrown);
      onRead?.(false);
      if (error instanceof ClusterChangedError) throw new SourceReplacedError(error.message);
      failingMs ??= askedMs;
      // Of the time before a read that failed no more counts than in a small mesh.
      const silentMs = clock.monotonicMs() - Math.max(answeredMs, failingMs - timing.presentMs);
      if (silentMs >= timing.silenceMs) {
        throw new ConnectionLostError(`no answer for ${Math.round(silentMs / 1000)} s: ${error.message}`, { cause: error });
      }
    }
    await clock.sleep(timing.leastMs, signal);
    const spacedMs = failingMs === undefined ? (remotes?.() ?? 0) * CONFIG_READING_SPACING_MS : 0;
    const pauseMs = last?.kind === 'present' ? Math.max(timing.presentMs, spacedMs) : timing.absentMs;
    await changes.changed.wait(Math.max(0, pauseMs - timing.leastMs), clock, signal);
  }
}

async function read({ client, cluster, clock, signal, onAnswer }: ReadingsOptions): Promise<ClusterConfigReading> {
  const key = clusterConfigKey(cluster);
  try {
    const askedMs = clock.monotonicMs();
    const found = await client.get(key, { signal });
    onAnswer?.(askedMs);
    if (found !== undefined) return { kind: 'present', config: parseClusterConfig(found.value) };
    return {
      kind: 'absent',
      check: 'cluster-config',
      reason: `the remote has no ${key}; check that the file is named after the cluster, and that its clustermesh-apiserver is running`,
    };
  } catch (thrown) {
    if (thrown instanceof ClusterConfigError) return { kind: 'absent', check: 'cluster-config', reason: thrown.message };
    if (thrown instanceof PermissionDeniedError) {
      return {
        kind: 'absent',
        check: 'permission',
        reason: `the remote does not permit reading ${key}; check that the file is named after the cluster, and which client certificate it uses`,
      };
    }
    throw thrown;
  }
}

function sameReading(a: ClusterConfigReading, b: ClusterConfigReading): boolean {
  if (a.kind === 'present') return b.kind === 'present' && sameClusterConfig(a.config, b.config);
  return b.kind === 'absent' && a.reason === b.reason;
}
