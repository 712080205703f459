/**
 * A family of series whose values belong to other parts of the program, and are read at each scrape.
 *
 * Nothing is kept of a series: a gauge of the library stores each one with its labels, and sorts and hashes them whenever it is
 * set. With 511 remote clusters that was most of the time of a scrape.
 */
import { OwnFamily } from './family.ts';
import { escapedLabel, type Family, type Heading, type Series, valueText } from './text-format.ts';

/** The series of a family: one for each row, or one for each row and each value of `column`. */
export interface Source<Row, Column extends string = never> {
  /** Labels of a row, at least one. */
  readonly labelNames: readonly string[];
  readonly rows: () => Iterable<Row>;
  /** The values of `labelNames`, in the same order. Of several rows with the same values the last one counts. */
  readonly labels: (row: Row) => readonly string[];
  /** A last label and its values, each once. */
  readonly column?: { readonly label: string; readonly values: readonly Column[] };
  /** Undefined where there is no such series. */
  readonly value: (row: Row, column: Column) => number | undefined;
}

export class SourcedFamily<Row, Column extends string = never> extends OwnFamily {
  readonly #source: Source<Row, Column>;
  /** What is before the value of each label of a row; before the first, the beginning of the line. */
  readonly #beforeLabel: readonly string[];
  /** What is between the labels of a row and the value of a series, by column. */
  readonly #columns: readonly (readonly [column: Column, text: string])[];

  constructor(heading: Heading, source: Source<Row, Column>) {
    super(heading);
    this.#source = source;
    this.#beforeLabel = source.labelNames.map((label, at) => (at === 0 ? `\n${heading.name}{${label}="` : `",${label}="`));
    const { label, values } = source.column ?? {};
    // Without a column the source reads no second argument.
    this.#columns =
      values === undefined
        ? [['' as Column, '"} ']]
        : Array.from(new Set(values), (value) => [value, `",${label}="${escapedLabel(value)}"} `] as const);
  }

  *lines(): Generator<string, void, void> {
    const { value } = this.#source;
    const [beginning] = this.#beforeLabel;
    for (const [labels, row] of this.#rows()) {
      const start = beginning + labels;
      let lines = '';
      for (const [column, end] of this.#columns) {
        const current = value(row, column);
        if (current !== undefined) lines += start + end + valueText(current);
      }
      yield lines;
    }
  }

  get(): Promise<Family> {
    const { labelNames, labels, column, value } = this.#source;
    const values: Series[] = [];
    for (const row of this.#rows().values()) {
      const ofRow = Object.fromEntries(labels(row).map((text, at) => [labelNames[at], text]));
      for (const [name] of this.#columns) {
        const current = value(row, name);
        if (current === undefined) continue;
        values.push({ value: current, labels: column === undefined ? ofRow : { ...ofRow, [column.label]: name } });
      }
    }
    return Promise.resolve({ name: this.name, help: this.help, type: this.type, values });
  }

  /**
   * By the text of their labels: a series that is there twice makes Prometheus reject samples. Of a single label that is its
   * value, whose hash exists.
   */
  #rows(): ReadonlyMap<string, Row> {
    const rows = new Map<string, Row>();
    for (const row of this.#source.rows()) {
      const values = this.#source.labels(row);
      let text = escapedLabel(values[0]);
      for (let at = 1; at < values.length; at += 1) text += this.#beforeLabel[at] + escapedLabel(values[at]);
      rows.set(text, row);
    }
    return rows;
  }
}
