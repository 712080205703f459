/**
 * What a step of the story works with: the mesh, and the means to change something, to check what comes
 * of it, and to show it.
 */
import { asError, ProgramError } from '../../src/shared/errors.ts';
import type { Cluster } from '../mesh/cluster.ts';
import type { ObservedEvent } from '../mesh/etcd-contents/etcd-observer.ts';
import type { Mesh } from '../mesh/mesh.ts';
import { NAMESPACE } from '../mesh/workload/manifests.ts';
import type { Change } from '../mesh/workload/workload.ts';
import { LEGEND, serviceRows, serviceTable } from './service-table.ts';
import { duration, type Terminal } from './terminal.ts';

/** Something was not as expected. */
export class StepFailedError extends ProgramError {
  readonly code = 'DEMO_STEP_FAILED';
  readonly retriable = false;
  readonly expectation: string;
  constructor(expectation: string, cause: Error) {
    super(cause.message, { cause });
    this.expectation = expectation;
  }
}

/** What was seen is not what was expected. */
export class UnexpectedError extends ProgramError {
  readonly code = 'DEMO_UNEXPECTED';
  readonly retriable = false;
}

export interface Step {
  /** What happens, in plain words. */
  readonly title: string;
  /** Rejects with StepFailedError where something was not as expected. */
  run(stage: Stage): Promise<void>;
}

/** Events in the etcd of a cluster that agents act upon. */
export type EventCount = (cluster: Cluster) => readonly ObservedEvent[];

export class Stage {
  readonly mesh: Mesh;
  readonly #interrupted: AbortSignal;
  readonly #terminal: Terminal;
  #hasLegend = false;

  constructor(mesh: Mesh, terminal: Terminal, interrupted: AbortSignal) {
    this.mesh = mesh;
    this.#interrupted = interrupted;
    this.#terminal = terminal;
  }

  /** A sentence for new users. */
  explain(text: string): void {
    this.#terminal.remark(text);
  }

  /** Shows `expectation` as met where `prove` resolves, with the detail it resolves with. Throws StepFailedError. */
  async check(expectation: string, prove: () => Promise<string>): Promise<void> {
    const progress = this.#terminal.progress(expectation);
    let detail: string;
    try {
      detail = await prove();
    } catch (thrown) {
      this.#interrupted.throwIfAborted();
      throw new StepFailedError(expectation, asError(thrown));
    } finally {
      progress.end();
    }
    this.#terminal.passed(expectation, detail);
  }

  /** What each cluster sees now. */
  showServices(remark?: string): void {
    const rows = serviceRows(this.mesh);
    this.#terminal.table(serviceTable(rows));
    if (rows.length > 0 && !this.#hasLegend) this.#terminal.remark(LEGEND);
    this.#hasLegend ||= rows.length > 0;
    if (remark !== undefined) this.#terminal.remark(remark);
  }

  /** Carries out the changes concurrently; resolves with the delay of each etcd after the last Kubernetes response. */
  change(...changes: readonly Change[]): Promise<string> {
    return this.arrival(async () => {
      await Promise.all(changes.map((carryOut) => carryOut()));
      return performance.now();
    });
  }

  /**
   * Changes the mesh and waits until both etcds have the expected state; resolves with the delay of
   * each. `action` returns its promise once the expected state is known; it resolves with the start time.
   */
  async arrival(action: () => Promise<number>): Promise<string> {
    const { clusters } = this.mesh;
    const acting = action();
    const arrivals = clusters.map((cluster) => cluster.observer.when(() => this.mesh.problemOf(cluster)));
    const [fromMs, ...arrivedMs] = await Promise.all([acting, ...arrivals]);
    const times = clusters.map(({ name }, index) => `${name}'s ${delay((arrivedMs[index] ?? 0) - fromMs)}`);
    return `in ${times.join(', in ').replace("'s", "'s etcd")}`;
  }

  /**
   * Starts counting. The returned function returns the events since; call `caughtUp` first, to have all of them.
   * In a real cluster other objects change too: then only events of the demo count.
   */
  countEvents(): EventCount {
    const { clusters } = this.mesh;
    const marks = new Map(clusters.map((cluster) => [cluster, cluster.observer.mark]));
    const isAlone = clusters.every(({ isEmbedded }) => isEmbedded);
    const counts = ({ key }: ObservedEvent) => isAlone || key.includes(`/${NAMESPACE}/`);
    return (cluster) => cluster.observer.dataEventsSince(marks.get(cluster) ?? 0).filter(counts);
  }

  /** Resolves when all current events of the etcds were received, and the state is as expected. */
  async caughtUp(): Promise<void> {
    for (const cluster of this.mesh.clusters) {
      await cluster.observer.caughtUp();
      const problem = this.mesh.problemOf(cluster);
      if (problem !== undefined) throw new UnexpectedError(problem);
    }
  }
}

/** Events may overtake the answer to the request that caused them. */
function delay(ms: number): string {
  return ms < 1 ? 'within 1 ms' : `after ${duration(ms)}`;
}
