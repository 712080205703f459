/** Why a remote is not connected: the check that names it, and the fields of the log line. */
import { generalRemedy, type PodCheckId } from '../../shared/diagnosis/pod-checks.ts';
import { ProgramError } from '../../shared/errors.ts';
import { checkOf, EtcdConfigError, EtcdError } from '../../shared/etcd/errors.ts';
import { ConnectionLostError, ReconfiguredError, SourceReplacedError } from '../errors.ts';

/** Undefined where nothing is wrong, or what is wrong is not known. */
export function checkOfLoss(reason: Error): PodCheckId | undefined {
  if (reason instanceof ReconfiguredError) return undefined;
  if (reason instanceof SourceReplacedError) return 'load-balancer';
  if (reason instanceof ConnectionLostError) return 'tcp-silent';
  return reason instanceof EtcdError ? checkOf(reason) : undefined;
}

/** The check is named once: the client of the etcd has logged that of its own errors. */
export function lossFields(reason: Error): object {
  if (!(reason instanceof ProgramError)) return { err: reason };
  const check = reason instanceof EtcdError && !(reason instanceof EtcdConfigError) ? undefined : checkOfLoss(reason);
  const named = check === undefined ? {} : { check, remedy: generalRemedy(check) };
  return { code: reason.code, reason: reason.message, ...named };
}
