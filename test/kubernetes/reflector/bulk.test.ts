/** Very many objects, however they come. What it costs is reported, not asserted. */

import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { projectCiliumEndpoint } from '../../../src/shared/kubernetes/objects/projections.ts';
import { CILIUM_ENDPOINTS } from '../../../src/shared/kubernetes/objects/resources.ts';
import { HastyClock } from '../../support/clocks.ts';
import { until } from '../../support/until.ts';
import { ReflectorRun } from '../reflector-fixture.ts';
import type { BulkServerData } from './bulk-server.ts';

const bulks: readonly BulkServerData[] = [
  { shape: 'pages', count: 100_000 },
  { shape: 'whole', count: 30_000 },
  { shape: 'stream', count: 30_000 },
];

test.for(bulks)('fault 40: $count objects arrive complete and once each ($shape)', async (data) => {
  const { count, shape } = data;
  const worker = new Worker(new URL('./bulk-server.ts', import.meta.url), { workerData: data });
  try {
    const [port] = (await once(worker, 'message')) as [number];
    const delay = monitorEventLoopDelay({ resolution: 5 });
    const startedMs = performance.now();
    delay.enable();
    await using run = await ReflectorRun.start(`http://127.0.0.1:${port}`, {
      resource: CILIUM_ENDPOINTS,
      clock: new HastyClock(1),
      project: projectCiliumEndpoint,
    });
    await until('the list is complete', () => run.listings === 1, { withinMs: 100_000, status: () => run.status() });
    delay.disable();

    const tookMs = Math.round(performance.now() - startedMs);
    process.stdout.write(`  ${count} ${shape}: ${tookMs} ms, longest block ${Math.round(delay.max / 1e6)} ms\n`);
    expect(run.told).toHaveLength(count + 1);
    expect(run.objects.size).toBe(count);
    expect(run.objects.get('ns-49/pod-29999')).toEqual({
      metadata: { name: 'pod-29999', namespace: 'ns-49' },
      status: {
        encryption: {},
        identity: { id: 10_499 },
        networking: { addressing: [{ ipv4: '10.0.117.47' }], node: '172.18.0.2' },
        'named-ports': [{ name: 'http', port: 8080, protocol: 'TCP' }],
      },
    });
  } finally {
    await worker.terminate();
  }
});
