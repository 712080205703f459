/**
 * What the status page shows, as JSON. The server writes it and the browser reads it, so this file imports nothing.
 *
 * Texts may quote remote clusters: they are bounded, and the page shows them as text. Times are milliseconds since 1970.
 */

export type RemoteCondition =
  | 'ready'
  | 'warning'
  | 'loading'
  | 'connecting'
  | 'unreachable'
  | 'refused'
  | 'stopped'
  | 'quarantined'
  | 'draining';

export type Role = 'starting' | 'leader' | 'standby';

/** The cluster of this kvstoremesh, and what holds for all remotes. */
export interface MeshSummary {
  readonly name: string;
  readonly id: number;
  readonly version: string;
  /** The host name: in Kubernetes that of the Pod. */
  readonly host: string;
  readonly role: Role;
  /** The lock key of the replica that leads, where it is known. */
  readonly leader?: string;
  /** The lines of `/healthz`, without those about single remotes. */
  readonly problems: readonly string[];
  readonly importGuard: string;
  /** Between two values of a series in RemoteDetail. */
  readonly sampleMs: number;
}

export interface KindSummary {
  readonly name: string;
  readonly keys: number;
  /** `off`: the remote does not have the kind, or it is not mirrored. */
  readonly state: 'listed' | 'loading' | 'off';
}

export interface RemoteSummary {
  readonly name: string;
  readonly condition: RemoteCondition;
  /** When the condition began. */
  readonly since: number;
  readonly id?: number;
  /** What is wrong, each with its remedy; absent where nothing is. */
  readonly reasons?: readonly string[];
  /** A command that finds out more. */
  readonly command?: string;
  /** Present once the mirror was not confirmed for a while: when it was confirmed last. */
  readonly confirmed?: number;
  readonly kinds: readonly KindSummary[];
  readonly keys: number;
  readonly bytes: number;
  readonly failures: number;
  readonly lastFailure?: number;
  /** Findings of the import guard by kind. */
  readonly findings?: Readonly<Record<string, number>>;
  /** What the import policy leaves of it, as text. */
  readonly imported?: string;
  /** The first expiry of the certificates of the connection. */
  readonly expires?: number;
  /** Changes per second and seconds of staleness in the last hour, the oldest first; each value is the largest of some samples. */
  readonly rate: readonly number[];
  readonly lag: readonly number[];
}

export interface RemoteEventSummary {
  /** When it happened first and last, and how often in a row. */
  readonly first: number;
  readonly last: number;
  readonly count: number;
  readonly kind: string;
  readonly reason?: string;
}

export interface CertificateSummary {
  readonly what: string;
  readonly expires: number;
}

export interface FindingSummary {
  readonly kind: string;
  readonly key: string;
  readonly problem: string;
}

/** What only the page of one remote shows. */
export interface RemoteDetail {
  readonly name: string;
  /** The newest first. */
  readonly events: readonly RemoteEventSummary[];
  readonly certificates: readonly CertificateSummary[];
  /** The first ones. */
  readonly findings: readonly FindingSummary[];
  /** All samples of the last hour, the oldest first. */
  readonly rate: readonly number[];
  readonly lag: readonly number[];
}

/** `GET /v1/page`. */
export interface Snapshot {
  readonly mesh: MeshSummary;
  readonly remotes: readonly RemoteSummary[];
}

/** The data of the event `remotes`. */
export interface RemotesUpdate {
  /** All remotes by name; absent if they are the same as before. */
  readonly names?: readonly string[];
  /** Those that are new or have changed. */
  readonly changed: readonly RemoteSummary[];
}
