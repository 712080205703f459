/** The maximum throughput of an etcd: the same keys from memory, in full transactions, several in flight. */

import { createEtcdClient, type EtcdAdminClient } from '../src/shared/etcd/client.ts';
import type { EtcdConfig } from '../src/shared/etcd/config.ts';
import { NO_LEASE } from '../src/shared/etcd/types.ts';
import { MAX_TXN_OPERATIONS, MAX_TXNS_IN_FLIGHT } from '../src/shared/limits.ts';
import { silentLogger } from '../src/shared/process/log.ts';
import { systemClock } from '../src/shared/time/clock.ts';
import type { Entry } from './dataset.ts';

export function connect(target: string | EtcdConfig): EtcdAdminClient {
  const config = typeof target === 'string' ? { endpoints: [target] } : target;
  return createEtcdClient({ config, name: 'bench', log: silentLogger, clock: systemClock });
}

/** Writes `entries` to an etcd, on leases of 1000 keys like the daemons; returns the seconds it took. */
export async function fill(target: string | EtcdConfig, entries: Iterable<Entry>): Promise<number> {
  const client = connect(target);
  const { signal } = new AbortController();
  const source = Iterator.from(entries);
  const startMs = performance.now();
  const writer = async () => {
    let lease = NO_LEASE;
    for (let batches = 0; ; batches += 1) {
      // Values are made as they are needed: a million keys would not fit.
      const slice = taken(source, MAX_TXN_OPERATIONS);
      if (slice.length === 0) return;
      if (batches % 7 === 0) lease = await client.grantLease(900, { signal });
      await client.txn(
        slice.map(({ key, value }) => ({ type: 'put', key, value, lease })),
        { signal },
      );
    }
  };
  await Promise.all(Array.from({ length: MAX_TXNS_IN_FLIGHT }, writer));
  const seconds = (performance.now() - startMs) / 1000;
  client.close();
  return seconds;
}

/** The next `count` entries at most; `source` can be read further. */
function taken(source: Iterator<Entry>, count: number): Entry[] {
  const slice: Entry[] = [];
  while (slice.length < count) {
    const { done, value } = source.next();
    if (done === true) break;
    slice.push(value);
  }
  return slice;
}
