/**
 * How long one request to the status API and one scrape keep everything else waiting, with as many remote clusters as a mesh
 * can have. Without any etcd: nothing is connected.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { ImportGuard } from '../../src/kvstoremesh/import-guard/guard.ts';
import { ClusterIds } from '../../src/kvstoremesh/remote/cluster-ids.ts';
import { RemoteClusters } from '../../src/kvstoremesh/remote/clusters.ts';
import { registerMeshMetrics } from '../../src/kvstoremesh/status/mesh-metrics.ts';
import { registerRemoteMetrics } from '../../src/kvstoremesh/status/remote-metrics.ts';
import { remoteClusterStatuses } from '../../src/kvstoremesh/status/status.ts';
import { UnavailableError } from '../../src/shared/etcd/errors.ts';
import { type EtcdClient, keyOf } from '../../src/shared/etcd/types.ts';
import { joinInSlices, jsonPieces } from '../../src/shared/http/in-slices.ts';
import { Registry } from '../../src/shared/http/metrics.ts';
import { MAX_REMOTE_CLUSTERS } from '../../src/shared/limits.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { PublisherMetrics } from '../../src/shared/publisher/metrics.ts';
import { createPublisher } from '../../src/shared/publisher/publisher.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import type { Figure } from '../frame/row.ts';

const OWN = { name: 'own', id: 1, maxConnectedClusters: 511 };
const LIMITS = { keys: 0, bytes: 0, 'key-size': 0, 'value-size': 0, 'change-rate': 0 };

export async function runStatus(): Promise<Figure[]> {
  const registry = new Registry('bench_');
  const stop = new AbortController();
  const [clock, log, metrics] = [systemClock, silentLogger, new PublisherMetrics(registry, systemClock)];
  const client = { get: () => Promise.reject(new UnavailableError('none')), close: () => undefined } as unknown as EtcdClient;
  const publisher = createPublisher({ client, root: keyOf('cilium/'), leaseTtlSeconds: 900, clock, log, observer: metrics });
  metrics.setPublisher(publisher);
  const remotes = new RemoteClusters({
    context: {
      ...{ own: OWN, local: client, publisher, metrics, onQuorumError: () => undefined, ids: new ClusterIds(OWN, false) },
      ...{ serviceFormat: 'prefer-legacy', limits: LIMITS, guard: new ImportGuard('off', OWN), cacheTtlMs: 0, clock, log },
      open: () => Promise.reject(new UnavailableError('none')),
    },
    drainGraceMs: undefined,
    signal: stop.signal,
  });
  registerRemoteMetrics(registry, () => remotes.all, LIMITS);
  registerMeshMetrics(registry, { clusters: () => remotes.all, draining: () => remotes.draining, rejected: () => 0 });
  for (let at = 0; at < MAX_REMOTE_CLUSTERS; at += 1) remotes.apply({ kind: 'added', cluster: `c${at}`, path: '/none' });
  const idle = await measured(() => sleep(20));
  const plain = await measured(async () => JSON.stringify(remoteClusterStatuses(remotes.all)));
  const status = await measured(async () => await joinInSlices(jsonPieces(remoteClusterStatuses(remotes.all))));
  const scrape = await measured(() => registry.metrics());
  stop.abort(new Error('done'));
  await remotes.ended().catch(() => undefined);
  const base = { name: 'the same loop, idle', value: idle[1] };
  return [
    { name: 'status request', unit: 'ms', value: status[0], base: { name: 'the same in one turn', value: plain[0] } },
    { name: 'status request, longest block', unit: 'ms', value: status[1], base },
    { name: 'scrape', unit: 'ms', value: scrape[0], base: { name: 'a status request in one turn', value: plain[0] } },
    { name: 'scrape, longest block', unit: 'ms', value: scrape[1], base },
  ];
}

/** How long `work` takes, and the longest delay of the event loop during it. */
async function measured(work: () => Promise<unknown>): Promise<[number, number]> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await sleep(20);
  delay.reset();
  const startMs = performance.now();
  await work();
  const tookMs = performance.now() - startMs;
  await sleep(5);
  delay.disable();
  return [tookMs, delay.max / 1e6];
}
