/**
 * A recorded scenario: source clusters, what is done to them, to the local etcd and to the daemon, step by step,
 * and the content of the local etcd and the status of the daemon after each step.
 *
 * The recordings were made with the original program. `data/<scenario>/scenario.json` names the steps.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Action, actionsOf } from './scenario-actions.ts';

export interface ScenarioFlags {
  readonly clusterName: string;
  readonly clusterId: number;
  readonly maxConnectedClusters: number;
  /** Further flags, as the original takes them. */
  readonly extra: readonly string[];
}

/** A remote cluster of the configuration. */
export interface Remote {
  /** The file of the keys that its etcd holds at first. */
  readonly initial?: string;
  /** False: it is not in the configuration directory at first. */
  readonly config?: boolean;
  /** Served by the etcd of that other remote. */
  readonly source?: string;
  /** False: its etcd is down at first. */
  readonly running?: boolean;
  /** False: its heartbeat is not written. */
  readonly heartbeat?: boolean;
}

export interface Step {
  /** Counts from 1. */
  readonly number: number;
  readonly actions: readonly Action[];
  /** Not over before so many seconds. */
  readonly settleSeconds: number;
  /** What is recorded holds for a while only: seconds after the actions when that is sure to have begun. */
  readonly afterSeconds?: number;
  /** The same, in seconds after the start of the daemon. */
  readonly atSeconds?: number;
  /** The recording waited for certain keys to come or go: the daemon may have to try again first. */
  readonly takesLong: boolean;
  /** True for a key that another program may treat better than the original did. */
  readonly mayDiffer: (key: string) => boolean;
  /** The same for the status of the daemon. */
  readonly apiMayDiffer: boolean;
}

export interface Scenario {
  readonly name: string;
  readonly directory: string;
  readonly flags: ScenarioFlags;
  readonly remotes: Readonly<Record<string, Remote>>;
  /** Further files of the configuration directory; `{endpoint:NAME}` stands for where the etcd of NAME is. */
  readonly files: Readonly<Record<string, string>>;
  /** The configuration directory is laid out and changed like the volume of a Secret. */
  readonly isProjected: boolean;
  /** The file of the keys that the local etcd holds at first. */
  readonly localInitial?: string;
  /** The heartbeat key is part of the dumps. It is written periodically, hence only compared in scenarios about it. */
  readonly hasHeartbeat: boolean;
  /** Members of the API that are not compared. */
  readonly volatile: readonly string[];
  /** Takes minutes. */
  readonly isSlow: boolean;
  readonly steps: readonly Step[];
}

interface ScenarioFile {
  readonly flags: ScenarioFlags;
  readonly remotes: Readonly<Record<string, Remote>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly configDir?: 'projected';
  readonly localInitial?: string;
  readonly heartbeat?: boolean;
  readonly volatile?: readonly string[];
  readonly slow?: boolean;
  readonly steps: readonly StepFile[];
}

interface StepFile {
  readonly settle?: number;
  readonly after?: number;
  readonly at?: number;
  readonly until?: readonly string[];
  readonly untilGone?: readonly string[];
  readonly mayDiffer?: string;
  readonly mayDifferKeys?: readonly string[];
  readonly mayDifferApi?: boolean;
}

const DATA = join(import.meta.dirname, '../data');

export function scenarioNames(): readonly string[] {
  return readdirSync(DATA).toSorted();
}

export function readScenario(name: string): Scenario {
  const directory = join(DATA, name);
  const file = JSON.parse(readFileSync(join(directory, 'scenario.json'), 'utf8')) as ScenarioFile;
  const { flags, remotes, files = {}, localInitial, volatile = [], steps } = file;
  return {
    name,
    directory,
    flags,
    remotes,
    files,
    isProjected: file.configDir === 'projected',
    ...(localInitial === undefined ? {} : { localInitial }),
    hasHeartbeat: file.heartbeat === true,
    volatile,
    isSlow: file.slow === true,
    steps: steps.map((step, index) => stepOf(step, index + 1)),
  };
}

function stepOf(file: StepFile, number: number): Step {
  const { settle = 0, after, at, mayDiffer, mayDifferKeys, mayDifferApi = mayDifferKeys === undefined } = file;
  return {
    number,
    actions: actionsOf(file),
    settleSeconds: settle,
    ...(after === undefined ? {} : { afterSeconds: after }),
    ...(at === undefined ? {} : { atSeconds: at }),
    takesLong: file.until !== undefined || file.untilGone !== undefined,
    mayDiffer: (key) => mayDiffer !== undefined && (mayDifferKeys === undefined || isAmong(key, mayDifferKeys)),
    apiMayDiffer: mayDiffer !== undefined && mayDifferApi,
  };
}

/** True where one of `patterns`, a prefix or with `$` at its end a whole key, is that of `key`. */
function isAmong(key: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => (pattern.endsWith('$') ? key === pattern.slice(0, -1) : key.startsWith(pattern)));
}
