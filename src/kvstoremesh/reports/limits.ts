/** Bounds of reports to Kubernetes. */

/**
 * Events of Kubernetes about remote clusters that wait for the API server, two for each of 511 clusters; and those whose repetitions
 * continue a series.
 */
export const MAX_WAITING_EVENTS = 1024;
export const MAX_EVENT_SERIES = 1024;

/** Events of Kubernetes per second, and their burst. */
export const KUBE_EVENTS_PER_SECOND = 2;
export const KUBE_EVENTS_BURST = 50;

/** Time without a repetition after which an Event begins another series, as in the clients of Kubernetes. */
export const EVENT_SERIES_MS = 6 * 60_000;

/** Age at which an Event that could not be written is dropped: Kubernetes keeps Events for an hour. */
export const EVENT_MAX_AGE_MS = 3_600_000;

/** Characters of a reason in an Event and in the status ConfigMap: a note has 1024 bytes, and the ConfigMap 1 MiB for 511 clusters. */
export const MAX_REPORT_TEXT_LENGTH = 300;

/** How often the state of the remote clusters is compared with the status ConfigMap, and the least time between two writes. */
export const STATUS_CHECK_MS = 1_000;
export const STATUS_WRITE_INTERVAL_MS = 3_000;

/** How often the status ConfigMap is written without a change, in case another program changed or deleted it. */
export const STATUS_REFRESH_MS = 5 * 60_000;

/** Back-off of writes of Events and of the status ConfigMap. */
export const REPORT_BACKOFF_MIN_MS = 1_000;
export const REPORT_BACKOFF_MAX_MS = 60_000;
