/** Runs something with a client of the etcd in a configuration file. */
import type { EtcdClient } from '../../shared/etcd/types.ts';
import { interruption } from '../../shared/process/interruption.ts';
import { withDeadline } from '../../shared/time/abort.ts';
import { systemClock } from '../../shared/time/clock.ts';

/** Client and signal of a run. */
export interface Run {
  readonly client: EtcdClient;
  readonly signal: AbortSignal;
}

/** Runs for at most that time or until it is interrupted. Rejects as `run` does, or with KvTimeoutError or EtcdConfigError. */
export async function withEtcd<T>(file: string, timeoutMs: number, run: (of: Run) => Promise<T>): Promise<T> {
  const { KvTimeoutError, openForReading } = await import('../../kvstoremesh/kv/client.ts');
  const client = await openForReading(file);
  const late = () => new KvTimeoutError(file, timeoutMs, client.state.lastError);
  try {
    return await withDeadline((signal) => run({ client, signal }), {
      ms: timeoutMs,
      late,
      clock: systemClock,
      signal: interruption(),
    });
  } finally {
    client.close();
  }
}
