/** What ends a term or a candidacy, and what ends a transaction within a term. */
import { ProgramError } from '../errors.ts';
import { EtcdError } from '../etcd/errors.ts';

/** This replica does not lead (any more), or has lost its place in the queue of those that wait to. */
export class LockLostError extends ProgramError {
  readonly code = 'LOCK_LOST';
  readonly retriable = true;

  constructor(reason: string) {
    super(`leader lock lost: ${reason}`);
  }
}

/** The outcome of a transaction is unknown, because the leader of etcd changed before it was answered. */
export class LeaderChangedError extends EtcdError {
  readonly code = 'ETCD_LEADER_CHANGED';
  override readonly retriable = true;

  constructor() {
    super('etcd elected another leader before it answered the transaction, whose outcome is unknown');
  }
}
