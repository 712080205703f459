/**
 * Installs the CRDs of the multi-cluster services API once, at the start: creates missing ones and upgrades older ones.
 *
 * Cilium's operator does the same, and if it did, nothing is left to do. The ClusterRole of a deployment usually
 * allows only reading CRDs: this is logged and has no other effect, since CRDs that are created later are detected anyway.
 */

import type { KubeConnection } from '../../shared/kubernetes/connection/connection.ts';
import { KubeError, KubeForbiddenError } from '../../shared/kubernetes/errors.ts';
import { CUSTOM_RESOURCE_DEFINITIONS } from '../../shared/kubernetes/objects/resources.ts';
import { MAX_MCS_API_CRD_ATTEMPTS, MCS_API_CRD_RETRY_MAX_MS, MCS_API_CRD_RETRY_MIN_MS } from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';
import { Backoff } from '../../shared/time/backoff.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { CrdRequests, isConflict } from './crd-requests.ts';
import { type CustomResourceDefinition, MCS_API_CRDS, RELEASE_LABEL } from './crds.ts';
import { judge } from './upgrade.ts';

export interface McsApiInstallation {
  readonly connection: KubeConnection;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Failure {
  readonly crd: CustomResourceDefinition;
  readonly error: KubeError;
  /** Verb and resource of a request, as in RBAC. */
  readonly verb: string;
}

/**
 * Resolves when the CRDs are installed, or cannot be, which is logged. Rejects only with the signal's reason.
 * Idempotent and safe to run concurrently.
 */
export async function installMcsApi({ connection, clock, log }: McsApiInstallation, signal: AbortSignal): Promise<void> {
  const backoff = new Backoff({ minMs: MCS_API_CRD_RETRY_MIN_MS, maxMs: MCS_API_CRD_RETRY_MAX_MS });
  let pending = MCS_API_CRDS;
  for (let attempt = 1; pending.length > 0; attempt += 1) {
    const failures: Failure[] = [];
    for (const crd of pending) {
      const requests = new CrdRequests(connection, crd.metadata.name, signal);
      try {
        await install(crd, requests, log);
      } catch (thrown) {
        signal.throwIfAborted();
        if (!(thrown instanceof KubeError)) throw thrown;
        failures.push({ crd, error: thrown, verb: requests.verb });
      }
    }
    const retried = failures.filter(({ error }) => attempt < MAX_MCS_API_CRD_ATTEMPTS && isWorthRetrying(error));
    tell(failures, retried, log);
    pending = retried.map(({ crd }) => crd);
    if (pending.length === 0) return;
    const asked = retried.map(({ error }) => error.retryAfterMs ?? 0);
    await clock.sleep(Math.max(backoff.nextMs(), ...asked), signal);
  }
}

async function install(crd: CustomResourceDefinition, requests: CrdRequests, log: Logger): Promise<void> {
  const { name, labels } = crd.metadata;
  const fields = { crd: name, release: labels[RELEASE_LABEL] };
  const found = await requests.read();
  if (found === undefined) {
    if (await requests.create(crd)) log.info(fields, 'MCS API CRD created');
    return;
  }
  const verdict = judge(found, crd);
  if (verdict.is === 'foreign') log.info({ crd: name, reason: verdict.reason }, 'leaving an existing MCS API CRD unchanged');
  if (verdict.is !== 'older') return;
  await requests.replace(verdict.object);
  log.info(fields, 'MCS API CRD upgraded');
}

/** A missing permission will not appear with a retry; a concurrent writer may have completed the change. */
function isWorthRetrying(error: KubeError): boolean {
  return isConflict(error) || (error.retriable && !(error instanceof KubeForbiddenError));
}

const REMEDY =
  "let Cilium's operator install them, apply them yourself, or disable the installation with --clustermesh-mcs-api-install-crds=false";

function tell(failures: readonly Failure[], retried: readonly Failure[], log: Logger): void {
  const forbidden = failures.filter(({ error }) => error instanceof KubeForbiddenError);
  if (forbidden.length > 0) log.warn(forbiddenFields(forbidden), 'not permitted to install MCS API CRDs');
  for (const failure of failures) {
    if (forbidden.includes(failure)) continue;
    const { crd, error } = failure;
    const fields = { crd: crd.metadata.name, code: error.code, reason: error.message };
    if (retried.includes(failure)) log.info(fields, 'cannot install an MCS API CRD; retrying');
    else log.warn({ ...fields, remedy: REMEDY }, 'cannot install an MCS API CRD; not retrying');
  }
}

/** One line for all CRDs: most often it is one rule that they lack. */
function forbiddenFields(forbidden: readonly Failure[]): object {
  const { plural, group } = CUSTOM_RESOURCE_DEFINITIONS;
  const verbs = new Set(forbidden.map(({ verb }) => verb));
  const rule = `${[...verbs].join(', ')} of ${plural} in API group "${group}"`;
  return {
    crds: forbidden.map(({ crd }) => crd.metadata.name),
    reason: forbidden[0]?.error.message,
    remedy: `add ${rule} to the ClusterRole, ${REMEDY}`,
  };
}
