/** docs/commands/doctor-pods.md has a row for each check, and no other. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { groupOf, POD_CHECK_IDS, remedyWithCommand } from '../../src/shared/diagnosis/pod-checks.ts';

const page = readFileSync(new URL('../../docs/commands/doctor-pods.md', import.meta.url), 'utf8');

/** Check, group, meaning, remedy and command of each row. */
const rows = [...page.matchAll(/^\| `([a-z-]+)` \| (.+) \|$/gm)].map(([, check, rest]) => [check, ...(rest ?? '').split(' | ')]);

test('the page has a row for each check, in order, with its group and its command', () => {
  expect(rows.map(([check]) => check)).toEqual([...POD_CHECK_IDS]);
  for (const check of POD_CHECK_IDS) {
    const row = rows.find(([name]) => name === check);
    expect(row).toHaveLength(5);
    const command = remedyWithCommand({ check, remedy: '' }, 'CLUSTER').replace('run: ', '').replaceAll('|', '\\|');
    expect(row?.slice(1, 2)).toEqual([groupOf(check)]);
    expect(row?.at(-1)).toBe(`\`${command}\``);
  }
});
