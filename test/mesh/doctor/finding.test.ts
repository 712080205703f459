import { expect, test } from 'vitest';
import { type Finding, findingsText } from '../../../src/shared/diagnosis/finding.ts';

const FINDINGS: readonly Finding[] = [
  { check: 'cluster-id', group: 'Names and IDs', verdict: 'ok', subject: 'east', evidence: 'ID 1 of 1 to 255', remedy: '' },
  {
    check: 'server-names',
    group: 'Certificates',
    verdict: 'error',
    subject: 'east',
    evidence: 'no name\u001B[2J\nof the mesh',
    remedy: 'add it',
  },
  { check: 'cluster-id', group: 'Names and IDs', verdict: 'warning', subject: 'west', evidence: 'ID 200', remedy: 'change it' },
];

test('findings are shown one a line below their group, in text that a terminal does not act upon', () => {
  expect(findingsText(FINDINGS, { color: false })).toBe(
    [
      'Names and IDs',
      '  ok       east: ID 1 of 1 to 255',
      '  warning  west: ID 200 → change it [cluster-id]',
      '',
      'Certificates',
      '  error    east: no name [2J of the mesh → add it [server-names]',
      '',
      '1 error, 1 warning, 1 ok',
      '',
    ].join('\n'),
  );
});

test('only the verdict is colored', () => {
  const [, line] = findingsText(FINDINGS, { color: true }).split('\n');
  expect(line).toBe('  \u001B[32mok     \u001B[0m  east: ID 1 of 1 to 255');
});

test('without a finding nothing was checked', () => {
  expect(findingsText([], { color: false })).toBe('nothing checked\n');
});
