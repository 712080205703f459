/**
 * Carries out a scenario: its steps on Kubernetes, etcd and the daemon, and after each the comparison.
 *
 * A step is over as soon as etcd has the expected content and keeps it for a moment, so a quick
 * daemon makes a quick run and a slow start does no harm.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { callEtcd, type KeyValue, prefixRange, putKey, readEtcd } from '../../support/etcd/etcd-gateway.ts';
import { type EtcdProcess, startEtcd } from '../../support/etcd/etcd-process.ts';
import { type KubernetesProvider, type Manifest, readManifests } from '../../support/kubernetes/kubernetes-provider.ts';
import type { Daemon } from '../../support/processes/daemon.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { recordedEtcd } from '../recorded-etcd.ts';
import { expectedDump } from './comparison/deviations.ts';
import { compareDumps } from './comparison/dump-comparison.ts';
import { areAnnouncedAnew, isAnnounced, repeatedWrites } from './comparison/restart-rules.ts';
import { startDaemon } from './daemon.ts';
import { type DumpEntry, dumpEtcd } from './recording/etcd-dump.ts';
import type { Action, EtcdTarget, Scenario, Step } from './recording/scenario.ts';

/** How long etcd must hold what is expected. */
const HOLD_MS = 500;
const POLL_MS = 50;
/** How long etcd may hold something else. */
const SETTLE_WITHIN_MS = 45_000;
const START_WITHIN_MS = 60_000;

/** How the daemon is ended within a step; it is started again after the changes. */
export interface Restart {
  readonly signal: NodeJS.Signals;
  /** Amid them: when half of the objects of a file are applied, or where the step has no file, after all. */
  readonly when: 'before the changes' | 'amid the changes' | 'after the changes';
}

/** What a run does otherwise than it is written, without an effect on what etcd holds in the end. */
export interface Variation {
  /** Whether and how the daemon, where it runs, is ended in a step and started again. */
  readonly restart?: (step: Step) => Restart | undefined;
  /** The order in which the objects of a file are applied, and those of a step are deleted. */
  readonly order?: <T extends Manifest | string>(objects: readonly T[]) => readonly T[];
}

/** Runs a scenario. Rejects with what differs, and the daemon's last words. */
export async function runScenario(scenario: Scenario, kubernetes: KubernetesProvider, variation: Variation = {}): Promise<void> {
  const run = new ScenarioRun(scenario, kubernetes, await startEtcd(recordedEtcd()), variation);
  try {
    await run.carryOut();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`${message}\nthe daemon's last words:\n${run.lastWords}`, { cause: error });
  } finally {
    await run.cleanUp();
  }
}

class ScenarioRun {
  readonly #scenario: Scenario;
  readonly #kubernetes: KubernetesProvider;
  readonly #etcd: EtcdProcess;
  readonly #variation: Variation;
  readonly #directory = temporaryDirectory('golden');
  #daemon: Daemon | undefined;
  /** Called in the middle of the changes. */
  #amid: (() => Promise<void>) | undefined;

  constructor(scenario: Scenario, kubernetes: KubernetesProvider, etcd: EtcdProcess, variation: Variation) {
    this.#scenario = scenario;
    this.#kubernetes = kubernetes;
    this.#etcd = etcd;
    this.#variation = variation;
  }

  get lastWords(): string {
    return this.#daemon?.lastLines ?? '(it was not started)';
  }

  async carryOut(): Promise<void> {
    const { steps } = this.#scenario;
    await this.#kubernetes.clean();
    const startsByItself = !steps.some((step) => step.actions.some(({ type }) => type === 'start'));
    if (startsByItself) await this.#start();
    for (const step of steps) {
      await this.#actAndRestart(step);
      if (step.exits) await this.#expectRefusal(step);
      else this.#expectRunning(step);
      await this.#expectDump(step);
    }
    if (this.#daemon?.end === undefined) await this.#stop('SIGTERM');
  }

  async cleanUp(): Promise<void> {
    if (this.#daemon !== undefined && this.#daemon.end === undefined) await this.#daemon.stop('SIGKILL');
    await this.#etcd.stop();
  }

  async #actAndRestart(step: Step): Promise<void> {
    const restart = this.#variation.restart?.(step);
    if (restart === undefined) return this.#act(step);
    let isAway = false;
    const end = async () => {
      if (isAway || this.#daemon === undefined || this.#daemon.end !== undefined) return;
      await this.#stop(restart.signal);
      isAway = true;
    };
    if (restart.when === 'before the changes') await end();
    this.#amid = restart.when === 'amid the changes' ? end : undefined;
    await this.#act(step);
    this.#amid = undefined;
    if (restart.when !== 'before the changes') await end();
    if (isAway) await this.#startAgain(step);
  }

  /** What the canaries of the new run announce is there from then on, and was not written twice. */
  async #startAgain(step: Step): Promise<void> {
    const expected = expectedDump(this.#scenario, step.number, true);
    const before = await readEtcd(this.#etcd.endpoint);
    await this.#start((now) => areAnnouncedAnew(expected, before, now));
    const after = await readEtcd(this.#etcd.endpoint);
    const { meaning, bytes } = compareDumps(expected, await this.#dump());
    const differences = [...meaning, ...bytes, ...repeatedWrites(before, after)];
    if (differences.length > 0) throw new Error([`step ${step.number}, started again:`, ...differences].join('\n  '));
  }

  async #act(step: Step): Promise<void> {
    // A wait at the end only gives the daemon time; the comparison waits by itself, without a limit.
    const actions = step.actions.at(-1)?.type === 'wait' ? step.actions.slice(0, -1) : step.actions;
    for (const action of actions) await this.#carryOut(action);
  }

  async #carryOut(action: Action): Promise<void> {
    switch (action.type) {
      case 'apply':
        return this.#apply(join(this.#scenario.directory, action.file));
      case 'applyStatus':
        return this.#kubernetes.applyStatus(join(this.#scenario.directory, action.file));
      case 'delete':
        for (const reference of this.#variation.order?.(action.references) ?? action.references)
          await this.#kubernetes.delete(reference);
        return;
      case 'start':
        return this.#start();
      case 'stop':
        return this.#stop(action.signal);
      case 'restart':
        await this.#stop(action.signal);
        return this.#start();
      case 'etcdPut':
        return putKeys(this.#etcd.endpoint, join(this.#scenario.directory, action.file));
      case 'etcdDelete':
        for (const target of action.targets) await callEtcd(this.#etcd.endpoint, 'kv/deleterange', rangeOf(target));
        return;
      case 'etcdStop':
        return this.#etcd.kill();
      case 'etcdStart':
        return this.#etcd.restart({ wipe: action.wipe });
      case 'etcdRestart':
        await this.#etcd.kill();
        await pause(action.downMs);
        return this.#etcd.restart({ wipe: action.wipe });
      case 'wait':
        await pause(action.ms);
    }
  }

  async #apply(file: string): Promise<void> {
    const { order } = this.#variation;
    const amid = this.#amid;
    if (order === undefined && amid === undefined) return this.#kubernetes.apply(file);
    const manifests = readManifests(file);
    for (const [index, object] of (order?.(manifests) ?? manifests).entries()) {
      if (index === Math.floor(manifests.length / 2)) await amid?.();
      await this.#kubernetes.applyObject(object);
    }
  }

  /** Resolves when the daemon has written what shows that it has begun, by itself a canary. */
  async #start(hasBegun?: (now: readonly KeyValue[]) => boolean): Promise<void> {
    const etcdConfigFile = join(this.#directory, 'etcd.yaml');
    writeFileSync(etcdConfigFile, `endpoints: [${this.#etcd.endpoint}]\n`);
    const { flags } = this.#scenario;
    const daemon = await startDaemon({ flags, etcdConfigFile, kubeconfigFile: this.#kubernetes.kubeconfigFile });
    this.#daemon = daemon;
    const isEnough = hasBegun ?? ((now) => isAnnounced(flags.clusterName, now));
    const probe = async () => daemon.end !== undefined || isEnough(await readEtcd(this.#etcd.endpoint));
    await until('the daemon has written its canaries', probe, { withinMs: START_WITHIN_MS });
  }

  async #stop(signal: NodeJS.Signals): Promise<void> {
    const end = await this.#daemon?.stop(signal);
    if (signal !== 'SIGKILL' && end?.code !== 0)
      throw new Error(`after ${signal} the daemon ended with ${JSON.stringify(end)}, not with status 0`);
  }

  async #expectRefusal(step: Step): Promise<void> {
    const end = await this.#daemon?.whenEnded();
    if (end?.code === 0)
      throw new Error(`step ${step.number}: the daemon ended with status 0; it should have refused its settings`);
  }

  #expectRunning(step: Step): void {
    const wasStopped = step.actions.some(({ type }) => type === 'stop') || this.#daemon === undefined;
    const end = this.#daemon?.end;
    if (end !== undefined && end.signal === null && !wasStopped && end.code !== 0)
      throw new Error(`step ${step.number}: the daemon ended by itself, with ${JSON.stringify(end)}`);
  }

  async #expectDump(step: Step): Promise<void> {
    const expected = expectedDump(this.#scenario, step.number, this.#variation.restart !== undefined);
    const deadline = performance.now() + SETTLE_WITHIN_MS + longestWaitMs(step);
    let equalSince: number | undefined;
    for (;;) {
      const actual = await this.#dump().catch(() => undefined);
      const { meaning, bytes } = compareDumps(expected, actual ?? []);
      const now = performance.now();
      if (actual === undefined || meaning.length + bytes.length > 0) equalSince = undefined;
      else equalSince ??= now;
      if (equalSince !== undefined && now - equalSince >= HOLD_MS) return;
      if (now >= deadline && equalSince === undefined)
        throw new Error([`step ${step.number}:`, ...meaning, ...bytes].join('\n  '));
      await pause(POLL_MS);
    }
  }

  #dump(): Promise<readonly DumpEntry[]> {
    return dumpEtcd(this.#etcd.endpoint, this.#scenario);
  }
}

function longestWaitMs(step: Step): number {
  return Math.max(0, ...step.actions.map((action) => (action.type === 'wait' ? action.ms : 0)));
}

async function putKeys(endpoint: string, file: string): Promise<void> {
  const entries = JSON.parse(readFileSync(file, 'utf8')) as { key: string; value: string; ttl?: number }[];
  for (const { key, value, ttl } of entries) await putKey(endpoint, Buffer.from(key), Buffer.from(value), ttl);
}

function rangeOf({ key, prefix = '' }: EtcdTarget) {
  return key === undefined ? prefixRange(Buffer.from(prefix)) : { key: Buffer.from(key).toString('base64') };
}
