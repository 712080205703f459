/**
 * Initializes the data directory for a later etcd, or sets up a member of a replicated etcd.
 *
 * A directory that was not initialized completely is emptied first, so that a run that was killed can be repeated. It is valid only
 * after etcd has stopped cleanly: until then it may have users without authentication.
 */

import { clusterNameProblem } from '../shared/cluster-info.ts';
import { FlagError } from '../shared/flags/error.ts';
import type { Logger } from '../shared/process/log.ts';
import type { Clock } from '../shared/time/clock.ts';
import { emptyDataDirectory } from './data-directory.ts';
import { DataDirectoryError } from './errors.ts';
import { withOwnEtcd } from './etcd-run.ts';
import type { EtcdinitFlags } from './flags.ts';
import { fillEtcd, untilServing } from './initialize.ts';
import { readMarker, writeMarker } from './marker.ts';
import type { Resolve } from './members/absence.ts';
import { isReplicated } from './members/plan.ts';
import { runMember } from './members/run-member.ts';
import { Steps } from './steps.ts';

export interface EtcdinitSurroundings {
  readonly log: Logger;
  readonly clock: Clock;
  /** Aborts the whole initialization. */
  readonly signal: AbortSignal;
  /** Of the host names of other members; the system's resolver where absent. */
  readonly resolve?: Resolve;
}

/**
 * Resolves when the directory is valid. Rejects with an EtcdinitError, a FlagError, or the signal's reason. In all
 * cases, no etcd keeps running.
 */
export async function runEtcdinit(flags: EtcdinitFlags, surroundings: EtcdinitSurroundings): Promise<void> {
  const problem = flags.clusterName === '' ? undefined : clusterNameProblem(flags.clusterName);
  if (problem !== undefined) throw new FlagError(`flag --cluster-name: ${JSON.stringify(flags.clusterName)}: ${problem}`);
  const steps = new Steps({ ...surroundings, timeoutMs: flags.timeoutMs });
  try {
    if (isReplicated(flags)) await runMember(flags, steps, surroundings.resolve);
    else await runSingle(flags, steps);
  } finally {
    steps.end();
  }
}

/** The only member of its etcd. */
async function runSingle(flags: EtcdinitFlags, steps: Steps): Promise<void> {
  const { etcdDataDir: dataDir, etcdClusterName: name, etcdInitialClusterToken: token, clusterName } = flags;
  if (flags.etcdKeepData && (await isInitialized(flags))) {
    steps.log.info({ dataDir }, 'etcd was initialized by an earlier run; its data are kept');
    return;
  }
  steps.begin('emptying the data directory');
  const removed = await emptyDataDirectory(dataDir);
  if (removed > 0) steps.log.info({ dataDir, removed }, 'removed the contents of the data directory');
  // What is stored in the data directory is the same as with the original.
  const urls = { clientUrl: 'http://localhost:2379', peerUrl: 'http://localhost:2380' };
  await withOwnEtcd(steps, { dataDir, name, ...urls, cluster: { state: 'new', token } }, async (client) => {
    await untilServing(client, steps);
    await fillEtcd(client, clusterName, steps);
  });
  if (flags.etcdKeepData) await writeMarker(dataDir, { version: 1, clusterName });
  steps.log.info({ dataDir }, 'etcd is initialized');
}

/** Throws DataDirectoryError for the data of another cluster, or of a member of a replicated etcd. */
async function isInitialized({ etcdDataDir, clusterName }: EtcdinitFlags): Promise<boolean> {
  const marker = await readMarker(etcdDataDir);
  if (marker === undefined) return false;
  const remedy = 'nothing was changed; empty it, or set another directory';
  if (marker.clusterName !== clusterName)
    throw new DataDirectoryError(etcdDataDir, `has the data of cluster ${JSON.stringify(marker.clusterName)}; ${remedy}`);
  if (marker.member !== undefined)
    throw new DataDirectoryError(etcdDataDir, `has the data of member ${marker.member.name} of a replicated etcd; ${remedy}`);
  return true;
}
