/**
 * A recorded scenario of the users file: what is done to the file and to etcd, step by step, and which users, roles and
 * keys etcd has after each step.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DATA, type ScenarioFlags, scenarioNamesOf } from './scenario.ts';

export interface UsersStep {
  /** Counts from 1. */
  readonly number: number;
  readonly etcdinit?: boolean;
  readonly start?: boolean;
  /** The users file from now on. */
  readonly users?: string;
  /** Commands of etcdctl, as root. */
  readonly etcdctl?: readonly (readonly string[])[];
}

export interface UsersScenario {
  readonly name: string;
  readonly flags: ScenarioFlags;
  readonly replacesFile: boolean;
  readonly steps: readonly UsersStep[];
}

export interface UsersDump {
  readonly authEnabled: boolean;
  readonly users: Readonly<Record<string, readonly string[]>>;
  readonly roles: Readonly<Record<string, readonly RecordedPermission[]>>;
  readonly keys: readonly string[];
}

export interface RecordedPermission {
  readonly type: string;
  readonly key: string;
  readonly range_end: string;
}

export function usersScenarios(): readonly UsersScenario[] {
  return scenarioNamesOf('users').map((name) => {
    const { flags, usersMode, steps } = JSON.parse(fileOf(name, 'scenario.json')) as {
      flags: ScenarioFlags;
      usersMode: string;
      steps: readonly Omit<UsersStep, 'number'>[];
    };
    return { name, flags, replacesFile: usersMode === 'replace', steps: steps.map((step, i) => ({ number: i + 1, ...step })) };
  });
}

/** The content of a file of a scenario. */
export function fileOf(scenario: string, name: string): string {
  return readFileSync(join(DATA, scenario, name), 'utf8');
}

/** Where this program does something else than the original on purpose: the users after the step. */
interface UsersDeviation {
  readonly scenario: string;
  readonly steps: readonly number[];
  readonly why: string;
  readonly users: Readonly<Record<string, readonly string[]>>;
}

export const usersDeviations: readonly UsersDeviation[] = [
  {
    scenario: 'users-basic',
    steps: [3, 4, 5, 6],
    why: 'the users of the cluster itself are none of the file’s business: no entry changes or removes them',
    users: { 'local-harbor': ['local'] },
  },
  {
    scenario: 'users-replaced-file',
    steps: [5],
    why: 'a user of the file has exactly the role of the file, even if another one was granted by hand',
    users: { 'remote-x': ['remote'] },
  },
];

/** What was recorded after a step. */
export function recordedUsers(scenario: string, step: number): UsersDump {
  return JSON.parse(fileOf(scenario, `${step}-users.json`)) as UsersDump;
}

/** What this program is to leave in etcd after a step. */
export function expectedUsers(scenario: string, step: number): UsersDump {
  const dump = recordedUsers(scenario, step);
  const ours = usersDeviations.filter((each) => each.scenario === scenario && each.steps.includes(step));
  return { ...marked(dump), users: Object.assign({}, dump.users, ...ours.map(({ users }) => users)) as UsersDump['users'] };
}

/** In every scenario: both roles may read a key that agents of 1.15 need, and etcdinit writes it; that of 1.20 does neither. */
function marked(dump: UsersDump): UsersDump {
  const key = 'cilium/.has-cluster-config';
  const roles = Object.entries(dump.roles).map(([name, permissions]) => [
    name,
    [{ type: 'READ', key, range_end: '' }, ...permissions],
  ]);
  return { ...dump, keys: [key, ...dump.keys], roles: Object.fromEntries(roles) as UsersDump['roles'] };
}
