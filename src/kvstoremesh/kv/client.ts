/** A client that only reads, of the etcd in a configuration file. */
import { ProgramError } from '../../shared/errors.ts';
import { createEtcdClient } from '../../shared/etcd/client.ts';
import { readEtcdConfig } from '../../shared/etcd/config.ts';
import type { EtcdClient } from '../../shared/etcd/types.ts';
import { silentLogger } from '../../shared/process/log.ts';
import { systemClock } from '../../shared/time/clock.ts';

/** An etcd has not answered all requests in time. */
export class KvTimeoutError extends ProgramError {
  readonly code = 'KV_TIMEOUT';
  readonly retriable = true;

  constructor(file: string, timeoutMs: number, cause: Error | undefined) {
    const reason = cause === undefined ? '' : ` (${cause.message})`;
    super(
      `the etcd of ${file} did not answer within ${timeoutMs / 1000} s${reason}; raise --timeout, or check it with troubleshoot`,
    );
  }
}

/** The caller closes it. Rejects with EtcdConfigError. */
export async function openForReading(file: string): Promise<EtcdClient> {
  const config = await readEtcdConfig(file);
  return createEtcdClient({ config, name: file, log: silentLogger, clock: systemClock, readOnly: true });
}
