/** All results as one table, and as one JSON document. */
import { cpus, release, totalmem } from 'node:os';
import { figure, median, spread, table } from '../report.ts';
import type { BenchOptions } from './options.ts';
import { isReached, type RowResults, type Series } from './results.ts';
import type { Target } from './row.ts';

/** A line for each figure; columns for this checkout, then for each other program, with the ratio of the two. */
export function resultTable(results: readonly RowResults[], subjects: readonly string[]): string {
  const [own = '', ...others] = subjects;
  const more = others.flatMap((name) => [name, 'spread', '/base', `own/${name}`]);
  const headings = ['row', 'figure', 'unit', 'base', 'base is', own, 'spread', '/base', 'target', 'reached', ...more];
  const lines = results.flatMap((result) =>
    names(result).map((name) => {
      const series = result.of(own, name);
      return [
        result.row.name,
        name,
        unitOf(result, name),
        ...ownCells(series),
        ...others.flatMap((other) => cells(result, other)),
      ];

      function cells(from: RowResults, other: string): string[] {
        const theirs = from.of(other, name);
        if (theirs === undefined) return ['', '', '', ''];
        const ratio = series === undefined ? '' : figure(median(series.values) / median(theirs.values));
        return [figure(median(theirs.values)), spread(theirs.values), ratioOf(theirs), ratio];
      }
    }),
  );
  return table(headings, lines);
}

function ownCells(series: Series | undefined): string[] {
  if (series === undefined) return ['', '', '', '', '', '', ''];
  const reached = isReached(series);
  return [
    series.baseName ?? '',
    series.baseName === undefined ? '' : figure(median(series.baseValues)),
    figure(median(series.values)),
    spread(series.values),
    ratioOf(series),
    series.target === undefined ? '' : targetText(series.target),
    reached === undefined ? '' : reached ? 'yes' : 'no',
  ];
}

function ratioOf({ ratios }: Series): string {
  return ratios.length === 0 ? '' : figure(median(ratios));
}

function targetText({ of, atMost, atLeast }: Target): string {
  const suffix = { value: '', ratio: ' of base', difference: ' above base' }[of];
  return [
    ...(atLeast === undefined ? [] : [`≥ ${atLeast}${suffix}`]),
    ...(atMost === undefined ? [] : [`≤ ${atMost}${suffix}`]),
  ].join(', ');
}

function names(result: RowResults): string[] {
  return [...new Set(result.series.map(({ name }) => name))];
}

function unitOf(result: RowResults, name: string): string {
  return result.series.find((series) => series.name === name)?.unit ?? '';
}

/** The same with the value of each round, and what is needed to compare two runs. */
export function resultJson(
  results: readonly RowResults[],
  options: BenchOptions,
  build: Readonly<Record<string, string>>,
): string {
  const machine = {
    cpus: cpus().length,
    model: cpus()[0]?.model,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
  };
  const rows = results.map(({ row, notes, series }) => ({
    row: row.name,
    measures: row.measures,
    notes,
    figures: series.map((each) => ({
      ...each,
      median: median(each.values),
      medianRatio: each.ratios.length === 0 ? undefined : median(each.ratios),
      isReached: isReached(each),
    })),
  }));
  return `${JSON.stringify({ at: new Date().toISOString(), machine, build, options, rows }, undefined, 2)}\n`;
}
