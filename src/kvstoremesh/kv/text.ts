/** What `kv` prints for people. */
import { isDifferent, type KindDiff } from './diff.ts';
import type { KeyList, ShownChange } from './read.ts';

export function listText({ keys, more }: KeyList): string {
  const rows = [['REVISION', 'BYTES', 'KEY'], ...keys.map(({ key, revision, bytes }) => [String(revision), String(bytes), key])];
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => `${row[0]?.padEnd(widths[0] ?? 0)}  ${row[1]?.padStart(widths[1] ?? 0)}  ${row[2]}`);
  if (more > 0) lines.push(`and ${more} more: raise --limit, or name a cluster`);
  return `${lines.join('\n')}\n`;
}

export function changeText({ change, key, revision, bytes }: ShownChange): string {
  return `${change.padEnd(7)}  ${key}  revision ${revision}${bytes === undefined ? '' : `, ${bytes} bytes`}\n`;
}

export function diffText(diffs: readonly KindDiff[]): string {
  const width = Math.max(...diffs.map(({ kind }) => kind.length));
  const lines = diffs.flatMap((diff) => {
    const { kind, remote, mirror, missing, extra, different } = diff;
    const counts = `remote ${remote.keys} at revision ${remote.revision}, mirror ${mirror.keys} at revision ${mirror.revision}`;
    const parts = [
      ['missing in the mirror', missing],
      ['not in the remote cluster', extra],
      ['with different values', different],
    ] as const;
    const found = parts.filter(([, { count }]) => count > 0);
    const verdict = isDifferent(diff) ? found.map(([what, { count }]) => `${count} ${what}`).join(', ') : 'equal';
    const examples = found.flatMap(([what, { count, examples: keys }]) => [
      ...keys.map((key) => `    ${what}: ${key}`),
      ...(count > keys.length ? [`    ${what}: and ${count - keys.length} more`] : []),
    ]);
    return [`${kind.padEnd(width)}  ${verdict} (${counts})`, ...examples];
  });
  return `${lines.join('\n')}\n`;
}
