/** What a client of etcd reports of itself; the daemons turn it into Prometheus series. */
import type { EtcdKey, TxnOperation, WatchEvent } from './types.ts';

/** What a call is for, in the words of the original's metrics: `Get`, `ListPrefix`, `Update`, `AcquireLease` and so on. */
export interface CallSubject {
  readonly action: string;
  readonly kind: 'read' | 'set' | 'delete';
  /** The first key it is about; undefined for leases, users and roles. */
  readonly key: EtcdKey | undefined;
}

export interface CallOutcome {
  /** `OK`, or the code of the error. */
  readonly code: string;
  readonly seconds: number;
  /** How long the limiter held the call back before that. */
  readonly waitSeconds: number;
}

export interface EtcdObserver {
  /** A unary call starts. The returned function is called once at its end, with undefined if it was cancelled. */
  begin(subject: CallSubject): (outcome: CallOutcome | undefined) => void;
  /** A watch handed on events that had arrived `seconds` before. */
  events(events: readonly WatchEvent[], seconds: number): void;
  /**
   * A watch dropped events that were duplicate, out of order, or of keys that were not requested;
   * or a response without information, such as old progress, which counts as one.
   */
  droppedEvents(count: number): void;
  /** The TLS files in use from now on, and when the first certificate of each ends, in milliseconds since 1970. */
  certificates(expiries: ReadonlyMap<string, number>): void;
  /** A server was verified; its certificate ends then, in milliseconds since 1970. */
  serverCertificate?(expiryMs: number): void;
}

/** A transaction is named after its first operation. */
export function subjectOfTxn(operations: readonly TxnOperation[]): CallSubject {
  const [first] = operations;
  if (first?.type !== 'delete') return { action: 'Update', kind: 'set', key: first?.key };
  return { action: first.end === undefined ? 'Delete' : 'DeletePrefix', kind: 'delete', key: first.key };
}
