/** What the stages of a mirror have in common: each receives keys and passes them to the next one. */
import type { EtcdKey } from '../shared/etcd/types.ts';
import type { Sink } from '../shared/publisher/types.ts';

/** A receiver of keys that may be told of one without its value. */
export interface KeySink extends Sink {
  /** `key` exists, but its present value cannot be taken: where it has an earlier one, that one stays. */
  keep(key: EtcdKey): void;
}
