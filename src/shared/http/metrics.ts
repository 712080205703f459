/**
 * Prometheus metrics: the registry of a process, and the metrics that each process has.
 *
 * Names are those of the original if it has them, so that dashboards and alerts keep working.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry as PrometheusRegistry } from 'prom-client';
import type { Version } from '../version.ts';
import { OwnFamily } from './family.ts';
import { Histogram } from './histogram.ts';
import { sliced } from './in-slices.ts';
import { type Source, SourcedFamily } from './sourced-family.ts';
import { TextBuffer } from './text-buffer.ts';
import { type Family, familyHeader, type Heading, seriesLine } from './text-format.ts';

export type { Counter, Gauge, Histogram };

/** Characters that are written before the time is looked at, some tenths of a millisecond. */
const CHARACTERS_PER_LOOK = 16 * 1024;

/** By which a scrape may be longer than the last one before its text is copied: more clusters, and room for one more piece. */
const ROOM_BYTES = 128 * 1024;

/** The library's access to the series of a family; not part of its types. */
interface Collected {
  get(): Promise<Family>;
}

/** The series of one process; each name gets the daemon's prefix. */
export class Registry extends PrometheusRegistry {
  /** Ends with an underscore. */
  readonly prefix: string;
  #lastBytes = 0;

  constructor(prefix: string) {
    super();
    this.prefix = prefix;
  }

  override async metrics(): Promise<string> {
    return (await this.render()).toString();
  }

  /** The text format of Prometheus, of all series. Made in slices: 511 remote clusters have tens of thousands of series. */
  async render(): Promise<Buffer> {
    const turn = sliced();
    const written = new TextBuffer(this.#lastBytes + ROOM_BYTES);
    let text = '';
    const families = this.getMetricsAsArray() as unknown as readonly (Collected & Heading)[];
    for (const [index, family] of families.entries()) {
      text += `${index === 0 ? '' : '\n\n'}${familyHeader(family)}`;
      for (const lines of family instanceof OwnFamily ? family.lines() : await collectedLines(family)) {
        text += lines;
        if (text.length < CHARACTERS_PER_LOOK) continue;
        written.append(text);
        text = '';
        const pause = turn();
        if (pause !== undefined) await pause;
      }
      const pause = turn();
      if (pause !== undefined) await pause;
    }
    written.append(`${text}\n`);
    const all = written.end();
    this.#lastBytes = all.length;
    return all;
  }

  /** `name` without the prefix; ends with `_total`. */
  counter<Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []): Counter<Label> {
    return new Counter({ name: this.prefix + name, help, labelNames, registers: [this] });
  }

  /** `name` without the prefix. `collect` is called at each scrape, to set values from elsewhere. */
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

  /** A gauge whose series are read at each scrape; `name` without the prefix. */
  gaugeFrom<Row, Column extends string = never>(name: string, help: string, source: Source<Row, Column>): void {
    this.#from({ name: this.prefix + name, help, type: 'gauge' }, source);
  }

  /** A counter whose series are read at each scrape; `name` without the prefix, ends with `_total`. */
  counterFrom<Row, Column extends string = never>(name: string, help: string, source: Source<Row, Column>): void {
    this.#from({ name: this.prefix + name, help, type: 'counter' }, source);
  }

  #from<Row, Column extends string>(heading: Heading, source: Source<Row, Column>): void {
    this.#register(new SourcedFamily(heading, source));
  }

  /** `name` without the prefix; ends with its unit. Buckets ascend; without them: 5 ms to 10 s. */
  histogram<Label extends string = never>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
    buckets: readonly number[] = DEFAULT_BUCKETS,
  ): Histogram<Label> {
    const histogram = new Histogram({ name: this.prefix + name, help }, labelNames, buckets);
    this.#register(histogram);
    return histogram;
  }

  #register(family: OwnFamily): void {
    // The library uses no more of a metric than its name and get().
    this.registerMetric(family as unknown as Gauge);
  }
}

/** Those of the clients of Prometheus, in seconds. */
const DEFAULT_BUCKETS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

async function collectedLines(collected: Collected): Promise<Iterable<string>> {
  const { name, values } = await collected.get();
  return values.values().map((series) => seriesLine(name, series));
}

/**
 * A registry with what every process shows: `version`, and under their usual names without prefix the
 * memory, processor, descriptors and event loop delay of the process.
 */
export function createRegistry(prefix: string, version: Version): Registry {
  const registry = new Registry(prefix);
  collectDefaultMetrics({ register: registry });
  registry.gauge('version', 'Build information; always 1', ['version', 'revision', 'arch']).set({ ...version }, 1);
  return registry;
}
