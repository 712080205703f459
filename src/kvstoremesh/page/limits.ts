/** Limits and intervals of the status page. */

/** What is remembered of each remote cluster: a sample every 30 s of the last hour, 1 kB, and its last events. */
export const PAGE_SAMPLE_MS = 30_000;
export const MAX_PAGE_SAMPLES = 120;
export const MAX_PAGE_EVENTS = 50;

/** Characters of the reason of one event, and of a text of the page. */
export const MAX_PAGE_EVENT_LENGTH = 300;
export const MAX_PAGE_TEXT_LENGTH = 2000;

/** Values of a small chart: each is the largest of three samples. */
export const MAX_PAGE_CHART_VALUES = 40;

/** Findings of the import guard about one remote cluster that are listed. */
export const MAX_PAGE_FINDINGS = 20;

/** Age of the last proof up to which a remote cluster counts as up to date: its quorum answers every 5 s. */
export const PAGE_FRESH_MS = 15_000;

/** Pages that are kept up to date at the same time, how often they are, and the longest silence of the server. */
export const MAX_PAGE_STREAMS = 16;
export const PAGE_STREAM_INTERVAL_MS = 1_000;
export const PAGE_BEAT_MS = 5_000;
