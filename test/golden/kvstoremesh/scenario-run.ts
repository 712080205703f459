/**
 * Carries out a scenario: its steps on sources, configuration, local etcd and daemon, and after each the comparison.
 *
 * A step is over as soon as everything is as expected and stays so for a moment, so a quick daemon makes a quick run
 * and a slow start does no harm.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Daemon } from '../../support/processes/daemon.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { compareState, needlessWrites } from './comparison/comparison.ts';
import { expectationOf, permissionsOf } from './comparison/deviations.ts';
import { type Observation, observeApi, observeEtcd, observeReadyz } from './recording/observation.ts';
import type { Scenario, Step } from './recording/scenario.ts';
import type { Action } from './recording/scenario-actions.ts';
import { type DaemonSettings, startDaemon } from './stage/daemon.ts';
import { ScenarioStage } from './stage/scenario-stage.ts';
import { carryOutOnStage } from './stage/stage-actions.ts';

/** How long what is expected must hold, and how long where the step is to change nothing. */
const HOLD_MS = 500;
const QUIET_HOLD_MS = 1_500;
const POLL_MS = 100;
/** The longest settle time of a scenario that is kept, if nothing marks the end of a step. */
const SETTLE_AT_MOST_MS = 4_000;
/** How long something else may be seen: in a step, and in one that waits for a new attempt of the daemon. */
const SETTLE_WITHIN_MS = 60_000;
const LONG_SETTLE_WITHIN_MS = 90_000;

/** Runs a scenario. Rejects with what differs, and the daemon's last words. */
export async function runScenario(scenario: Scenario): Promise<void> {
  const stage = await ScenarioStage.open(scenario, temporaryDirectory('golden'));
  const run = new ScenarioRun(scenario, stage);
  try {
    await run.carryOut();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`${message}\nthe daemon's last words:\n${run.lastWords}`, { cause: error });
  } finally {
    await run.killDaemon();
    await stage.close();
  }
}

class ScenarioRun {
  readonly #scenario: Scenario;
  readonly #stage: ScenarioStage;
  #daemon: Daemon | undefined;
  #isToRun = false;
  #startedAtMs = 0;
  #revisions: Observation['revisions'] = new Map();

  constructor(scenario: Scenario, stage: ScenarioStage) {
    this.#scenario = scenario;
    this.#stage = stage;
  }

  get lastWords(): string {
    return this.#daemon?.lastLines ?? '(it was not started)';
  }

  async carryOut(): Promise<void> {
    this.#revisions = (await observeEtcd(this.#stage.local.endpoint, this.#scenario)).revisions;
    for (const step of this.#scenario.steps) {
      try {
        for (const action of step.actions) await this.#act(action);
        await this.#expect(step);
      } catch (error) {
        throw new Error(`step ${step.number}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      }
    }
    if (this.#isToRun) await this.#stop('SIGTERM');
  }

  async killDaemon(): Promise<void> {
    if (this.#daemon !== undefined && this.#daemon.end === undefined) await this.#daemon.stop('SIGKILL');
  }

  async #act(action: Action): Promise<void> {
    switch (action.type) {
      case 'startDaemon':
        this.#isToRun = true;
        this.#startedAtMs = performance.now();
        this.#daemon = startDaemon(this.#settings());
        return;
      case 'stopDaemon':
        return this.#stop(action.signal);
      case 'restartLocal':
        if (action.wipe) this.#revisions = new Map();
        return carryOutOnStage(action, this.#stage);
      default:
        return carryOutOnStage(action, this.#stage);
    }
  }

  #settings(): DaemonSettings {
    return { flags: this.#scenario.flags, ...this.#stage.daemonSettings };
  }

  async #stop(signal: NodeJS.Signals): Promise<void> {
    this.#isToRun = false;
    const end = await this.#daemon?.stop(signal);
    if (signal !== 'SIGKILL' && end?.code !== 0)
      throw new Error(`after ${signal} the daemon ended with ${JSON.stringify(end)}, not with status 0`);
  }

  async #expect(step: Step): Promise<void> {
    const expected = expectationOf(this.#scenario, step.number);
    const permissions = permissionsOf(this.#scenario, step);
    const begin = performance.now();
    const floor = this.#floorMs(step, begin);
    const deadline = Math.max(begin, floor) + (step.takesLong ? LONG_SETTLE_WITHIN_MS : SETTLE_WITHIN_MS);
    const holdMs = this.#holdMs(step);
    let equalSince: number | undefined;
    for (;;) {
      if (this.#isToRun && this.#daemon?.end !== undefined)
        throw new Error(`the daemon ended by itself, with ${JSON.stringify(this.#daemon.end)}`);
      const actual = await this.#observe();
      const differences = actual === undefined ? ['the local etcd does not answer'] : compareState(expected, actual, permissions);
      const now = performance.now();
      equalSince = differences.length === 0 ? (equalSince ?? now) : undefined;
      if (actual !== undefined && equalSince !== undefined && now >= floor && now - equalSince >= holdMs) {
        const needless = needlessWrites(expected.written, this.#revisions, actual.revisions, step);
        if (needless.length > 0) throw new Error(needless.join('\n  '));
        this.#revisions = actual.revisions;
        return;
      }
      if (now >= deadline && equalSince === undefined) throw new Error(differences.join('\n  '));
      await pause(POLL_MS);
    }
  }

  #floorMs(step: Step, begin: number): number {
    if (step.atSeconds !== undefined) return this.#startedAtMs + step.atSeconds * 1000;
    if (step.afterSeconds !== undefined) return begin + step.afterSeconds * 1000;
    return begin + Math.min(step.settleSeconds * 1000, SETTLE_AT_MOST_MS);
  }

  #holdMs({ number, atSeconds, afterSeconds }: Step): number {
    if (atSeconds !== undefined || afterSeconds !== undefined) return 0;
    if (number === 1) return HOLD_MS;
    const [before, now] = [expectationOf(this.#scenario, number - 1), expectationOf(this.#scenario, number)];
    return isDeepStrictEqual({ ...before, written: now.written }, now) ? QUIET_HOLD_MS : HOLD_MS;
  }

  async #observe(): Promise<Observation | undefined> {
    const { apiPort, healthPort } = this.#stage.daemonSettings;
    const seen = await observeEtcd(this.#stage.local.endpoint, this.#scenario).catch(() => undefined);
    if (seen === undefined) return undefined;
    return { ...seen, ...(await observeApi(apiPort, this.#scenario.volatile)), readyz: await observeReadyz(healthPort) };
  }
}
