/**
 * Why tests were skipped, and whether they may be.
 *
 * A skipped test has a reason: the note of `context.skip`, or words in parentheses in its title, or in that of an
 * enclosing suite, that start with `no`, `needs` or `skipped`. In CI only listed reasons are allowed, so that a missing
 * tool that the machine should have is a failure.
 */

/** Reasons by how many tests have them. */
export type Skips = Readonly<Record<string, number>>;

export const NO_REASON = 'no reason given';

/** Reasons that are acceptable on every machine. */
const ALLOWED: readonly RegExp[] = [
  /^it takes minutes: GOLDEN_SLOW=1 /,
  // Of the distribution's packages, which a machine may be unable to reach.
  /^needs (?:zsh|fish|chromium|groff)$/,
  // Containers often have none.
  /^needs IPv6 on the loopback interface$/,
  /^skipped inside of a pod$/,
  // Connections between members are cut on their way over the loopback interface.
  /^needs etcd as a program$/,
  // Not every CI allows a container to start containers.
  /^no container engine can be started: /,
  // Nor to make network namespaces and cgroups.
  /^no Kubernetes cluster can be started: /,
];

/** The reason of a skipped test. `title` has those of the suites around it, `note` is that of `context.skip`. */
export function skipReason(title: string, note: string | undefined): string {
  if (note !== undefined && note !== '') return note;
  const found = [...title.matchAll(/\(((?:no|needs|skipped)\b[^()]*)\)/g)].at(-1)?.[1];
  return found?.replace(/^skipped: /, '') ?? `${NO_REASON}: ${title}`;
}

/** `skips` with those of `more` added. */
export function addSkips(skips: Skips, more: Skips): Skips {
  const sum: Record<string, number> = { ...skips };
  for (const [reason, count] of Object.entries(more)) sum[reason] = (sum[reason] ?? 0) + count;
  return sum;
}

/** A line for each reason, the most frequent first. */
export function skipLines(skips: Skips): readonly string[] {
  return Object.entries(skips)
    .toSorted(([a, many], [b, few]) => few - many || (a < b ? -1 : 1))
    .map(([reason, count]) => `skipped: ${count}: ${reason}`);
}

/** The reasons that are no good ones in CI. */
export function refusedSkips(skips: Skips): readonly string[] {
  return Object.keys(skips).filter((reason) => !ALLOWED.some((allowed) => allowed.test(reason)));
}
