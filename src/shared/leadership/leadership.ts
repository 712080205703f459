/**
 * Terms of leadership: waits for the lock, runs the leader, and waits again when the lock is lost.
 *
 * Losing the lock does not end the process. The next leader, another replica or this one, compares with what etcd holds and
 * writes only differences, so agents do not notice the change.
 */
import type { EtcdClient } from '../etcd/types.ts';
import type { Registry } from '../http/metrics.ts';
import { onAbort } from '../time/abort.ts';
import { LockLostError } from './errors.ts';
import { FencedClient } from './fenced-client.ts';
import { type Candidacy, type LeaderKey, type LeaderLockOptions, releaseEnded, standForLeader } from './leader-lock.ts';

export interface LeadershipTiming {
  /** After this time in the queue a replica is a standby and reports ready. */
  readonly standbyMs: number;
}

export const LEADERSHIP_TIMING: LeadershipTiming = { standbyMs: 10_000 };

export interface Term {
  /** Writes only while the term lasts. */
  readonly client: EtcdClient;
  /** Aborted when the term is over. */
  readonly signal: AbortSignal;
}

export interface LeadershipOptions extends LeaderLockOptions {
  /** The daemon, for the metric. */
  readonly name: string;
  readonly metrics: Registry;
  readonly timing: LeadershipTiming;
  /** Resolves when the term is over and all of its tasks have ended; rejects where the daemon cannot go on. */
  readonly lead: (term: Term) => Promise<void>;
  /** Another replica has been the leader for a while. */
  readonly onStandby: () => void;
}

/** Runs until the signal is aborted, then gives up the lock and resolves. Rejects with what `lead` rejects with. */
export async function runLeadership(options: LeadershipOptions, signal: AbortSignal): Promise<void> {
  const { name, client, clock, log, metrics, lead } = options;
  const status = metrics.gauge('leader_election_master_status', 'Whether this replica leads', ['name']);
  const isLeader = (value: boolean) => status.set({ name }, Number(value));
  isLeader(false);
  await releaseEnded(options, signal);
  while (!signal.aborted) {
    const candidacy = await standForLeader(options, signal);
    onAbort(candidacy.signal, () => {
      isLeader(false);
      const { reason } = candidacy.signal;
      // Not at the end of the term, which waits for an etcd that may be away.
      if (reason instanceof LockLostError) log.warn({ reason: reason.message }, 'leader lock lost; standing by');
    });
    try {
      const lock = await elected(candidacy, options);
      isLeader(true);
      log.info({ lock: candidacy.key }, 'this replica is the leader');
      const onLost = () => candidacy.lose('its key was deleted');
      const fenced = new FencedClient({ client, lock, onLost, clock, log, signal: candidacy.signal });
      await lead({ client: fenced, signal: candidacy.signal });
    } catch (thrown) {
      if (!candidacy.signal.aborted) throw thrown;
    } finally {
      isLeader(false);
      await candidacy.withdraw();
    }
  }
}

async function elected(candidacy: Candidacy, { clock, timing, onStandby }: LeadershipOptions): Promise<LeaderKey> {
  const election = new AbortController();
  clock.sleep(timing.standbyMs, election.signal).then(onStandby, () => undefined);
  try {
    return await candidacy.elected();
  } finally {
    election.abort();
  }
}
