/**
 * What a check found, and its layout as text.
 *
 * One line per finding: verdict, subject and evidence; where something is to be done, the remedy and the ID of the check follow.
 */
import { printable } from '../printable.ts';

/** `unknown`: the check could not be made; the evidence says why. */
export type Verdict = 'ok' | 'warning' | 'error' | 'unknown';

export interface Finding {
  /** ID of the check: lower case, words joined with hyphens. */
  readonly check: string;
  /** Heading below which the finding is shown. */
  readonly group: string;
  readonly verdict: Verdict;
  /** A cluster, several clusters, or an object: `east`, `east and west`, `east: Secret kube-system/cilium-ca`. */
  readonly subject: string;
  readonly evidence: string;
  /** The command to run or the value to set; '' where nothing is to be done. */
  readonly remedy: string;
}

export interface FindingsLayout {
  /** ANSI colors. */
  readonly color: boolean;
}

/** Characters of a line. */
export const MAX_LINE_LENGTH = 1_200;

const COLORS: Readonly<Record<Verdict, number>> = { ok: 32, warning: 33, error: 31, unknown: 35 };

/** Groups in the order of their first finding, and a last line with the number of findings by verdict. */
export function findingsText(findings: readonly Finding[], { color }: FindingsLayout): string {
  const groups = Map.groupBy(findings, ({ group }) => group);
  const blocks = [...groups].map(
    ([group, found]) => `${printable(group, MAX_LINE_LENGTH)}\n${found.map((each) => `${findingLine(each, color)}\n`).join('')}`,
  );
  return `${blocks.join('\n')}${blocks.length === 0 ? '' : '\n'}${summaryOf(findings)}\n`;
}

/** `3 errors, 1 warning, 2 unknown, 40 ok`: what is none is left out. */
function summaryOf(findings: readonly Finding[]): string {
  const count = (verdict: Verdict) => findings.filter((each) => each.verdict === verdict).length;
  const counted = (number: number, one: string, many = one) => (number === 0 ? [] : [`${number} ${number === 1 ? one : many}`]);
  const parts = [
    ...counted(count('error'), 'error', 'errors'),
    ...counted(count('warning'), 'warning', 'warnings'),
    ...counted(count('unknown'), 'unknown'),
    ...counted(count('ok'), 'ok'),
  ];
  return parts.join(', ') || 'nothing checked';
}

function findingLine({ check, verdict, subject, evidence, remedy }: Finding, color: boolean): string {
  const todo = remedy === '' ? '' : ` → ${remedy}`;
  const id = verdict === 'ok' ? '' : ` [${check}]`;
  const text = printable(`${subject}: ${evidence}${todo}`, MAX_LINE_LENGTH);
  const word = verdict.padEnd(7);
  return `  ${color ? `\u001B[${COLORS[verdict]}m${word}\u001B[0m` : word}  ${text}${id}`;
}
