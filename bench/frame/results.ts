/** What the rounds of a row measured, for the table and the JSON file. */
import { median } from '../report.ts';
import type { Figure, Row, Target } from './row.ts';

export interface Series {
  readonly subject: string;
  readonly name: string;
  readonly unit: string;
  /** One for each round. */
  readonly values: number[];
  readonly baseName: string | undefined;
  /** Of the base, and the ratio to it within the round. */
  readonly baseValues: number[];
  readonly ratios: number[];
  readonly target: Target | undefined;
}

export class RowResults {
  readonly row: Row;
  readonly notes: string[] = [];
  readonly #series = new Map<string, Series>();

  constructor(row: Row) {
    this.row = row;
  }

  get series(): readonly Series[] {
    return [...this.#series.values()];
  }

  add(subject: string, figures: readonly Figure[]): void {
    for (const { name, unit, value, base, target } of figures) {
      const id = `${subject}\n${name}`;
      const known = this.#series.get(id);
      const series = known ?? { subject, name, unit, values: [], baseName: base?.name, baseValues: [], ratios: [], target };
      this.#series.set(id, series);
      series.values.push(value);
      if (base === undefined) continue;
      series.baseValues.push(base.value);
      series.ratios.push(value / base.value);
    }
  }

  of(subject: string, name: string): Series | undefined {
    return this.#series.get(`${subject}\n${name}`);
  }
}

/** Whether the median reaches the target; undefined without one. */
export function isReached({ target, values, baseValues, ratios }: Series): boolean | undefined {
  if (target === undefined) return undefined;
  const differences = values.map((value, round) => value - (baseValues[round] ?? Number.NaN));
  const value = median({ value: values, ratio: ratios, difference: differences }[target.of]);
  return value <= (target.atMost ?? Number.POSITIVE_INFINITY) && value >= (target.atLeast ?? Number.NEGATIVE_INFINITY);
}
