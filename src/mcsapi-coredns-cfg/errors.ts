/** Why CoreDNS cannot be configured, one class per cause. What the API server refuses is a KubeError. */
import { ProgramError } from '../shared/errors.ts';

/** The Corefile cannot be read, so it is not touched. */
export class CorefileError extends ProgramError {
  readonly code = 'COREFILE_UNREADABLE';
  readonly retriable = false;
  constructor(line: number, problem: string) {
    super(`Corefile: line ${line}: ${problem}; nothing was changed`);
  }
}

/** No server of the Corefile answers for the cluster's domain. */
export class ClusterDomainError extends ProgramError {
  readonly code = 'COREDNS_CLUSTER_DOMAIN';
  readonly retriable = false;
  constructor(domain: string, found: readonly string[]) {
    const others = found.length === 0 ? 'the plugin "kubernetes" is missing' : `found it for ${found.join(', ')}`;
    super(`Corefile: no plugin "kubernetes" for ${domain}: ${others}; set --coredns-cluster-domain; nothing was changed`);
  }
}

/** A ConfigMap or Deployment that does not exist, or lacks required content. */
export class CorednsMissingError extends ProgramError {
  readonly code = 'COREDNS_MISSING';
  readonly retriable = false;
}

/** A CoreDNS without the option `multicluster` would not start with the new Corefile. */
export class CorednsTooOldError extends ProgramError {
  readonly code = 'COREDNS_TOO_OLD';
  readonly retriable = false;
  constructor(version: string) {
    super(`CoreDNS ${version} is too old for the MCS API: 1.12.2 or later is required; nothing was changed`);
  }
}

/** A rollout that is paused would leave the old Corefile in use. */
export class CorednsPausedError extends ProgramError {
  readonly code = 'COREDNS_PAUSED';
  readonly retriable = true;
  constructor(name: string) {
    super(`Deployment ${name} is paused, so CoreDNS cannot be restarted: kubectl rollout resume; nothing was changed`);
  }
}
