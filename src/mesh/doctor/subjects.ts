/** Words for subjects, evidence and remedies. */
import type { Member } from './facts.ts';

/** Names that a text lists. */
const MAX_LISTED = 6;

/** `east, north and west`; of many the first ones and their number. */
export function joined(names: readonly string[]): string {
  if (names.length > MAX_LISTED) return `${names.slice(0, MAX_LISTED).join(', ')} and ${names.length - MAX_LISTED} more`;
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

export function labelsOf(members: readonly Member[]): string {
  return joined(members.map(({ label }) => label));
}

/** `east: Secret kube-system/cilium-ca` */
export function objectOf({ label, namespace }: Member, kind: string, name: string): string {
  return `${label}: ${kind} ${namespace}/${name}`;
}

/** The command for the namespace of Cilium in the cluster. */
export function kubectl({ context, namespace }: Pick<Member, 'context' | 'namespace'>, command: string): string {
  return `kubectl --context=${context} --namespace=${namespace} ${command}`;
}

/** Each two of `members`, once. */
export function pairsOf(members: readonly Member[]): readonly (readonly [Member, Member])[] {
  return members.flatMap((one, index) => members.slice(index + 1).map((other) => [one, other] as const));
}
