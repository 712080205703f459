/**
 * Prometheus series: the registry of a process, and what each process has in it.
 *
 * Names are those of the original where it has them, so that dashboards and alerts go on.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry as PrometheusRegistry } from 'prom-client';
import type { Version } from './version.ts';

export type { Counter, Gauge, Histogram };

/** The series of one process; each name gets the daemon's prefix. */
export class Registry extends PrometheusRegistry {
  /** Ends with an underscore. */
  readonly prefix: string;

  constructor(prefix: string) {
    super();
    this.prefix = prefix;
  }

  /** `name` without the prefix; ends with `_total`. `collect` is called at each scrape, as for a gauge. */
  counter<Label extends string = never>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
    collect?: (counter: Counter<Label>) => void,
  ): Counter<Label> {
    const configuration = { name: this.prefix + name, help, labelNames, registers: [this] };
    if (collect === undefined) return new Counter(configuration);
    return new Counter({
      ...configuration,
      collect() {
        collect(this);
      },
    });
  }

  /** `name` without the prefix. `collect` is called at each scrape, to set values that somebody else holds. */
  gauge<Label extends string = never>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
    collect?: (gauge: Gauge<Label>) => void,
  ): Gauge<Label> {
    const configuration = { name: this.prefix + name, help, labelNames, registers: [this] };
    if (collect === undefined) return new Gauge(configuration);
    return new Gauge({
      ...configuration,
      collect() {
        collect(this);
      },
    });
  }

  /** `name` without the prefix; ends with its unit. Without `buckets`: 5 ms to 10 s. */
  histogram<Label extends string = never>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
    buckets?: readonly number[],
  ): Histogram<Label> {
    const configuration = { name: this.prefix + name, help, labelNames, registers: [this] };
    return new Histogram(buckets === undefined ? configuration : { ...configuration, buckets: [...buckets] });
  }
}

/**
 * A registry with what every process shows: `version`, and under their usual names without prefix the
 * memory, processor, descriptors and event loop delay of the process.
 */
export function createRegistry(prefix: string, version: Version): Registry {
  const registry = new Registry(prefix);
  collectDefaultMetrics({ register: registry });
  registry
    .gauge('version', 'Always 1; the labels tell which program this is', ['version', 'revision', 'arch'])
    .set({ ...version }, 1);
  return registry;
}
