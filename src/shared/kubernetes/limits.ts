/** Limits, timeouts and intervals of the Kubernetes client, with their reasons. */

/** Objects per page of a Kubernetes list, as in kubectl and client-go. */
export const KUBE_LIST_PAGE = 500;

/** Bytes of one Kubernetes object as JSON. etcd takes 1.5 MiB; JSON is a few times larger than protobuf. */
export const MAX_KUBE_OBJECT_BYTES = 16 * 1024 * 1024;

/** Bytes of a Kubernetes list without its items, and of the Status of a failed request. */
export const MAX_KUBE_ENVELOPE_BYTES = 64 * 1024;

/** Longest time between two chunks of a response other than a watch; API servers end requests after 60 s. */
export const KUBE_ANSWER_TIMEOUT_MS = 75_000;

/** Time without a new object after which a streaming list is replaced by a paginated one. */
export const KUBE_STREAMING_LIST_STALL_MS = 30_000;

/** Shortest duration requested for a watch; the longest is twice this, so that the watches of many clients do not end together. */
export const KUBE_WATCH_MIN_MS = 5 * 60_000;

/** How long a watch may exceed its requested duration. */
export const KUBE_WATCH_GRACE_MS = 30_000;

/** Longest silence of a watch that has sent bookmarks: they come every minute. */
export const KUBE_BOOKMARK_SILENCE_MS = 3 * 60_000;

/** Duration of a watch after which it counts as successful, even without events. */
export const KUBE_HEALTHY_WATCH_MS = 10_000;

/** The same for a watch that the server ended normally: proxies end idle streams. client-go uses the same value. */
export const KUBE_SHORT_WATCH_MS = 1_000;

/** Back-off of a reflector, and the longest delay that a Retry-After can impose. */
export const KUBE_BACKOFF_MIN_MS = 800;
export const KUBE_BACKOFF_MAX_MS = 30_000;
export const MAX_KUBE_RETRY_AFTER_MS = 120_000;

/** How long the start waits for a Kubernetes API server that is not reachable yet. */
export const KUBE_START_TIMEOUT_MS = 60_000;

/** Work on Kubernetes objects per turn of the event loop. */
export const KUBE_SLICE_MS = 10;

/** How often the same persistent problem with the Kubernetes API is logged. */
export const KUBE_LOG_INTERVAL_MS = 60_000;

/** Bytes of a kubeconfig: it may embed the certificates of many clusters. */
export const MAX_KUBECONFIG_BYTES = 1024 * 1024;

/** How often missing CRDs are logged at the start. */
export const CRD_LOG_INTERVAL_MS = 10_000;

/** Longest silence before the answer to a write of an Event or of the status ConfigMap. */
export const KUBE_REPORT_TIMEOUT_MS = 10_000;
