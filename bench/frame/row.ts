/**
 * A row of the bench: what one measurement is, and how another folder adds one.
 *
 * A folder exports a list of rows, which bench/main.ts adds to its own. For each row the frame runs `bases` once a round and
 * then `run` once for each program in that round, so that programs are measured in turns. What several rounds can share,
 * such as a filled etcd, is made with `keep` and removed after the last round of the row.
 */
import type { BenchOptions } from './options.ts';
import type { Subject } from './subjects.ts';

/** Something that was measured in the same round, in the unit of the figure that is compared with it. */
export interface Base {
  readonly name: string;
  readonly value: number;
}

/** What a figure, its ratio to the base, or its difference from it must reach. */
export interface Target {
  readonly of: 'value' | 'ratio' | 'difference';
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface Figure {
  /** Unique in its row, without the unit: `p99 at 200/s`. */
  readonly name: string;
  /** `ms`, `s`, `µs`, `MB`, `keys/s`, `events`, … */
  readonly unit: string;
  readonly value: number;
  /** Absent only where nothing measured compares with it, such as a number that must be 0. */
  readonly base?: Base;
  readonly target?: Target;
}

export interface Row {
  /** One word, for `--only`. */
  readonly name: string;
  /** One sentence: from what to what, of what. */
  readonly measures: string;
  /** Runs only if `--only` names it. */
  readonly isExtra?: boolean;
  /** Measures something else than programs, such as modules of this checkout inside the bench: one column. */
  readonly isInside?: boolean;
  /** Programs that the row can measure; all where absent. A program that it cannot measure has no figures. */
  readonly accepts?: (subject: Subject) => boolean;
  /** What programs are compared with, by name: measured once a round, before the programs. */
  readonly bases?: (context: RowContext) => Promise<Readonly<Record<string, number>>>;
  readonly run: (context: RunContext) => Promise<readonly Figure[]>;
}

export interface RowContext {
  readonly options: BenchOptions;
  /** From 1. */
  readonly round: number;
  /** Aborted when the bench is interrupted. */
  readonly signal: AbortSignal;
  /** A line below the table and in the JSON file. */
  note(text: string): void;
  /** What `make` made when the row first asked for `name`; disposed of after the last round of the row. */
  keep<T extends AsyncDisposable>(name: string, make: () => Promise<T>): Promise<T>;
}

export interface RunContext extends RowContext {
  readonly subject: Subject;
  /** The base `name` of this round. Throws if `bases` did not return it. */
  base(name: string): Base;
}
