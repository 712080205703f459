import { afterEach, expect, test } from 'vitest';
import { createRegistry, Registry } from '../../src/shared/http/metrics.ts';
import { type HttpServer, serveMetrics } from '../../src/shared/http/server.ts';
import { PublisherMetrics } from '../../src/shared/publisher/metrics.ts';
import type { Publisher, Section, SectionStats } from '../../src/shared/publisher/types.ts';
import { type Clock, systemClock } from '../../src/shared/time/clock.ts';

const stop = new AbortController();
let server: HttpServer | undefined;

afterEach(() => server?.close());

test('a scrape shows the version, the process, and what was registered', async () => {
  const registry = createRegistry('cilium_kvstoremesh_', { version: '1.2.3', revision: 'abc', arch: 'amd64' });
  registry.gauge('remote_clusters', 'Remote clusters').set(3);
  server = await serveMetrics(registry, {
    address: { host: '127.0.0.1', port: 0 },
    flag: 'prometheus-serve-addr',
    signal: stop.signal,
  });

  const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
  const body = await response.text();

  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(body).toContain('\ncilium_kvstoremesh_version{version="1.2.3",revision="abc",arch="amd64"} 1\n');
  expect(body).toContain('\ncilium_kvstoremesh_remote_clusters 3\n');
  expect(body).toMatch(/^process_resident_memory_bytes \d/m);
  expect(body).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
  expect((await fetch(`http://127.0.0.1:${server.port}/`)).status).toBe(404);
});

/** The two properties of a section that its series are made of. */
function fakeSection(
  scope: string,
  cluster: string,
): { section: Section; stats: { -readonly [K in keyof SectionStats]: SectionStats[K] } } {
  const stats = { desired: 0, bytes: 0, pending: 0, listed: false, synced: false };
  return { stats, section: { options: { scope, cluster }, stats } as unknown as Section };
}

test('a section has its series from its addition to its removal', async () => {
  const registry = new Registry('t_');
  let nowMs = 1_000;
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
  const metrics = new PublisherMetrics(registry, clock);
  const nodes = fakeSection('nodes/v1', 'east');
  const others = fakeSection('nodes/v1', 'west');
  metrics.addSection(nodes.section, () => nodes.stats.listed);
  metrics.addSection(others.section);

  expect(await registry.metrics()).toContain(
    't_kvstore_initial_sync_completed{scope="nodes/v1",source_cluster="east",action="write"} 0',
  );
  expect(await registry.metrics()).toContain(
    't_kvstore_initial_sync_completed{scope="nodes/v1",source_cluster="east",action="read"} 0',
  );
  // What does not come from an etcd is not read.
  expect(await registry.metrics()).not.toContain('source_cluster="west",action="read"');
  expect(await registry.metrics()).toContain('t_kvstore_sync_errors_total{scope="nodes/v1",source_cluster="east"} 0');
  // Rejections of a mirrored section begin with the first one.
  expect(await registry.metrics()).not.toContain('t_publisher_rejected_keys_total{scope="nodes/v1",source_cluster="east"');
  expect(await registry.metrics()).toContain(
    't_publisher_rejected_keys_total{scope="nodes/v1",source_cluster="west",reason="key_too_large"} 0',
  );

  nowMs = 3_500;
  Object.assign(nodes.stats, { pending: 7, listed: true, synced: true });
  metrics.synced('nodes/v1', 'east');
  metrics.syncError('nodes/v1', 'east');
  metrics.rejected('key_too_large', 'nodes/v1', 'east');
  const scrape = await registry.metrics();
  expect(scrape).toContain('t_kvstore_sync_queue_size{scope="nodes/v1",source_cluster="east"} 7');
  expect(scrape).toContain('t_kvstore_initial_sync_completed{scope="nodes/v1",source_cluster="east",action="read"} 1');
  expect(scrape).toContain('t_kvstore_initial_sync_completed{scope="nodes/v1",source_cluster="east",action="write"} 1');
  expect(scrape).toContain('t_kvstore_initial_sync_completed{scope="nodes/v1",source_cluster="west",action="write"} 0');
  expect(scrape).toContain('t_publisher_initial_sync_seconds{scope="nodes/v1",source_cluster="east"} 2.5');
  expect(scrape).toContain('t_kvstore_sync_errors_total{scope="nodes/v1",source_cluster="east"} 1');
  expect(scrape).toMatch(/t_publisher_rejected_keys_total\{scope="nodes\/v1",source_cluster="east",reason="key_too_large"\} 1/);

  metrics.removeSection(nodes.section);
  metrics.removeSection(nodes.section);
  expect(await registry.metrics()).not.toContain('source_cluster="east"');
  expect(await registry.metrics()).toContain('source_cluster="west"');
});

test('an etcd that is watched for other reasons shows whether it was read', async () => {
  const registry = new Registry('t_');
  const metrics = new PublisherMetrics(registry, systemClock);
  let isListed: boolean | undefined;
  metrics.addWatched({ scope: 'cilium/clust', cluster: 'east', isListed: () => isListed });
  const series = 't_kvstore_initial_sync_completed{scope="cilium/clust",source_cluster="east",action="read"}';
  expect(await registry.metrics()).not.toContain(series);
  isListed = false;
  expect(await registry.metrics()).toContain(`${series} 0\n`);
  isListed = true;
  expect(await registry.metrics()).toContain(`${series} 1\n`);
});

test('transactions and repairs of a publisher are counted, its totals read at the scrape', async () => {
  const registry = new Registry('t_');
  const metrics = new PublisherMetrics(registry, systemClock);
  metrics.setPublisher({ stats: { pending: 5, inFlight: 2, keys: 100, leases: 1, failing: undefined } } as Publisher);
  metrics.transaction(128);
  metrics.transaction(1);
  metrics.repair('deleted', 3);

  const scrape = await registry.metrics();
  expect(scrape).toContain('t_publisher_batch_operations_bucket{le="64"} 1');
  expect(scrape).toContain('t_publisher_batch_operations_bucket{le="128"} 2');
  expect(scrape).toContain('t_publisher_repairs_total{reason="deleted"} 3');
  expect(scrape).toContain('t_publisher_repairs_total{reason="overwritten"} 0');
  expect(scrape).toContain('t_publisher_pending_keys 5');
  expect(scrape).toContain('t_publisher_keys 100');
});
