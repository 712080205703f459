/**
 * What a remote says of itself, read again and again for as long as the connection lasts.
 *
 * A read is also the proof that the connection works: it goes to the quorum and back. The rights of a
 * remote user cover the single key and no range around it, hence reads rather than a watch. A connection
 * without any answer for longer than a restart takes is lost.
 */
import type { Clock } from '../shared/clock.ts';
import { asError } from '../shared/errors.ts';
import { ClusterChangedError, PermissionDeniedError } from '../shared/etcd/errors.ts';
import type { EtcdClient } from '../shared/etcd/types.ts';
import { type ClusterConfig, ClusterConfigError, parseClusterConfig, sameClusterConfig } from './cluster-config.ts';
import { ConnectionLostError, SourceReplacedError } from './errors.ts';
import { clusterConfigKey } from './mappings.ts';

export type ClusterConfigReading =
  | { readonly kind: 'present'; readonly config: ClusterConfig }
  /** Missing, or not readable: the reason and the remedy. */
  | { readonly kind: 'absent'; readonly reason: string };

export interface ReadingsOptions {
  readonly client: EtcdClient;
  readonly cluster: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly timing: ReadingsTiming;
}

export interface ReadingsTiming {
  /** Between two reads, while the remote says what it is and while it does not. */
  readonly presentMs: number;
  readonly absentMs: number;
  /** Without an answer for so long the connection is lost. */
  readonly silenceMs: number;
}

export const READINGS_TIMING: ReadingsTiming = { presentMs: 5_000, absentMs: 2_000, silenceMs: 15_000 };

/**
 * Yields the first reading and every one that differs from the one before. Throws ConnectionLostError or
 * SourceReplacedError when the connection is no good, and the signal's reason when it is aborted.
 */
export async function* clusterConfigReadings(options: ReadingsOptions): AsyncGenerator<ClusterConfigReading, never> {
  const { client, cluster, clock, signal, timing } = options;
  let last: ClusterConfigReading | undefined;
  let answeredMs = clock.monotonicMs();
  for (;;) {
    try {
      const reading = await read(client, cluster, signal);
      if (last === undefined || !sameReading(last, reading)) {
        last = reading;
        yield reading;
      }
      answeredMs = clock.monotonicMs();
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asError(thrown);
      if (error instanceof ClusterChangedError) throw new SourceReplacedError(error.message);
      const silentMs = clock.monotonicMs() - answeredMs;
      if (silentMs >= timing.silenceMs) {
        throw new ConnectionLostError(`no answer for ${Math.round(silentMs / 1000)} s: ${error.message}`, { cause: error });
      }
    }
    await clock.sleep(last?.kind === 'present' ? timing.presentMs : timing.absentMs, signal);
  }
}

async function read(client: EtcdClient, cluster: string, signal: AbortSignal): Promise<ClusterConfigReading> {
  const key = clusterConfigKey(cluster);
  try {
    const found = await client.get(key, { signal });
    if (found !== undefined) return { kind: 'present', config: parseClusterConfig(found.value) };
    return {
      kind: 'absent',
      reason: `the remote has no ${key}; check that the entry has the name of the cluster, and that its clustermesh-apiserver runs`,
    };
  } catch (thrown) {
    if (thrown instanceof ClusterConfigError) return { kind: 'absent', reason: thrown.message };
    if (thrown instanceof PermissionDeniedError) {
      return {
        kind: 'absent',
        reason: `the remote denies reading ${key}; check that the entry has the name of the cluster, and whose certificate it uses`,
      };
    }
    throw thrown;
  }
}

function sameReading(a: ClusterConfigReading, b: ClusterConfigReading): boolean {
  if (a.kind === 'present') return b.kind === 'present' && sameClusterConfig(a.config, b.config);
  return b.kind === 'absent' && a.reason === b.reason;
}
