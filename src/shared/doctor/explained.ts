/** Problems that follow from another one are left out: one fault, one finding. */
import type { PodCheckId } from '../diagnosis/pod-checks.ts';

const CONTENT = ['cluster-config', 'cluster-id', 'max-clusters', 'capabilities', 'heartbeat', 'permission', 'same-etcd'] as const;

/** By check: those that it explains where both are about the same etcd. */
const EXPLAINED: Readonly<Partial<Record<PodCheckId, readonly PodCheckId[]>>> = {
  'load-balancer': [...CONTENT, 'wrong-cluster', 'own-cluster', 'etcd-unavailable'],
  'own-cluster': [...CONTENT, 'wrong-cluster'],
  'wrong-cluster': CONTENT,
  'etcd-leader': ['etcd-unavailable', 'permission'],
  'etcd-learner': ['etcd-unavailable', 'permission'],
  'certificate-expired': ['tls-client', 'tls-expired'],
  'max-clusters': ['cluster-id'],
  mtu: ['tls-handshake'],
};

export function withoutExplained<T extends { readonly check: PodCheckId }>(problems: readonly T[]): readonly T[] {
  const explained = new Set(problems.flatMap(({ check }) => EXPLAINED[check] ?? []));
  const left = problems.filter(({ check }) => !explained.has(check));
  // The same check of several endpoints has several lines, that of the padded request and of the large page has one.
  return left.filter(({ check }, index) => check !== 'mtu' || left.findIndex((other) => other.check === check) === index);
}
