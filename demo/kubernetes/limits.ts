/**
 * Every bound of the embedded Kubernetes API.
 */

/** Changes kept for watches and for the pages of a list; older ones are compacted away. */
export const HISTORY_EVENTS = 4096;

/** Objects of one page where the client asks for pages of no size: all of them. */
export const MAX_PAGE_OBJECTS = 1_000_000;

/** Bytes of a request body, as a real API server has it. */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;

/** Levels of a JSON document. */
export const MAX_DEPTH = 128;

/** Bytes gathered before a watch writes them to its socket. */
export const WATCH_CHUNK_BYTES = 64 * 1024;

/** How often a watch that asked for bookmarks gets one. */
export const BOOKMARK_INTERVAL_MS = 60_000;

/** How long a watch lasts where its client names no time. */
export const WATCH_TIMEOUT_SECONDS = 1800;

/** How long a connection without requests is kept. */
export const IDLE_CONNECTION_MS = 120_000;
