/** Bounds of traces. */

/** Traces of changes under way: each waits for the local etcd. Spans that wait for the collector, and those of one request to it. */
export const MAX_TRACES_UNDER_WAY = 16;
export const MAX_WAITING_SPANS = 2048;
export const MAX_SPANS_PER_REQUEST = 512;

/** Characters of the name of a key or object in a trace. */
export const MAX_TRACED_KEY_LENGTH = 256;

/** Interval of requests to the collector of traces, the longest back-off while it is away, and the timeout of a request. */
export const TRACE_INTERVAL_MS = 2_000;
export const TRACE_BACKOFF_MAX_MS = 60_000;
export const TRACE_REQUEST_TIMEOUT_MS = 10_000;
