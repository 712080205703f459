/**
 * Writes of reports to the Kubernetes API: each is repeated with back-off until it succeeds or can never succeed, and a
 * cause is logged once with its remedy.
 */
import { asError, errorCode } from '../../shared/errors.ts';
import type { Counter, Registry } from '../../shared/http/metrics.ts';
import { KubeError, KubeForbiddenError } from '../../shared/kubernetes/errors.ts';
import type { Logger } from '../../shared/process/log.ts';
import { Backoff } from '../../shared/time/backoff.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { REPORT_BACKOFF_MAX_MS, REPORT_BACKOFF_MIN_MS } from './limits.ts';

export type ReportObject = 'event' | 'configmap';

const OUTCOMES = ['success', 'forbidden', 'failure', 'dropped'] as const;

/** Of the process; each term continues it. */
export class ReportMetrics {
  readonly #writes: Counter<'object' | 'outcome'>;

  constructor(registry: Registry) {
    this.#writes = registry.counter(
      'kubernetes_reports_total',
      'Writes of Events and of the status ConfigMap, by outcome; dropped: Events that were never written',
      ['object', 'outcome'],
    );
    for (const object of ['event', 'configmap']) for (const outcome of OUTCOMES) this.#writes.inc({ object, outcome }, 0);
  }

  count(object: ReportObject, outcome: (typeof OUTCOMES)[number], count = 1): void {
    this.#writes.inc({ object, outcome }, count);
  }
}

export interface ReportWritesOptions {
  readonly object: ReportObject;
  /** What is written, for the log: `Events`. */
  readonly what: string;
  /** What to do where RBAC denies it. */
  readonly remedy: string;
  /** A write that the API server rejects as such is not repeated. */
  readonly givesUp: boolean;
  readonly metrics: ReportMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

export class ReportWrites {
  readonly #options: ReportWritesOptions;
  readonly #backoff = new Backoff({ minMs: REPORT_BACKOFF_MIN_MS, maxMs: REPORT_BACKOFF_MAX_MS });
  #failing: string | undefined;

  constructor(options: ReportWritesOptions) {
    this.#options = options;
  }

  /**
   * Calls `write` until it succeeds. Resolves with false where it can never succeed, or `isDue` no longer holds after a failure.
   * Rejects with the signal's reason.
   */
  async repeat(write: () => Promise<void>, signal: AbortSignal, isDue: () => boolean = () => true): Promise<boolean> {
    const { object, metrics, clock, log, what } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      try {
        await write();
        metrics.count(object, 'success');
        if (this.#failing !== undefined) log.info(`${what} can be written again`);
        this.#failing = undefined;
        this.#backoff.reset();
        return true;
      } catch (thrown) {
        signal.throwIfAborted();
        if (!this.#failed(asError(thrown))) return false;
      }
      await clock.sleep(this.#backoff.nextMs(), signal);
      if (!isDue()) return false;
    }
  }

  /** False where the same write can never succeed. */
  #failed(error: Error): boolean {
    const { object, metrics, log, what, remedy, givesUp } = this.#options;
    const isForbidden = error instanceof KubeForbiddenError;
    metrics.count(object, isForbidden ? 'forbidden' : 'failure');
    const code = errorCode(error);
    if (code !== this.#failing) {
      const more = isForbidden ? { remedy } : {};
      log.warn({ code, reason: error.message, ...more }, `cannot write ${what}; nothing else is affected`);
    }
    this.#failing = code;
    return !givesUp || (error instanceof KubeError && error.retriable);
  }
}
