/**
 * `mcsapi-coredns-cfg`: CoreDNS learns the domain of the clusterset, once.
 *
 * Nothing is changed unless all of it can be. A run that was interrupted between the change of the Corefile and the
 * restart is completed by the next one; a run that finds CoreDNS configured changes nothing.
 */

import type { KubeConnection } from '../shared/kubernetes/connection/connection.ts';
import { openFlaggedConnection } from '../shared/kubernetes/connection/flagged-connection.ts';
import { KubeStatusError } from '../shared/kubernetes/errors.ts';
import { checkVersion } from '../shared/kubernetes/version.ts';
import { MAX_COREDNS_UPDATE_ATTEMPTS } from '../shared/limits.ts';
import type { Logger } from '../shared/process/log.ts';
import type { Clock } from '../shared/time/clock.ts';
import { CorednsObjects } from './coredns-objects.ts';
import { checkedVersion } from './coredns-version.ts';
import { CorednsPausedError } from './errors.ts';
import type { CorednsFlags } from './flags.ts';
import { withMulticluster } from './multicluster.ts';

export interface CorednsRun {
  readonly log: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Throws a ProgramError, or the signal's reason. */
export async function configureCoredns(flags: CorednsFlags, { log, clock, signal }: CorednsRun): Promise<void> {
  const connection = await openFlaggedConnection(flags, { clock, log });
  try {
    await checkVersion({ connection, clock, log, signal });
    await configure(connection, flags, { log, clock, signal });
  } finally {
    await connection.close();
  }
}

async function configure(connection: KubeConnection, flags: CorednsFlags, { log, clock, signal }: CorednsRun): Promise<void> {
  const coredns = new CorednsObjects(connection, flags, signal);
  const domains = { cluster: flags.corednsClusterDomain, clusterset: flags.corednsClustersetDomain };
  for (let attempt = 1; ; attempt += 1) {
    const configMap = await coredns.configMap();
    const deployment = await coredns.deployment();
    const version = checkedVersion(deployment.image);
    if (version === undefined)
      log.warn({ image: deployment.image }, 'cannot determine the CoreDNS version from the image; 1.12.2 or later is required');
    const corefile = withMulticluster(configMap.corefile, domains);
    if (corefile === undefined && (!configMap.isChangedByUs || deployment.isRestartedByUs)) {
      log.info({ configMap: coredns.configMapName }, 'Corefile already configured; nothing changed');
      return;
    }
    if (deployment.isPaused) throw new CorednsPausedError(coredns.deploymentName);
    try {
      if (corefile !== undefined) await coredns.writeCorefile(configMap, corefile);
    } catch (thrown) {
      const isConflict = thrown instanceof KubeStatusError && thrown.status === 409;
      if (!isConflict || attempt >= MAX_COREDNS_UPDATE_ATTEMPTS) throw thrown;
      log.info({ configMap: coredns.configMapName }, 'Corefile changed concurrently; reading it again');
      continue;
    }
    if (corefile !== undefined) log.info({ configMap: coredns.configMapName }, 'Corefile changed');
    await coredns.restart(clock);
    log.info({ deployment: coredns.deploymentName }, 'restarting CoreDNS with the new Corefile');
    return;
  }
}
