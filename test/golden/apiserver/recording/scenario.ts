/**
 * A recorded scenario: what is done to Kubernetes, to etcd and to the daemon, step by step, and what etcd
 * holds after each step.
 *
 * The recordings were made with the original program. `data/<scenario>/scenario.json` names the steps,
 * `N-expected.json` is the whole content of etcd after step N.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DumpEntry } from './etcd-dump.ts';

export interface ScenarioFlags {
  readonly clusterName: string;
  readonly clusterId: number;
  readonly mcsApi?: boolean;
  readonly ciliumEndpointSlice?: boolean;
  readonly defaultGlobalNamespace?: boolean;
  readonly serviceProxyName?: string;
  readonly maxConnectedClusters?: number;
  readonly serviceV2?: string;
  readonly leaseTTL?: string;
}

/** One thing that is done; a step does several, in the order in which they are written. */
export type Action =
  | { readonly type: 'apply' | 'applyStatus' | 'etcdPut'; readonly file: string }
  | { readonly type: 'delete'; readonly references: readonly string[] }
  | { readonly type: 'start' }
  | { readonly type: 'stop' | 'restart'; readonly signal: NodeJS.Signals }
  | { readonly type: 'etcdDelete'; readonly targets: readonly EtcdTarget[] }
  | { readonly type: 'etcdStop' }
  | { readonly type: 'etcdStart'; readonly wipe: boolean }
  | { readonly type: 'etcdRestart'; readonly downMs: number; readonly wipe: boolean }
  | { readonly type: 'wait'; readonly ms: number };

/** A key, or all keys of a prefix; an empty prefix is everything. */
export interface EtcdTarget {
  readonly key?: string;
  readonly prefix?: string;
}

export interface Step {
  /** Counts from 1. */
  readonly number: number;
  readonly actions: readonly Action[];
  /** The daemon is expected to end by itself, with an error. */
  readonly exits: boolean;
}

export interface Scenario {
  readonly name: string;
  readonly directory: string;
  readonly description: string;
  readonly flags: ScenarioFlags;
  readonly steps: readonly Step[];
  /** The heartbeat key is part of the dumps. It is written periodically, hence only compared in scenarios about it. */
  readonly hasHeartbeat: boolean;
}

export const DATA = join(import.meta.dirname, '../data');

/** Words of a step that are no actions. */
const NOTES = ['settle', 'comment', 'exits'];

export function scenarioNames(): readonly string[] {
  return scenarioNamesOf(undefined);
}

/** The scenarios of a kind; those of the keys have none. */
export function scenarioNamesOf(kind: 'users' | undefined): readonly string[] {
  const kindOf = (name: string) =>
    (JSON.parse(readFileSync(join(DATA, name, 'scenario.json'), 'utf8')) as { kind?: string }).kind;
  return readdirSync(DATA)
    .filter((name) => kindOf(name) === kind)
    .toSorted();
}

export function readScenario(name: string): Scenario {
  const directory = join(DATA, name);
  const { description, flags, steps, heartbeat } = JSON.parse(readFileSync(join(directory, 'scenario.json'), 'utf8')) as {
    description: string;
    flags: ScenarioFlags;
    steps: readonly Record<string, unknown>[];
    heartbeat?: boolean;
  };
  return {
    name,
    directory,
    description,
    flags,
    hasHeartbeat: heartbeat === true,
    steps: steps.map((step, index) => ({
      number: index + 1,
      exits: step.exits === true,
      actions: Object.entries(step).flatMap(([type, value]) => (NOTES.includes(type) ? [] : [actionOf(name, type, value)])),
    })),
  };
}

/** What the original left in etcd after a step. */
export function recordedDump(scenario: Scenario, step: number): readonly DumpEntry[] {
  return JSON.parse(readFileSync(join(scenario.directory, `${step}-expected.json`), 'utf8')) as DumpEntry[];
}

function actionOf(scenario: string, type: string, value: unknown): Action {
  const { wipe = false, down = 1 } = typeof value === 'object' ? (value as { wipe?: boolean; down?: number }) : {};
  switch (type) {
    case 'apply':
    case 'applyStatus':
    case 'etcdPut':
      return { type, file: String(value) };
    case 'delete':
      return { type, references: value as readonly string[] };
    case 'start':
    case 'etcdStop':
      return { type };
    case 'stop':
    case 'restart':
      return { type, signal: typeof value === 'string' ? (value as NodeJS.Signals) : 'SIGTERM' };
    case 'etcdDelete':
      return { type, targets: value as readonly EtcdTarget[] };
    case 'etcdStart':
      return { type, wipe };
    case 'etcdRestart':
      return { type, wipe, downMs: down * 1000 };
    case 'wait':
      return { type, ms: Number(value) * 1000 };
    default:
      throw new Error(`${scenario}: there is no action ${type}`);
  }
}
