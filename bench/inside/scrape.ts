/**
 * What a scrape of many remote clusters costs and how long it blocks the event loop, compared with the library's own
 * implementation: the same series, in the proportions of a kvstoremesh.
 *
 * Processor time of this thread, so that other processes do not count.
 */
import { Gauge, Histogram, Registry as PrometheusRegistry } from 'prom-client';
import { Registry } from '../../src/shared/http/metrics.ts';
import type { Figure } from '../frame/row.ts';

const SCOPES = ['nodes/v1', 'identities/v1', 'ip/v1', 'services/v1', 'endpointslices/v1', 'serviceexports/v1'];
const CLUSTERS = Array.from({ length: 511 }, (_, index) => `cluster-${index}`);
/** Families with a series for each scope of each cluster, families with one for each cluster, and histograms of each cluster. */
const OF_SCOPES = 10;
const OF_CLUSTERS = 14;
const HISTOGRAMS = 4;
/** The first ones compile what they use. */
const WARM_UP = 3;
const SCRAPES = 10;

export async function runScrape(): Promise<Figure[]> {
  const [own, theirs] = [ownRegistry(), libraryRegistry()];
  const here = await measured(() => own.render());
  const library = await measured(() => theirs.metrics());
  const base = (value: number) => ({ base: { name: 'the library alone', value } });
  return [
    { name: 'processor time', unit: 'ms', value: here.cpuMs, ...base(library.cpuMs) },
    { name: 'longest block', unit: 'ms', value: here.longestMs, ...base(library.longestMs) },
  ];
}

function ownRegistry(): Registry {
  const registry = new Registry('bench_');
  const clusters = { labelNames: ['source_cluster'], rows: () => CLUSTERS, labels: (cluster: string) => [cluster] };
  for (let family = 0; family < OF_SCOPES; family += 1) {
    const column = { label: 'scope', values: SCOPES };
    registry.gaugeFrom(`scopes_${family}`, 'A gauge', { ...clusters, column, value: () => family });
  }
  for (let family = 0; family < OF_CLUSTERS; family += 1)
    registry.gaugeFrom(`clusters_${family}`, 'A gauge', { ...clusters, value: () => family });
  for (let family = 0; family < HISTOGRAMS; family += 1) {
    const histogram = registry.histogram(`histogram_${family}_seconds`, 'A histogram', ['source_cluster']);
    for (const source_cluster of CLUSTERS) histogram.observe({ source_cluster }, family);
  }
  return registry;
}

function libraryRegistry(): PrometheusRegistry {
  const registry = new PrometheusRegistry();
  const registers = [registry];
  const gauge = (name: string, labelNames: string[], set: (gauge: Gauge) => void) =>
    new Gauge({
      ...{ name: `bench_${name}`, help: 'A gauge', labelNames, registers },
      collect() {
        this.reset();
        set(this);
      },
    });
  for (let family = 0; family < OF_SCOPES; family += 1) {
    gauge(`scopes_${family}`, ['source_cluster', 'scope'], (each) => {
      for (const source_cluster of CLUSTERS) for (const scope of SCOPES) each.set({ source_cluster, scope }, family);
    });
  }
  for (let family = 0; family < OF_CLUSTERS; family += 1) {
    gauge(`clusters_${family}`, ['source_cluster'], (each) => {
      for (const source_cluster of CLUSTERS) each.set({ source_cluster }, family);
    });
  }
  for (let family = 0; family < HISTOGRAMS; family += 1) {
    const name = `bench_histogram_${family}_seconds`;
    const histogram = new Histogram({ name, help: 'A histogram', labelNames: ['source_cluster'], registers });
    for (const source_cluster of CLUSTERS) histogram.observe({ source_cluster }, family);
  }
  return registry;
}

interface Measured {
  /** Of one scrape, the middle one of several. */
  readonly cpuMs: number;
  /** The most processor time between two turns of the event loop, in any of them. */
  readonly longestMs: number;
}

async function measured(scrape: () => Promise<unknown>): Promise<Measured> {
  for (let count = 0; count < WARM_UP; count += 1) await scrape();
  const costs: number[] = [];
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
  for (let count = 0; count < SCRAPES; count += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    const startMs = processorMs();
    await scrape();
    costs.push(processorMs() - startMs);
  }
  await new Promise((resolve) => setImmediate(resolve));
  isDone = true;
  return { cpuMs: costs.toSorted((a, b) => a - b)[SCRAPES / 2] ?? Number.NaN, longestMs };
}

function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
