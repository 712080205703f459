import { expect, test } from 'vitest';
import { apiserverFlagTable } from '../../src/apiserver/flags.ts';
import { kvstoremeshFlagTable } from '../../src/kvstoremesh/flags.ts';
import { flagHelp } from '../../src/shared/flags/help.ts';

test.each([
  ['clustermesh', apiserverFlagTable],
  ['kvstoremesh', kvstoremeshFlagTable],
])('the help of %s names every visible flag once, sorted, on a line of its own', (_, table) => {
  const lines = flagHelp(table).trimEnd().split('\n');
  const named = lines.map((line) => /--([a-z0-9-]+)/.exec(line)?.[1]);
  const visible = Object.entries(table).filter(([, flag]) => !flag.hidden);
  expect(named).toEqual([...visible.map(([name]) => name), 'help'].sort());
});

test('a line of help gives kind, meaning, default and environment variable', () => {
  const help = flagHelp(kvstoremeshFlagTable);
  expect(help).toMatch(/^ {6}--kvstore-lease-ttl duration +\S.* \(default 15m0s\) \[CILIUM_KVSTORE_LEASE_TTL\]$/m);
  expect(help).toMatch(/^ {2}-D, --debug +\S.*[^)] \[CILIUM_DEBUG\]$/m);
});

test('no line of help is wider than a screen of the field', () => {
  for (const line of flagHelp(apiserverFlagTable).split('\n')) expect(line.length).toBeLessThanOrEqual(200);
});
