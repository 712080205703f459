/**
 * How long a scrape of many remote clusters blocks the event loop, compared with the library's own implementation.
 *
 * Processor time of this thread, so that other processes do not count.
 */
import { Registry as PrometheusRegistry } from 'prom-client';
import { Registry } from '../../src/shared/http/metrics.ts';
import type { Figure } from '../frame/row.ts';

const CLUSTERS = 511;
const SCOPES = ['nodes/v1', 'identities/v1', 'ip/v1', 'services/v1', 'endpointslices/v1', 'serviceexports/v1'];
const GAUGES = 20;
const HISTOGRAMS = 2;

export async function runScrape(): Promise<Figure[]> {
  const registry = filled();
  await registry.render();
  const library = await longestBlock(() => PrometheusRegistry.prototype.metrics.call(registry));
  const here = await longestBlock(() => registry.render());
  return [{ name: 'longest block', unit: 'ms', value: here, base: { name: 'the library alone', value: library } }];
}

function filled(): Registry {
  const registry = new Registry('bench_');
  for (let family = 0; family < GAUGES; family += 1) {
    const gauge = registry.gauge(`gauge_${family}`, 'A gauge', ['source_cluster', 'scope']);
    for (const source_cluster of clusters()) for (const scope of SCOPES) gauge.set({ source_cluster, scope }, family);
  }
  for (let family = 0; family < HISTOGRAMS; family += 1) {
    const histogram = registry.histogram(`histogram_${family}_seconds`, 'A histogram', ['source_cluster']);
    for (const source_cluster of clusters()) histogram.observe({ source_cluster }, family);
  }
  return registry;
}

function clusters(): string[] {
  return Array.from({ length: CLUSTERS }, (_, index) => `cluster-${index}`);
}

/** The most processor time, in milliseconds, between two turns of the event loop while `work` is done. */
async function longestBlock(work: () => Promise<unknown>): Promise<number> {
  let longestMs = 0;
  let lastMs = processorMs();
  let isDone = false;
  const watch = () => {
    const nowMs = processorMs();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
    if (!isDone) setImmediate(watch);
  };
  setImmediate(watch);
  await new Promise((resolve) => setImmediate(resolve));
  await work();
  await new Promise((resolve) => setImmediate(resolve));
  isDone = true;
  return longestMs;
}

function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
