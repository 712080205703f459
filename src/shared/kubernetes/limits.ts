/** Bounds of the Kubernetes client. Each comment says what the bound protects. */

/** Objects per page of a Kubernetes list, as kubectl and client-go ask for. */
export const KUBE_LIST_PAGE = 500;

/** Bytes of one Kubernetes object as JSON. etcd takes 1.5 MiB; a kind stored as protobuf grows a few times on its way to JSON. */
export const MAX_KUBE_OBJECT_BYTES = 16 * 1024 * 1024;

/** Bytes of a Kubernetes list besides its items, and of the Status of a refused request. */
export const MAX_KUBE_ENVELOPE_BYTES = 64 * 1024;

/** Longest time between two chunks of a Kubernetes answer that is due at once; API servers give up on a request after 60 s themselves. */
export const KUBE_ANSWER_TIMEOUT_MS = 75_000;

/** How long a streaming list may tell no further object and not end either; then pages are asked for. */
export const KUBE_STREAMING_LIST_STALL_MS = 30_000;

/** A watch is asked to last between this and twice this, so that the watches of many clients do not end together. */
export const KUBE_WATCH_MIN_MS = 5 * 60_000;

/** How long a watch may outlive the time it was asked to last. */
export const KUBE_WATCH_GRACE_MS = 30_000;

/** Silence of a watch that has shown a bookmark before: they come every minute. */
export const KUBE_BOOKMARK_SILENCE_MS = 3 * 60_000;

/** A watch that lasted as long was a good one, even if nothing happened. */
export const KUBE_HEALTHY_WATCH_MS = 10_000;

/** The same of one that the server ended in order: proxies end idle streams as they like. client-go draws the line here, too. */
export const KUBE_SHORT_WATCH_MS = 1_000;

/** Back-off of a reflector, and the longest wait that a Retry-After can impose. */
export const KUBE_BACKOFF_MIN_MS = 800;
export const KUBE_BACKOFF_MAX_MS = 30_000;
export const MAX_KUBE_RETRY_AFTER_MS = 120_000;

/** How long the start waits for a Kubernetes API server that cannot be reached yet. */
export const KUBE_START_TIMEOUT_MS = 60_000;

/** Work on Kubernetes objects before the event loop gets a turn. */
export const KUBE_SLICE_MS = 10;

/** How often the same lasting problem with the Kubernetes API is logged again. */
export const KUBE_LOG_INTERVAL_MS = 60_000;

/** Bytes of a kubeconfig: certificates stand in it, of many clusters. */
export const MAX_KUBECONFIG_BYTES = 1024 * 1024;

/** How often the CRDs still missing at the start are named in the log. */
export const CRD_LOG_INTERVAL_MS = 10_000;
