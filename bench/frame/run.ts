/** Runs rows: round by round, and within a round the programs in turns. */
import type { BenchOptions } from './options.ts';
import { RowResults } from './results.ts';
import type { Row, RowContext } from './row.ts';

/** `progress` is called with a line before each measurement, and after a row. */
export async function runRow(
  row: Row,
  options: BenchOptions,
  signal: AbortSignal,
  progress: (line: string) => void,
): Promise<RowResults> {
  const results = new RowResults(row);
  await using kept = new AsyncDisposableStack();
  const makes = new Map<string, Promise<AsyncDisposable>>();
  const { rounds } = options;
  for (let round = 1; round <= rounds; round += 1) {
    const context: RowContext = {
      options,
      round,
      signal,
      note: (text) => results.notes.push(text),
      keep: <T extends AsyncDisposable>(name: string, make: () => Promise<T>) => {
        const made = makes.get(name) ?? make().then((it) => kept.use(it));
        makes.set(name, made);
        return made as Promise<T>;
      },
    };
    signal.throwIfAborted();
    progress(`${row.name} ${round}/${rounds}`);
    const bases = (await row.bases?.(context)) ?? {};
    const base = (name: string) => {
      const value = bases[name];
      if (value === undefined) throw new Error(`the row ${row.name} measures no base ${name}`);
      return { name, value };
    };
    for (const subject of row.isInside ? options.subjects.slice(0, 1) : options.subjects) {
      if (row.accepts?.(subject) === false) continue;
      signal.throwIfAborted();
      const note = (text: string) => context.note(options.subjects.length > 1 ? `${subject.name}: ${text}` : text);
      results.add(subject.name, await row.run({ ...context, note, subject, base }));
    }
  }
  return results;
}
