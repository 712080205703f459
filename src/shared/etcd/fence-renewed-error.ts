/** Why a transaction of a leader has to be repeated at once. */
import { EtcdError } from './errors.ts';

/**
 * The transaction depended on a state of the leader lock key that is not the current one: the key was rewritten because the outcome of another
 * transaction is unknown (fenced-client.ts). The lock is held.
 */
export class FenceRenewedError extends EtcdError {
  readonly code = 'ETCD_FENCE_RENEWED';
  override readonly changesNothing = true;
  override readonly retriable = true;
  constructor() {
    super('the leader lock key was rewritten while the transaction was under way, and nothing was applied; retry it');
  }
}
