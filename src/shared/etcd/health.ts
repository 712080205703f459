/** What may be wrong with the etcd that a daemon writes to, and with its certificates, for the health server. */

import { errorCode } from '../errors.ts';
import type { Health } from '../http/health.ts';
import { HEALTH_EXPIRY_MS } from '../limits.ts';
import type { Clock } from '../time/clock.ts';
import type { EtcdConnectionState } from './types.ts';

export interface EtcdHealthOptions {
  /** Undefined while there is no client. */
  readonly connection: () => EtcdConnectionState | undefined;
  /** Why writes fail at present; undefined while they succeed. */
  readonly writeError: () => Error | undefined;
  /** When the first certificate of each TLS file in use ends, in milliseconds since 1970. */
  readonly certificates: () => Iterable<readonly [file: string, expiryMs: number]>;
  readonly clock: Clock;
}

/** Adds the checks `local etcd`, `writes to the local etcd` and `certificates`. */
export function addEtcdChecks(health: Health, { connection, writeError, certificates, clock }: EtcdHealthOptions): void {
  health.addCheck('local etcd', () => connectionProblem(connection()));
  health.addCheck('writes to the local etcd', () => {
    const error = writeError();
    return error && describe(error);
  });
  health.addCheck('certificates', () =>
    expiringCertificates(certificates(), clock.nowMs()).map(
      ({ file, isOver, at }) => `${file} ${isOver ? 'has ended' : 'ends'} at ${at}; renew it`,
    ),
  );
}

interface ExpiringCertificate {
  readonly file: string;
  readonly isOver: boolean;
  /** RFC 3339. */
  readonly at: string;
}

/** Those that have expired or expire soon. */
export function expiringCertificates(
  certificates: Iterable<readonly [file: string, expiryMs: number]>,
  nowMs: number,
): readonly ExpiringCertificate[] {
  return [...certificates].flatMap(([file, expiryMs]) => {
    const leftMs = expiryMs - nowMs;
    return leftMs > HEALTH_EXPIRY_MS ? [] : [{ file, isOver: leftMs <= 0, at: new Date(expiryMs).toISOString() }];
  });
}

function connectionProblem(state: EtcdConnectionState | undefined): string | undefined {
  if (state === undefined) return 'waiting for its configuration';
  if (state.connected) return undefined;
  return state.lastError === undefined ? 'not connected yet' : describe(state.lastError);
}

function describe(error: Error): string {
  return `${errorCode(error)}: ${error.message}`;
}
