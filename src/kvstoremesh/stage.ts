/**
 * The interface of every stage between a remote's etcd and the local one: a source feeds the first stage, each stage
 * passes keys on to the next one, and the last one is a section of the publisher.
 */
import type { EtcdKey } from '../shared/etcd/types.ts';
import type { Sink } from '../shared/publisher/types.ts';

/** As a Sink, with a fifth word. All five are synchronous and never fail. */
export interface Stage extends Sink {
  /** `key` exists, but its present value cannot be taken: an earlier value of it stays. */
  keep(key: EtcdKey): void;
}
