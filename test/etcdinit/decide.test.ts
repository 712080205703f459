import { describe, expect, test } from 'vitest';
import { etcdinitFlagTable } from '../../src/etcdinit/flags.ts';
import { isAbsent } from '../../src/etcdinit/members/absence.ts';
import { decisionFor, removalProblem, standingOf } from '../../src/etcdinit/members/decide.ts';
import type { Observation, Serving } from '../../src/etcdinit/members/others.ts';
import type { Plan, PlannedMember } from '../../src/etcdinit/members/plan.ts';
import { isReplicated, planOf } from '../../src/etcdinit/members/plan.ts';
import type { Member, MemberId } from '../../src/shared/etcd/types.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';

const planned = (index: number): PlannedMember => {
  const host = `mesh-${index}.peers`;
  return { name: `mesh-${index}`, host, peerPort: 2380, peerUrl: `https://${host}:2380`, clientUrl: `https://${host}:2379` };
};
const member = (index: number, more: Partial<Member> = {}): Member => ({
  id: BigInt(index + 1) as MemberId,
  name: `mesh-${index}`,
  peerUrls: [planned(index).peerUrl],
  isLearner: false,
  ...more,
});
const serving = (index: number, members: readonly Member[], clusterId = 'a'): Serving => ({
  member: planned(index),
  seen: { kind: 'serving', clusterId, members },
});
const planFor = (self: number, count: number): Plan => ({
  clusterName: 'harbor',
  dataDir: '/none',
  tokenPrefix: 'token',
  self: planned(self),
  others: Array.from({ length: count }, (_, index) => planned(index)).filter((_, index) => index !== self),
  isFirst: self === 0,
  peer: { certFile: '', keyFile: '', caFile: '', allowedCn: 'peer-harbor' },
  admin: { endpoints: [] },
});

const ABSENT: Observation = { kind: 'absent' };
const WAITING: Observation = { kind: 'waiting' };
const UNKNOWN: Observation = { kind: 'unknown', reason: 'connection refused' };
const SERVING: Observation = { kind: 'serving', clusterId: 'a', members: [member(2)] };

test.each<[number, readonly [Observation, Observation], string]>([
  [0, [ABSENT, ABSENT], 'begin'],
  [0, [WAITING, ABSENT], 'begin'],
  [0, [WAITING, WAITING], 'begin'],
  [0, [WAITING, UNKNOWN], 'wait'],
  [0, [UNKNOWN, UNKNOWN], 'wait'],
  [0, [UNKNOWN, SERVING], 'join'],
  [0, [ABSENT, SERVING], 'join'],
  [1, [ABSENT, ABSENT], 'wait'],
  [1, [WAITING, WAITING], 'wait'],
  [1, [UNKNOWN, SERVING], 'join'],
  [0, [SERVING, { ...SERVING, clusterId: 'b' }], 'wait'],
])('member %i without data, with the others %o, does this: %s', (self, [one, other], expected) => {
  const plan = planFor(self, 3);
  const observed = plan.others.map((each, index) => ({ member: each, seen: index === 0 ? one : other }));
  expect(decisionFor(plan, observed).kind).toBe(expected);
});

test('an etcd with one member begins at once', () => {
  expect(decisionFor(planFor(0, 1), [])).toEqual({ kind: 'begin' });
});

describe('a host', () => {
  const failure = (code: string) => Promise.reject(Object.assign(new Error(code), { code }));
  /** By name; others are as the DNS of a search domain that does not answer. */
  const resolveFrom = (answers: Readonly<Record<string, string>>) => (host: string) => {
    const answer = answers[host] ?? 'EAI_AGAIN';
    return answer.startsWith('E') ? failure(answer) : Promise.resolve([answer]);
  };
  test.each<[string, Readonly<Record<string, string>>, boolean | string]>([
    ['exists', { other: '192.0.2.2' }, false],
    ['does not exist', { other: 'ENOTFOUND' }, true],
    ['is unknown', {}, 'EAI_AGAIN'],
    ['does not exist as an absolute name', { 'own.': '192.0.2.1', 'other.': 'ENOTFOUND' }, true],
    ['exists as an absolute name', { 'own.': '192.0.2.1', 'other.': '192.0.2.2' }, false],
    ['is unknown where its own absolute name does not exist', { 'own.': 'ENOTFOUND', 'other.': 'ENOTFOUND' }, 'EAI_AGAIN'],
    ['is unknown as an absolute name', { 'own.': '192.0.2.1', other: 'ENOTFOUND' }, 'EAI_AGAIN'],
  ])('%s', async (_, answers, expected) => {
    const asked = isAbsent('other', 'own', resolveFrom(answers));
    if (typeof expected === 'string') await expect(asked).rejects.toThrow(expected);
    else expect(await asked).toBe(expected);
  });
});

describe('a member with data', () => {
  const marker = { name: 'mesh-0', id: '1', clusterId: 'a', isJoining: false };
  const all = [member(0), member(1), member(2)];
  test.each<[string, readonly Serving[], string]>([
    ['that others have is kept', [serving(1, all)], 'kept'],
    ['is kept where nobody answers', [], 'unasked'],
    ['that others do not have is removed', [serving(1, all.slice(1))], 'removed'],
    ['whose entry was replaced is removed', [serving(1, [member(0, { id: 9n as MemberId }), ...all.slice(1)])], 'removed'],
    ['of a former cluster is removed', [serving(1, all, 'b')], 'removed'],
    ['is kept where its own cluster answers too', [serving(1, all, 'b'), serving(2, all)], 'kept'],
  ])('%s', (_, others, expected) => {
    expect(standingOf(marker, others)).toBe(expected);
  });
});

describe('the entry of a lost member', () => {
  const all = [0, 1, 2, 3, 4].map((index) => member(index));
  const [lost] = all as [Member];
  test.each([
    [all.slice(0, 3), [1, 2], true],
    [all.slice(0, 3), [1], false],
    [all, [1, 2, 3], true],
    [all, [1, 2], false],
    [all.slice(0, 2), [1], true],
  ])('of %o is removed while %o serve requests: %s', (members, indexes, expected) => {
    const problem = removalProblem(
      lost,
      indexes.map((index) => serving(index, members)),
    );
    expect(problem === undefined, problem).toBe(expected);
  });

  test('is removed at any time where it is a learner', () => {
    expect(removalProblem({ ...lost, isLearner: true }, [])).toBeUndefined();
  });
});

describe('flags of members that are refused', () => {
  const A = 'a=https://a.peers:2380';
  const LOCAL = '--kvstore-opt=etcd.address=https://127.0.0.1:2379';
  test.each([
    ['no list of members', ['--etcd-member-name=a'], 'flag --etcd-member-name: it requires --etcd-initial-cluster'],
    ['no name', [`--etcd-initial-cluster=${A}`], 'flag --etcd-initial-cluster: it requires --etcd-member-name'],
    [
      'another name',
      ['--etcd-member-name=b', `--etcd-initial-cluster=${A}`, LOCAL],
      'is not in --etcd-initial-cluster; allowed: a',
    ],
    ['no TLS', ['--etcd-member-name=a', '--etcd-initial-cluster=a=http://a:2380', LOCAL], 'allowed: name=https://host:port'],
    ['no port', ['--etcd-member-name=a', '--etcd-initial-cluster=a=https://a', LOCAL], 'allowed: name=https://host:port'],
    ['one host twice', ['--etcd-member-name=a', `--etcd-initial-cluster=${A},b=https://a.peers:2381`, LOCAL], 'duplicated'],
    [
      'too many members',
      ['--etcd-member-name=a', `--etcd-initial-cluster=${[...'abcdefgh'].map((name) => `${name}=https://${name}:2380`)}`, LOCAL],
      '8 members; allowed: 1 to 7',
    ],
    ['no certificate', ['--etcd-member-name=a', `--etcd-initial-cluster=${A}`], 'flag --kvstore-opt: no etcd address'],
  ])('%s', async (_, argv, message) => {
    const flags = parseFlags(etcdinitFlagTable, argv, {});
    if (flags === 'help') throw new Error('help was not requested');
    const refused = (async () => isReplicated(flags.values) && planOf(flags.values))();
    await expect(refused).rejects.toThrow(message);
  });
});
