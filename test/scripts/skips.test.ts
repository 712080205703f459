/** Why tests are skipped: the report of the test command, and the reasons that CI rejects. */
import { expect, test } from 'vitest';
import { addSkips, NO_REASON, refusedSkips, skipLines, skipReason } from '../../scripts/testing/skips.ts';

test.each([
  ['a suite > a test', 'no etcd of version 3.5', 'no etcd of version 3.5'],
  [
    'a suite (no etcdctl: put one into the PATH, or run a script) > a test (rule 7)',
    undefined,
    'no etcdctl: put one into the PATH, or run a script',
  ],
  ['a suite (needs etcd) > a test (needs zsh)', undefined, 'needs zsh'],
  ['a suite (skipped: no kube-apiserver) > a test', undefined, 'no kube-apiserver'],
  ['a test (skipped inside of a pod)', undefined, 'skipped inside of a pod'],
  ['a suite (nothing of it) > a test', undefined, `${NO_REASON}: a suite (nothing of it) > a test`],
  ['a suite > a test', '', `${NO_REASON}: a suite > a test`],
])('of "%s" with the note %s the reason is: %s', (title, note, reason) => {
  expect(skipReason(title, note)).toBe(reason);
});

test('each reason has a line with its count, the most frequent first', () => {
  const skips = addSkips({ 'needs zsh': 2, 'no etcd': 1 }, { 'no etcd': 4, 'needs fish': 2 });
  expect(skipLines(skips)).toEqual(['skipped: 5: no etcd', 'skipped: 2: needs fish', 'skipped: 2: needs zsh']);
});

test('in CI a missing tool that the machine should have, and a test without a reason, are rejected', () => {
  const good = ['it takes minutes: GOLDEN_SLOW=1 has it carried out', 'needs zsh', 'no container engine can be started: x'];
  const bad = ['no etcdctl: put one into the PATH', 'no openssl 3', 'needs zsh, and more', NO_REASON];
  expect(refusedSkips(Object.fromEntries([...bad, ...good].map((reason) => [reason, 1])))).toEqual(bad);
});
