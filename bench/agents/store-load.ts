/** The local etcd as agents find it: keys of mirrored clusters, and their changes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type EtcdClient, keyOf, NO_LEASE, type TxnOperation } from '../../src/shared/etcd/types.ts';
import { MAX_TXN_OPERATIONS, MAX_TXNS_IN_FLIGHT } from '../../src/shared/limits.ts';
import { fill } from '../ceiling.ts';
import type { Entry } from '../dataset.ts';
import { clusterKeys, type KeyKind, nowGeneration } from '../light/cluster-keys.ts';
import type { Shape } from '../light/shape.ts';

/** Changes within this time are in one transaction, as those of a busy mirror. */
const ROUND_MS = 10;
/** Of the changes: 1 of an endpoint to 0.2 of an identity. */
const ENDPOINTS_PART = 1 / 1.2;

export interface MirroredCluster {
  readonly name: string;
  readonly kinds: readonly KeyKind[];
}

export function mirroredClusters(count: number, shape: Shape): readonly MirroredCluster[] {
  return Array.from({ length: count }, (_, at) => {
    const name = `c${String(at + 1).padStart(3, '0')}`;
    return { name, kinds: clusterKeys({ name, id: at + 1, shape, root: 'cache' }) };
  });
}

/** Writes all keys, and the heartbeat of the own cluster. Returns how many there are below `cilium/cache/`. */
export async function load(endpoint: string, clusters: readonly MirroredCluster[]): Promise<number> {
  let keys = 0;
  for (const { kinds } of clusters) {
    const entries: Entry[] = kinds.flatMap(({ prefix, count, name, value }) =>
      Array.from({ length: count }, (_, at) => ({ key: keyOf(prefix + name(at)), value: value(at, 0) })),
    );
    keys += entries.filter(({ key }) => key.startsWith('cilium/cache/')).length;
    await fill(endpoint, entries);
  }
  await fill(endpoint, [{ key: keyOf('cilium/.heartbeat'), value: Buffer.from('2026-01-01T00:00:00Z') }]);
  return keys;
}

/**
 * Rewrites endpoints and identities of all clusters at `perSecond` altogether, with as many transactions in flight as the mirror
 * has. Resolves with how many changes there were, and in how many transactions.
 */
export async function change(
  client: EtcdClient,
  clusters: readonly MirroredCluster[],
  perSecond: number,
  seconds: number,
): Promise<{ readonly changes: number; readonly transactions: number }> {
  const signal = AbortSignal.timeout(seconds * 1000 + 120_000);
  const startMs = performance.now();
  const inFlight = new Set<Promise<unknown>>();
  let [changes, transactions] = [0, 0];
  for (;;) {
    const elapsedSeconds = (performance.now() - startMs) / 1000;
    if (elapsedSeconds >= seconds) break;
    const due = Math.min(MAX_TXN_OPERATIONS, Math.floor(elapsedSeconds * perSecond) - changes);
    if (due > 0) {
      const operations = new Map<string, TxnOperation>();
      while (operations.size < due) {
        const put = randomPut(clusters);
        operations.set(put.key, put);
      }
      const transaction = client.txn([...operations.values()], { signal });
      const settled = transaction.finally(() => inFlight.delete(settled));
      inFlight.add(settled);
      changes += due;
      transactions += 1;
    }
    if (inFlight.size >= MAX_TXNS_IN_FLIGHT) await Promise.race(inFlight);
    else if (due < MAX_TXN_OPERATIONS) await sleep(ROUND_MS);
  }
  await Promise.all(inFlight);
  return { changes, transactions };
}

function randomPut(clusters: readonly MirroredCluster[]): TxnOperation {
  const { kinds } = clusters[Math.floor(Math.random() * clusters.length)] as MirroredCluster;
  const part = Math.random() < ENDPOINTS_PART ? 'cilium/cache/ip/' : 'cilium/cache/identities/';
  const { prefix, count, name, value } = kinds.find((kind) => kind.prefix.startsWith(part)) as KeyKind;
  const position = Math.floor(Math.random() * count);
  return { type: 'put', key: keyOf(prefix + name(position)), value: value(position, nowGeneration()), lease: NO_LEASE };
}
