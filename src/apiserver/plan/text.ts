/** What `export-plan` prints for people. */
import { printable } from '../../shared/printable.ts';
import type { Comparison, ExportPlanResult, NamespacePlan } from './plan.ts';

/** Characters of an example: the name of a Pod has 253 at most, besides its addresses. */
const MAX_EXAMPLE_LENGTH = 400;

const COLUMNS: readonly (keyof Comparison)[] = ['present', 'planned', 'added', 'withdrawn'];

export function exportPlanText(plan: ExportPlanResult): string {
  const { selector, endpoints, addresses, identities, unknownLabels, malformed, namespaces } = plan;
  const changed = namespaces.filter(({ added, withdrawn }) => added + withdrawn > 0);
  const rest = namespaces.length - changed.length;
  const lines = [
    `present selector: ${selectorText(selector.present)}`,
    `planned selector: ${selectorText(selector.planned)}`,
    '',
    ...table(['EXPORTED', 'PRESENT', 'PLANNED', 'ADDED', 'WITHDRAWN'], {
      endpoints: counts(endpoints),
      addresses: counts(addresses),
      identities: counts(identities),
    }),
    ...(unknownLabels > 0
      ? ['', `${number(unknownLabels)} endpoints are held back by the planned selector because their labels are not known`]
      : []),
    ...(malformed > 0 ? ['', `${number(malformed)} malformed objects were skipped`] : []),
    ...(changed.length > 0 ? ['', ...namespaceLines(changed)] : []),
    ...(rest > 0 ? ['', `no change in ${number(rest)} ${changed.length > 0 ? 'other ' : ''}namespaces`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function namespaceLines(namespaces: readonly NamespacePlan[]): string[] {
  const rows = Object.fromEntries(namespaces.map((plan) => [plan.namespace, [number(plan.endpoints), ...counts(plan)]]));
  return [
    ...table(['NAMESPACE', 'ENDPOINTS', 'PRESENT', 'PLANNED', 'ADDED', 'WITHDRAWN'], rows),
    '',
    ...namespaces.flatMap(({ namespace, examples, ...plan }) =>
      (['added', 'withdrawn'] as const).flatMap((change) =>
        exampleLines(`${change} in ${namespace}`, examples[change], plan[change]),
      ),
    ),
  ];
}

function exampleLines(title: string, examples: readonly string[], count: number): string[] {
  if (examples.length === 0) return [];
  const more = count - examples.length;
  return [
    `${title}:`,
    ...examples.map((example) => `  ${printable(example, MAX_EXAMPLE_LENGTH)}`),
    ...(more > 0 ? [`  and ${number(more)} more`] : []),
  ];
}

function counts(of: Comparison): string[] {
  return COLUMNS.map((column) => number(of[column]));
}

function number(value: number): string {
  return value.toLocaleString('en');
}

function selectorText(selector: string): string {
  return selector === '' ? 'no selector' : selector;
}

/** Names to the left, numbers to the right. */
function table(head: readonly string[], rows: Readonly<Record<string, readonly string[]>>): string[] {
  const all = [head, ...Object.entries(rows).map(([name, cells]) => [name, ...cells])];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  '),
  );
}
