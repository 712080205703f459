/** Rows in which every pair of settings of any two switches occurs at least once. */

/** The settings of each switch, by name. */
export type Switches<T> = Readonly<Record<string, Readonly<Record<string, T>>>>;

/** A setting of every switch. */
export type Row = Readonly<Record<string, string>>;

/** The same rows for the same switches: each takes the setting that covers most of the pairs that are left. */
export function pairwise<T>(switches: Switches<T>): readonly Row[] {
  const names = Object.keys(switches);
  const settings = (name: string) => Object.keys(switches[name] ?? {});
  const left = new Set<string>();
  for (const [index, a] of names.entries())
    for (const b of names.slice(index + 1))
      for (const x of settings(a)) for (const y of settings(b)) left.add(pair({ [a]: x, [b]: y }, a, b));
  const rows: Row[] = [];
  while (left.size > 0) {
    const row: Record<string, string> = {};
    const [first = ''] = left;
    for (const part of first.split(' & ')) {
      const [name = '', setting = ''] = part.split('=');
      row[name] = setting;
    }
    for (const name of names) row[name] ??= best(settings(name), (setting) => covered({ ...row, [name]: setting }, name));
    for (const [index, a] of names.entries()) for (const b of names.slice(index + 1)) left.delete(pair(row, a, b));
    rows.push(row);
  }
  return rows;

  function covered(row: Row, name: string): number {
    return Object.keys(row).filter((other) => other !== name && left.has(ordered(row, name, other))).length;
  }

  function ordered(row: Row, a: string, b: string): string {
    return names.indexOf(a) < names.indexOf(b) ? pair(row, a, b) : pair(row, b, a);
  }
}

function pair(row: Row, a: string, b: string): string {
  return `${a}=${row[a]} & ${b}=${row[b]}`;
}

/** The first of those with the highest score. */
function best(candidates: readonly string[], score: (candidate: string) => number): string {
  return candidates.reduce((a, b) => (score(b) > score(a) ? b : a));
}
