/**
 * A histogram. The library's keeps a table of the buckets by name for each combination of labels, and makes an object for each line
 * at a scrape: with 511 remote clusters half of all lines are of histograms.
 */
import { OwnFamily } from './family.ts';
import { escapedLabel, type Family, type Heading, type Series, valueText } from './text-format.ts';

type LabelValues<Label extends string> = Readonly<Record<Label, string>>;

/** What was observed with one combination of labels. */
interface Observed {
  readonly labels: Readonly<Record<string, string>>;
  /** Of each bucket alone, without those below it. */
  readonly counts: number[];
  sum: number;
  count: number;
}

export class Histogram<Label extends string = never> extends OwnFamily {
  readonly #labelNames: readonly Label[];
  /** Upper bounds, ascending. */
  readonly #bounds: readonly number[];
  /** The beginnings of the lines of buckets, up to and with the bound; the last is that of infinity. */
  readonly #beforeLabels: readonly string[];
  /** By the text of the labels. */
  readonly #observed = new Map<string, Observed>();

  /** `bounds`: upper bounds of the buckets, ascending, without infinity. */
  constructor(heading: Omit<Heading, 'type'>, labelNames: readonly Label[], bounds: readonly number[]) {
    super({ ...heading, type: 'histogram' });
    this.#labelNames = labelNames;
    this.#bounds = bounds;
    this.#beforeLabels = [...bounds, '+Inf'].map((bound) => `\n${heading.name}_bucket{le="${bound}"`);
    if (labelNames.length === 0) this.#observed.set('', this.#nothing({}));
  }

  /** `labels` must not change afterwards. A value that is not finite is a TypeError. */
  observe(labels: LabelValues<Label>, value: number): void {
    if (!Number.isFinite(value)) throw new TypeError(`${this.name}: ${value} cannot be observed`);
    const text = this.#textOf(labels);
    let observed = this.#observed.get(text);
    if (observed === undefined) {
      observed = this.#nothing(labels);
      this.#observed.set(text, observed);
    }
    const at = this.#bounds.findIndex((bound) => value <= bound);
    if (at >= 0) observed.counts[at] = (observed.counts[at] ?? 0) + 1;
    observed.sum += value;
    observed.count += 1;
  }

  /** Idempotent. */
  remove(labels: LabelValues<Label>): void {
    this.#observed.delete(this.#textOf(labels));
  }

  *lines(): Generator<string, void, void> {
    for (const [text, { counts, sum, count }] of this.#observed) {
      const afterBound = text === '' ? '} ' : `,${text}} `;
      let lines = '';
      let below = 0;
      for (const [at, start] of this.#beforeLabels.entries()) {
        below += counts[at] ?? 0;
        lines += start + afterBound + String(at === this.#bounds.length ? count : below);
      }
      const labels = text === '' ? ' ' : `{${text}} `;
      yield `${lines}\n${this.name}_sum${labels}${valueText(sum)}\n${this.name}_count${labels}${count}`;
    }
  }

  get(): Promise<Family> {
    const { name, help, type } = this;
    const values = [...this.#observed.values()].flatMap(({ labels, counts, sum, count }): Series[] => {
      let below = 0;
      const buckets = this.#bounds.map((le, at) => {
        below += counts[at] ?? 0;
        return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: below };
      });
      return [
        ...buckets,
        { metricName: `${name}_bucket`, labels: { le: '+Inf', ...labels }, value: count },
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: count },
      ];
    });
    return Promise.resolve({ name, help, type, values });
  }

  #nothing(labels: Observed['labels']): Observed {
    return { labels, counts: this.#bounds.map(() => 0), sum: 0, count: 0 };
  }

  #textOf(labels: LabelValues<Label>): string {
    let text = '';
    for (const name of this.#labelNames) text += `${text === '' ? '' : ','}${name}="${escapedLabel(labels[name])}"`;
    return text;
  }
}
