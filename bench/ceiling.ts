/** The maximum throughput of an etcd: the same keys from memory, in full transactions, several in flight. */

import { createEtcdClient } from '../src/shared/etcd/client.ts';
import { type EtcdClient, NO_LEASE } from '../src/shared/etcd/types.ts';
import { MAX_TXN_OPERATIONS, MAX_TXNS_IN_FLIGHT } from '../src/shared/limits.ts';
import { silentLogger } from '../src/shared/process/log.ts';
import { systemClock } from '../src/shared/time/clock.ts';
import type { Entry } from './dataset.ts';
import { startEtcd } from './etcd.ts';

export function connect(endpoint: string): EtcdClient {
  return createEtcdClient({ config: { endpoints: [endpoint] }, name: 'bench', log: silentLogger, clock: systemClock });
}

/** Writes `entries` to `endpoint`, on leases of 1000 keys like the daemons; returns the seconds it took. */
export async function fill(endpoint: string, entries: readonly Entry[]): Promise<number> {
  const client = connect(endpoint);
  const { signal } = new AbortController();
  const startMs = performance.now();
  let next = 0;
  const writer = async () => {
    let lease = NO_LEASE;
    for (let batches = 0; next < entries.length; batches += 1) {
      const slice = entries.slice(next, next + MAX_TXN_OPERATIONS);
      next += slice.length;
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

export async function ceiling(entries: readonly Entry[]): Promise<number> {
  const etcd = await startEtcd();
  try {
    return await fill(etcd.endpoint, entries);
  } finally {
    await etcd.stop();
  }
}
