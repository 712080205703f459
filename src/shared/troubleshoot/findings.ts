/**
 * What the checks of one etcd found, as data: the report and the verdicts are functions of it.
 */
import type { PodCheckId } from '../diagnosis/pod-checks.ts';
import type { Certificate } from '../tls/certificate.ts';

/** A failure: the text of the original's report, and a code to find the remedy. */
export interface Failure {
  readonly failed: true;
  /** An errno, an OpenSSL code, `DEADLINE`, or empty. */
  readonly code: string;
  readonly text: string;
  /** The TLS alert that the other side sent (RFC 8446, section 6). */
  readonly alert?: number | undefined;
}

/** The file of one etcd and the files it refers to. */
export interface CheckedConfig {
  readonly endpoints: readonly string[];
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly skipVerify?: boolean;
  readonly hostAliases?: ReadonlyMap<string, readonly string[]>;
  /** What has no effect in the file. */
  readonly warnings?: readonly string[];
}

export interface TrustedCertificates {
  readonly pem: string;
  readonly certificates: readonly Certificate[];
}

export interface ClientCertificates {
  readonly certPem: string;
  readonly keyPem: string;
  /** The client's own first. */
  readonly chain: readonly [Certificate, ...Certificate[]];
  /** Why it does not chain to the configured authorities. */
  readonly mistrust: string | undefined;
}

export type ConfigFindings =
  /** The report ends below the title. */
  | { readonly kind: 'unparsable'; readonly text: string }
  /** The report ends below the path. */
  | { readonly kind: 'unusable'; readonly check: PodCheckId; readonly text: string; readonly remedy: string }
  | {
      readonly kind: 'usable';
      readonly config: CheckedConfig;
      /** The system's own where absent. */
      readonly authorities: TrustedCertificates | undefined;
      readonly client: ClientCertificates | undefined;
    };

export type VersionAnswer =
  | {
      readonly kind: 'version';
      readonly version: string;
      /** How far the clock of the server is ahead of this one, in milliseconds, to the second. */
      readonly aheadMs: number | undefined;
    }
  /** Something answered that is no etcd. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'failed'; readonly failure: Failure };

export interface TlsFindings {
  readonly failed: false;
  readonly version: string;
  readonly cipher: string;
  /** As the server presented them, its own first. */
  readonly certificates: readonly Certificate[];
  /** Why the chain is not trusted; the name is not checked. */
  readonly mistrust: Failure | undefined;
  readonly answer: VersionAnswer | undefined;
}

export interface EndpointFindings {
  readonly url: string;
  readonly host: string;
  /** `host:port` */
  readonly address: string;
  readonly isSecure: boolean;
  /** Absent where the host is an address. */
  readonly resolved: readonly string[] | Failure | undefined;
  /** The address that was reached. */
  readonly tcp: { readonly failed: false; readonly remote: string } | Failure;
  readonly tls: TlsFindings | Failure | undefined;
  /** Of a server in plain text. */
  readonly plain: VersionAnswer | undefined;
  /** The server was found to speak the other one: `tls` at an http endpoint, `plain` at an https endpoint. */
  readonly speaks: 'tls' | 'plain' | undefined;
}

/** What a cluster publishes about itself. */
export interface ClusterDescription {
  readonly id: number;
  /** Its keys are below `cilium/cache`. */
  readonly cached: boolean;
  /** 0 where it does not say. */
  readonly maxConnectedClusters: number;
  /** It writes canaries for its complete prefixes. */
  readonly syncedCanaries: boolean;
}

/** The content of a remote cluster's etcd. */
export interface ClusterFindings {
  readonly config: 'present' | 'absent' | 'denied' | 'malformed' | 'unanswered';
  readonly id: number | undefined;
  /** The content of its configuration. */
  readonly description: ClusterDescription | undefined;
  /** The clusters whose own configuration it holds, and no mirror of it; empty where that may not be read. */
  readonly names: readonly string[];
  /** Prefixes that may not be read. */
  readonly denied: readonly string[];
  /** Small answers came, a large one did not. */
  readonly isStalled: boolean;
}

export type ClientFindings =
  | { readonly kind: 'created-not'; readonly error: Error }
  | { readonly kind: 'unreachable'; readonly error: Error }
  | { readonly kind: 'refused'; readonly error: Error }
  | {
      readonly kind: 'connected';
      readonly clusterId: string;
      /** Identifies the store: the cluster ID is the same in all that were initialized with the same names and token. */
      readonly store: string;
      /** The value of the heartbeat; undefined where there is none. */
      readonly heartbeat: string | undefined;
      readonly cluster: ClusterFindings | undefined;
    };

export interface EtcdFindings {
  /** The cluster; absent for the local etcd. */
  readonly cluster: string | undefined;
  readonly path: string;
  readonly config: ConfigFindings;
  readonly endpoints: readonly EndpointFindings[];
  readonly client: ClientFindings | undefined;
}

export function isFailure(value: unknown): value is Failure {
  return typeof value === 'object' && value !== null && 'failed' in value && value.failed === true;
}
