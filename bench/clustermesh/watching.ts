/** What arrives in the local etcd, and when. */
import { keyOf, type Revision } from '../../src/shared/etcd/types.ts';
import { connect } from '../ceiling.ts';
import type { Etcd } from '../etcd.ts';

export interface Arrival {
  readonly key: string;
  readonly value: Uint8Array;
  /** By `performance.now`. */
  readonly ms: number;
}

/** Calls `onPut` for each key below `prefix` that is written, from the beginning, until it returns true or the signal is aborted. */
export async function eachPut(
  etcd: Etcd,
  prefix: string,
  signal: AbortSignal,
  onPut: (arrival: Arrival) => boolean,
): Promise<void> {
  const client = connect(etcd.config('root'));
  try {
    for await (const batch of client.watch(keyOf(prefix), { signal, from: 1 as Revision })) {
      if (batch.kind !== 'events') continue;
      const ms = performance.now();
      for (const event of batch.events) if (event.type === 'put' && onPut({ key: event.key, value: event.value, ms })) return;
    }
  } finally {
    client.close();
  }
}

/** Resolves with the time when the canaries of these kinds have been written. */
export async function exported(etcd: Etcd, cluster: string, kinds: readonly string[], signal: AbortSignal): Promise<number> {
  const missing = new Set(kinds.map((kind) => `cilium/synced/${cluster}/cilium/state/${kind}/v1`));
  let lastMs = Number.NaN;
  await eachPut(etcd, `cilium/synced/${cluster}/`, signal, ({ key, ms }) => {
    missing.delete(key);
    lastMs = ms;
    return missing.size === 0;
  });
  return lastMs;
}
