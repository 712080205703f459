/**
 * Waits until CRDs exist: at the start of a cluster, Cilium's operator installs them while this
 * program is already running. Only the name is checked.
 */

import type { Logger } from '../../process/log.ts';
import { LinkedAbort } from '../../time/abort.ts';
import type { Clock } from '../../time/clock.ts';
import type { KubeConnection } from '../connection/connection.ts';
import { CrdTimeoutError, type KubeError } from '../errors.ts';
import { CRD_LOG_INTERVAL_MS } from '../limits.ts';
import { projectCustomResourceDefinition } from '../objects/projections.ts';
import { CUSTOM_RESOURCE_DEFINITIONS, type Resource, resourceName } from '../objects/resources.ts';
import type { ReflectorObserver } from './observer.ts';
import { runReflector } from './reflector.ts';

export interface CrdWait {
  readonly connection: KubeConnection;
  /** The kinds whose CRDs must exist. */
  readonly resources: readonly Resource[];
  readonly timeoutMs: number;
  readonly log: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly observer?: ReflectorObserver;
}

/**
 * Resolves when every CRD exists. After `timeoutMs` throws a CrdTimeoutError with the missing ones
 * or, if CRDs cannot be listed, the cause: a KubeForbiddenError includes the missing
 * rule. Throws the signal's reason where it is aborted first.
 */
export async function waitForCrds(options: CrdWait): Promise<void> {
  const { signal } = options;
  const end = new LinkedAbort(signal);
  try {
    await new CrdSearch(options, end).run();
  } finally {
    end.abort();
  }
  if (end.signal.reason !== FOUND) throw end.signal.reason;
}

const FOUND = Symbol('all CRDs exist');

class CrdSearch {
  readonly #options: CrdWait;
  readonly #end: LinkedAbort;
  readonly #wanted: ReadonlySet<string>;
  readonly #missing: Set<string>;
  /** What the last attempt to list failed with, until one succeeds. */
  #failure: KubeError | undefined;

  constructor(options: CrdWait, end: LinkedAbort) {
    this.#options = options;
    this.#end = end;
    this.#wanted = new Set(options.resources.map(resourceName));
    this.#missing = new Set(this.#wanted);
  }

  /** Resolves once `end` is aborted, which the search does itself when it is over. */
  async run(): Promise<void> {
    const { connection, log, clock, observer } = this.#options;
    const reflector = runReflector({
      connection,
      log,
      clock,
      signal: this.#end.signal,
      resource: CUSTOM_RESOURCE_DEFINITIONS,
      project: projectCustomResourceDefinition,
      handler: {
        upsert: (_, { name }) => this.#found(name),
        remove: ({ name }) => this.#lost(name),
        listed: () => {
          this.#failure = undefined;
        },
      },
      observer: (event) => {
        if (event.type === 'failure') this.#failure = event.error;
        observer?.(event);
      },
    });
    await Promise.all([reflector, this.#keepTime()]);
  }

  #found(name: string): void {
    if (this.#missing.delete(name) && this.#missing.size === 0) this.#end.abort(FOUND);
  }

  #lost(name: string): void {
    if (this.#wanted.has(name)) this.#missing.add(name);
  }

  async #keepTime(): Promise<void> {
    const { clock, log, timeoutMs } = this.#options;
    const { signal } = this.#end;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    while (!signal.aborted) {
      const leftMs = deadlineMs - clock.monotonicMs();
      const missing = [...this.#missing];
      if (leftMs <= 0) this.#end.abort(this.#failure ?? new CrdTimeoutError(missing, timeoutMs));
      else await clock.sleep(Math.min(leftMs, CRD_LOG_INTERVAL_MS), signal).catch(() => undefined);
      if (!signal.aborted) log.warn({ missing }, 'waiting for CRDs');
    }
  }
}
