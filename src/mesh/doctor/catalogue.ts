/** Every check of the doctor, and the findings that it makes. docs/commands/doctor.md has a row for each. */
import type { Finding, Verdict } from '../../shared/diagnosis/finding.ts';
import { printable } from '../../shared/printable.ts';

/** Characters of a subject, of the evidence and of the remedy. */
export const MAX_TEXT_LENGTH = 600;

const ACCESS = 'Access';
const MEMBERS = 'Members';
const CERTIFICATES = 'Certificates';
const CONNECTIONS = 'Connections';
const NETWORKS = 'Networks';
const WORKLOAD = 'clustermesh-apiserver';
const SERVICES = 'Global services';

/** The group of each check, in the order of the report. */
export const CHECKS = {
  'cluster-access': ACCESS,
  'read-access': ACCESS,
  'clock-skew': ACCESS,
  'equal-clocks': ACCESS,
  'cluster-name': MEMBERS,
  'unique-cluster-name': MEMBERS,
  'cluster-id': MEMBERS,
  'cluster-id-notation': MEMBERS,
  'unique-cluster-id': MEMBERS,
  'max-connected-clusters': MEMBERS,
  'equal-max-connected-clusters': MEMBERS,
  'identity-allocation-mode': MEMBERS,
  'equal-identity-allocation-mode': MEMBERS,
  'identity-count': MEMBERS,
  'equal-routing-mode': MEMBERS,
  'equal-tunnel-protocol': MEMBERS,
  'equal-datapath-mode': MEMBERS,
  'equal-ip-families': MEMBERS,
  'equal-encryption': MEMBERS,
  'cluster-versions': MEMBERS,
  'version-skew': MEMBERS,
  'certificate-secret': CERTIFICATES,
  'certificate-content': CERTIFICATES,
  'certificate-chain': CERTIFICATES,
  'certificate-user': CERTIFICATES,
  'server-names': CERTIFICATES,
  'certificate-usages': CERTIFICATES,
  'certificate-not-yet-valid': CERTIFICATES,
  'certificate-expired': CERTIFICATES,
  'certificate-expires-soon': CERTIFICATES,
  'mutual-trust': CERTIFICATES,
  'entry-content': CONNECTIONS,
  'entry-files': CONNECTIONS,
  'dangling-entry-files': CONNECTIONS,
  'entry-own-cluster': CONNECTIONS,
  'entry-cluster': CONNECTIONS,
  'entry-name': CONNECTIONS,
  'entry-in-both-secrets': CONNECTIONS,
  'entry-addresses': CONNECTIONS,
  'entry-server-name': CONNECTIONS,
  'both-sides': CONNECTIONS,
  'same-node-port': CONNECTIONS,
  'agents-use-cache': CONNECTIONS,
  'pod-cidr-overlap': NETWORKS,
  'pod-pool-overlap': NETWORKS,
  'node-address-overlap': NETWORKS,
  'pod-node-overlap': NETWORKS,
  'service-cidr-overlap': NETWORKS,
  'workload-exists': WORKLOAD,
  'workload-replicas': WORKLOAD,
  'workload-ready': WORKLOAD,
  'pod-image': WORKLOAD,
  'pod-crash': WORKLOAD,
  'pod-memory': WORKLOAD,
  'pod-scheduling': WORKLOAD,
  'pod-references': WORKLOAD,
  'pod-security': WORKLOAD,
  'service-exists': WORKLOAD,
  'service-endpoints': WORKLOAD,
  'service-address': WORKLOAD,
  'custom-resources': WORKLOAD,
  'service-account-rights': WORKLOAD,
  'network-policy': WORKLOAD,
  'pod-checks': WORKLOAD,
  'global-service-exists': SERVICES,
  'global-service-annotation': SERVICES,
  'global-service-ports': SERVICES,
  'global-service-affinity': SERVICES,
  'global-service-shared': SERVICES,
  'service-export-target': SERVICES,
  'service-export-conflict': SERVICES,
} as const;

export type CheckId = keyof typeof CHECKS;

export function passed(check: CheckId, subject: string, evidence: string): Finding {
  return finding(check, 'ok', subject, evidence, '');
}

export function warned(check: CheckId, subject: string, evidence: string, remedy: string): Finding {
  return finding(check, 'warning', subject, evidence, remedy);
}

export function failed(check: CheckId, subject: string, evidence: string, remedy: string): Finding {
  return finding(check, 'error', subject, evidence, remedy);
}

export function undecided(check: CheckId, subject: string, evidence: string, remedy: string): Finding {
  return finding(check, 'unknown', subject, evidence, remedy);
}

/** `findings`, or where there is none the given one. */
export function orPassed(findings: readonly Finding[], check: CheckId, subject: string, evidence: string): readonly Finding[] {
  return findings.length > 0 ? findings : [passed(check, subject, evidence)];
}

/** Texts come from clusters that may be under the control of others. */
function finding(check: CheckId, verdict: Verdict, subject: string, evidence: string, remedy: string): Finding {
  const text = (value: string) => printable(value, MAX_TEXT_LENGTH);
  return { check, group: CHECKS[check], verdict, subject: text(subject), evidence: text(evidence), remedy: text(remedy) };
}
