/** Why a remote is not connected: the check that names it, and the fields of the log line. */
import { generalRemedy, type PodCheckId } from '../../shared/diagnosis/pod-checks.ts';
import { ProgramError } from '../../shared/errors.ts';
import { checkOf, EtcdConfigError, EtcdError } from '../../shared/etcd/errors.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { ConnectionLostError, ReconfiguredError, SourceReplacedError } from '../errors.ts';
import type { RemoteEvent, RemotePhase } from './state.ts';

/** Losses of the connection to one remote: logs each that is new, and tells what it does to the state. */
export class Losses {
  readonly #log: Logger;
  readonly #clock: Clock;
  /** The last error that was none of those this program raises on purpose. */
  #mistake: string | undefined;
  /** Why the last connection was lost: attempts since then do not hide it. */
  #lostBy: string | undefined;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** A connection, or an attempt to make one, has ended in `phase`. */
  lost(reason: Error, phase: RemotePhase): RemoteEvent {
    const isOurs = reason instanceof ReconfiguredError;
    const wasConnected = phase.kind !== 'connecting';
    if (wasConnected) this.#lostBy = isOurs ? undefined : reason.message;
    const lostBy = wasConnected || this.#lostBy === reason.message ? undefined : this.#lostBy;
    const text = lostBy === undefined ? reason.message : `${lostBy}; since then: ${reason.message}`;
    const isNews = wasConnected || phase.reason !== text;
    const line = lossFields(reason);
    if (isOurs) this.#log.info(line, 'reconnecting');
    else if (!(reason instanceof ProgramError)) this.#onMistake(reason);
    else if (wasConnected) this.#log.warn(line, 'disconnected; keeping the last known state');
    else if (isNews) this.#log.warn(line, 'cannot connect to the remote cluster; retrying');
    return {
      kind: 'lost',
      reason: isOurs ? undefined : text,
      check: checkOfLoss(reason),
      counts: wasConnected && !isOurs,
      nowMs: this.#clock.nowMs(),
    };
  }

  /** A bug costs only this cluster its connection. Logged once while it is the same. */
  #onMistake(error: Error): void {
    if (error.message !== this.#mistake)
      this.#log.error({ err: error }, 'internal error while mirroring the remote cluster; starting over');
    this.#mistake = error.message;
  }
}

/** Undefined where nothing is wrong, or what is wrong is not known. */
function checkOfLoss(reason: Error): PodCheckId | undefined {
  if (reason instanceof ReconfiguredError) return undefined;
  if (reason instanceof SourceReplacedError) return 'load-balancer';
  if (reason instanceof ConnectionLostError) return 'tcp-silent';
  return reason instanceof EtcdError ? checkOf(reason) : undefined;
}

/** The check is named once: the client of the etcd has logged that of its own errors. */
function lossFields(reason: Error): object {
  if (!(reason instanceof ProgramError)) return { err: reason };
  const check = reason instanceof EtcdError && !(reason instanceof EtcdConfigError) ? undefined : checkOfLoss(reason);
  const named = check === undefined ? {} : { check, remedy: generalRemedy(check) };
  return { code: reason.code, reason: reason.message, ...named };
}
