/**
 * Every bound of the program, in one place.
 *
 * A bound protects somebody: the reader of a value, the etcd that is written to, the memory of this
 * process, or the patience of an operator. Each says whom.
 */

/** Operations of one etcd transaction: etcd's own default for `--max-txn-ops`. */
export const MAX_TXN_OPERATIONS = 128;

/** Bytes of one transaction's keys and values; etcd refuses requests above 1.5 MiB by default. */
export const MAX_TXN_BYTES = 1024 * 1024;

/** Bytes of one value: a single put must stay below etcd's request limit, its key and framing included. */
export const MAX_VALUE_BYTES = 1536 * 1024 - 8 * 1024;

/** Bytes of a key. etcd has no limit of its own; Kubernetes names stay far below. */
export const MAX_KEY_BYTES = 8 * 1024;

/** Keys per page of a list, unless `etcd.limit` says otherwise. */
export const DEFAULT_LIST_PAGE = 1000;

/** Bytes of one gRPC message from etcd: a catch-up of a watch comes as one message. */
export const MAX_ETCD_MESSAGE_BYTES = 512 * 1024 * 1024;

/** Events decoded before the event loop gets a turn. */
export const EVENTS_PER_SLICE = 1000;

/** Deadline of a unary etcd call. */
export const ETCD_CALL_TIMEOUT_MS = 10_000;

/** HTTP/2 ping of an etcd connection and how long its answer may take (the original's defaults). */
export const ETCD_KEEPALIVE_TIME_MS = 15_000;
export const ETCD_KEEPALIVE_TIMEOUT_MS = 25_000;

/** Longest wait between two attempts to reach an etcd. */
export const ETCD_BACKOFF_MIN_MS = 50;
export const ETCD_BACKOFF_MAX_MS = 30_000;

/** Endpoints of one etcd configuration file. */
export const MAX_ETCD_ENDPOINTS = 64;

/** Bytes of a configuration file (etcd YAML, users file). */
export const MAX_CONFIG_FILE_BYTES = 1024 * 1024;

/** Keys attached to one lease; old etcd slows down with many (etcd issue 15993). */
export const MAX_KEYS_PER_LEASE = 1000;

/** Transactions under way at once over all lanes of a publisher. */
export const MAX_TXNS_IN_FLIGHT = 8;

/** Lanes of one section: a key always belongs to the same lane. */
export const LANES_PER_SECTION = 4;

/** How long a later rank's first load waits for an earlier rank that is still being listed. */
export const LOAD_ORDER_HOLD_MS = 5_000;

/** Shutdown, from the signal to the end of the process. */
export const SHUTDOWN_TIMEOUT_MS = 5_000;
