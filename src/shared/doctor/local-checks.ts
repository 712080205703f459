/** What was found of the local etcd → its problems, besides those that `troubleshoot` names. Pure. */
import { type Problem, problem } from '../diagnosis/pod-checks.ts';
import { HAS_CLUSTER_CONFIG_KEY } from '../etcd/keyspace.ts';
import { ETCD_QUOTA_WARNING, MAX_ETCD_WATCHERS } from '../limits.ts';
import type { Alarm, FoundUsers, LocalProbe, MemberStatus } from './local-probe.ts';
import type { ExpectedUsers } from './tools.ts';

type Permission = ExpectedUsers['roles'][number]['permissions'][number];

const MIB = 1024 * 1024;

/** The oldest release with the calls that are needed. */
const LEAST_VERSION = [3, 4] as const;

/** A database that is smaller, or has a smaller share of its quota, needs no defragmentation. */
const FRAGMENTED_BYTES = 8 * MIB;
const FRAGMENTED_SHARE = 0.2;

/** Share of the database in use below which it is called fragmented. */
const USED_SHARE = 0.5;

/** Fewer watchers that are slow are a moment of load. */
const LEAST_SLOW_WATCHERS = 100;

export function localProblems(probe: LocalProbe): readonly Problem[] {
  const { status, alarms = [], series, users, expected } = probe;
  return [
    ...alarms.flatMap(alarmProblem),
    ...(status === undefined ? [] : memberProblems(status, status.dbSizeQuota || (series?.quotaBytes ?? 0))),
    ...watcherProblems(series?.watchers, series?.slowWatchers),
    ...(users === undefined || expected === undefined ? [] : userProblems(users, expected)),
  ];
}

/** Release, vote and database of a member; `quotaBytes` is 0 where it is not known. */
export function memberProblems(status: MemberStatus, quotaBytes: number): readonly Problem[] {
  const { version, isLearner } = status;
  const problems: Problem[] = [];
  if (isOld(version)) problems.push(problem('etcd-version', `etcd ${version} is older than 3.4`, 'upgrade etcd'));
  if (isLearner) {
    const evidence = 'the etcd member is a learner: it has no vote yet, and does not answer reads';
    problems.push(problem('etcd-learner', evidence, 'wait until it has all data and is promoted, or promote it'));
  }
  return [...problems, ...databaseProblems(status, quotaBytes)];
}

export function alarmProblem({ kind }: Alarm): readonly Problem[] {
  if (kind === 'none') return [];
  if (kind === 'NOSPACE') {
    const remedy = 'compact, defragment and disarm the alarm, or raise --quota-backend-bytes';
    return [problem('etcd-alarm', 'alarm NOSPACE: the database has reached its quota, writes are rejected', remedy)];
  }
  if (kind === 'CORRUPT') {
    const remedy = 'replace the member that differs by one without data';
    return [problem('etcd-alarm', 'alarm CORRUPT: the members have different data', remedy)];
  }
  return [problem('etcd-alarm', 'an alarm of a kind that this release does not know', 'list the alarms')];
}

function databaseProblems({ dbSize, dbSizeInUse }: MemberStatus, quotaBytes: number): readonly Problem[] {
  const share = quotaBytes === 0 ? undefined : dbSize / quotaBytes;
  const size = `${mib(dbSize)} of the database${quotaBytes === 0 ? '' : `, of a quota of ${mib(quotaBytes)}`}`;
  const isFragmented =
    dbSize >= FRAGMENTED_BYTES && dbSizeInUse < USED_SHARE * dbSize && (share === undefined || share >= FRAGMENTED_SHARE);
  return [
    ...(share !== undefined && share >= ETCD_QUOTA_WARNING
      ? [problem('etcd-quota', `${Math.floor(share * 100)} % of the quota: ${size}`, 'raise --quota-backend-bytes', 'warning')]
      : []),
    ...(isFragmented
      ? [problem('etcd-fragmentation', `${mib(dbSizeInUse)} in use of ${size}`, 'defragment the etcd', 'warning')]
      : []),
  ];
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}

function isOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor, leastMinor] = LEAST_VERSION;
  return major < leastMajor || (major === leastMajor && minor < leastMinor);
}

function watcherProblems(watchers = 0, slow = 0): readonly Problem[] {
  if (watchers <= MAX_ETCD_WATCHERS && (slow < LEAST_SLOW_WATCHERS || slow < watchers / 2)) return [];
  const evidence = `${watchers} watchers, ${slow} of them lag behind`;
  const remedy = 'let agents read remote clusters through kvstoremesh, and give etcd more CPU';
  return [problem('etcd-watchers', evidence, remedy, 'warning')];
}

function userProblems(found: FoundUsers | 'denied', { users, roles }: ExpectedUsers): readonly Problem[] {
  if (found === 'denied') {
    const evidence = 'the user of the configuration may not list users and roles';
    return [problem('etcd-users', evidence, 'use the certificate of the user admin', 'unknown')];
  }
  if (!found.isEnabled) {
    const evidence = 'authentication is disabled: every client with a certificate may write everything';
    return [problem('etcd-auth', evidence, 'let etcdinit set the etcd up: restart the Pod with an empty data directory')];
  }
  const again = 'let etcdinit create it: restart the Pod with an empty data directory';
  return [
    ...users.flatMap(({ name, role }) => {
      const actual = found.users.get(name);
      if (actual === undefined) return [problem('etcd-users', `the user ${name} does not exist`, again)];
      return actual.includes(role) ? [] : [problem('etcd-users', `the user ${name} does not have the role ${role}`, again)];
    }),
    ...roles.flatMap(({ name, permissions }) => roleProblems(name, permissions, found.roles.get(name))),
  ];
}

function roleProblems(name: string, wanted: readonly Permission[], found: readonly Permission[] | undefined) {
  if (found === undefined) {
    const evidence = `the role ${name} does not exist`;
    return [problem('etcd-roles', evidence, 'let etcdinit create it: restart the Pod with an empty data directory')];
  }
  // The original's etcdinit does not grant this one: only agents of 1.15 read it.
  const needed = wanted.filter(({ key }) => key !== HAS_CLUSTER_CONFIG_KEY);
  const missing = needed.filter((permission) => !found.some((each) => each.access !== 'write' && covers(each, permission)));
  if (missing.length === 0) return [];
  const evidence = `the role ${name} may not read ${missing.map(({ key }) => key).join(', ')}`;
  return [
    problem('etcd-roles', evidence, `grant it: role grant-permission ${name} read KEY, with --prefix for a key that ends with /`),
  ];
}

/** Whether `granted` allows all keys of `wanted`. The end of a range is exclusive, and `\0` stands for none. */
function covers(granted: Permission, wanted: Permission): boolean {
  if (granted.end === undefined) return wanted.end === undefined && granted.key === wanted.key;
  if (granted.key > wanted.key && granted.key !== '\0') return false;
  if (granted.end === '\0') return true;
  return wanted.end === undefined ? wanted.key < granted.end : wanted.end !== '\0' && wanted.end <= granted.end;
}
