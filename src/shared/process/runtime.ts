/** What a daemon is given by the process it runs in. */

import type { Readiness } from '../http/health.ts';
import type { Registry } from '../http/metrics.ts';
import type { Clock } from '../time/clock.ts';
import type { Logger } from './log.ts';

export interface Runtime {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Registry;
  /** Shared by the daemons of a process; absent where there is one. */
  readonly readiness?: Readiness;
  /** Aborted when the process is to end; a daemon then finishes and its run resolves. */
  readonly signal: AbortSignal;
}
