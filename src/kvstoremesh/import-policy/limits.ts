/** Limits of the import policy. */

/** Bytes of the policy file: a rule for each of 511 clusters takes half of this. */
export const MAX_IMPORT_POLICY_BYTES = 256 * 1024;

/** Rules of a policy, and entries of one of their lists. */
export const MAX_POLICY_RULES = 1024;
export const MAX_POLICY_ENTRIES = 256;

/** Characters of a pattern: names of clusters have 32, those of namespaces 63. */
export const MAX_PATTERN_LENGTH = 128;

/** How often the policy file is read without a change in its directory. */
export const POLICY_POLL_MS = 5_000;

/** Names of namespaces whose decision is remembered, for each rule in use. */
export const MAX_REMEMBERED_NAMESPACES = 4096;

/** Keys of one kind of one remote that are not imported and counted exactly: up to 16 bytes each. More are counted as changes. */
export const MAX_COUNTED_KEYS = 1_000_000;

/** Identities of one remote that wait in memory for an endpoint that uses them, and their bytes; others are listed again. */
export const MAX_HELD_IDENTITIES = 8192;
export const MAX_HELD_IDENTITY_BYTES = 2 * 1024 * 1024;

/** Identities of one remote that are known to exist without a value; beyond this any may. */
export const MAX_FORGOTTEN_IDENTITIES = 65_536;

/** Endpoints of one remote that wait until the local etcd has their identity, their bytes, and the longest time. */
export const MAX_WAITING_ENDPOINTS = 10_000;
export const MAX_WAITING_ENDPOINT_BYTES = 4 * 1024 * 1024;
export const ENDPOINT_WAIT_MS = 5_000;

/** How long an identity stays that no imported endpoint uses any more: a Pod that is replaced often has the same one. */
export const UNUSED_IDENTITY_MS = 60_000;

/** Shortest interval between two listings of the identities of a remote for a value that was not kept. */
export const IDENTITY_RELIST_MS = 5_000;

/** How long a removal waits for the kinds before it in the order. */
export const WITHDRAWAL_ORDER_MS = 30_000;

/** Addresses outside of the policy in one response of the API. */
export const MAX_LISTED_ADDRESSES = 1000;
