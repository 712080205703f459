/** What a member has to do, from what it has and what the others do: pure functions. */
import type { Member } from '../../shared/etcd/types.ts';
import type { MemberMarker } from '../marker.ts';
import { isServing, type Observed, observedText, type Serving } from './others.ts';
import type { Plan } from './plan.ts';

/** `kept`: it is a member. `removed`: the cluster does not have it any more. `unasked`: no other member answered. */
export type Standing = 'kept' | 'removed' | 'unasked';

/** Whether the others still have the member that `marker` names. */
export function standingOf({ id, clusterId }: MemberMarker, others: readonly Observed[]): Standing {
  const serving = others.filter(isServing);
  const [ofSameCluster] = serving.filter(({ seen }) => seen.clusterId === clusterId);
  // Where only another cluster answers, it was begun after this one had lost its quorum.
  if (ofSameCluster === undefined) return serving.length > 0 ? 'removed' : 'unasked';
  return ofSameCluster.seen.members.some((member) => member.id.toString(16) === id) ? 'kept' : 'removed';
}

export type Decision =
  | { readonly kind: 'join'; readonly serving: readonly Serving[] }
  | { readonly kind: 'begin' }
  | { readonly kind: 'wait'; readonly problem: string };

/** For a member without data. */
export function decisionFor({ isFirst, others, self }: Plan, observed: readonly Observed[]): Decision {
  const serving = observed.filter(isServing);
  const clusters = new Set(serving.map(({ seen }) => seen.clusterId));
  if (clusters.size > 1) {
    const each = serving.map(({ member, seen }) => `${member.name}: cluster ${seen.clusterId}`).join('; ');
    return {
      kind: 'wait',
      problem: `the other members are of different etcd clusters (${each}); delete the data of all but one`,
    };
  }
  if (serving.length > 0) return { kind: 'join', serving };
  const states = observed.map(observedText).join('; ');
  if (!isFirst)
    return {
      kind: 'wait',
      problem: `${self.name} has no data, and no other member serves requests (${states}); ${REMEDY}`,
    };
  const undecided = observed.filter(({ seen }) => seen.kind === 'unknown');
  if (undecided.length === 0 || others.length === 0) return { kind: 'begin' };
  return {
    kind: 'wait',
    problem: `${self.name} has no data and cannot begin a cluster: others may have data (${states}); ${REMEDY}`,
  };
}

const REMEDY = 'start the other members, or, if most of them have lost their data, delete the data of all';

/** Entries of the member list that stand for `self` although it has no data. */
export function staleEntries({ self }: Plan, members: readonly Member[]): readonly Member[] {
  return members.filter(({ name, peerUrls }) => name === self.name || peerUrls.includes(self.peerUrl));
}

/**
 * Why `stale` cannot be removed; undefined if it can. A learner has no vote. Without a voting member the others need a quorum among
 * themselves.
 */
export function removalProblem(stale: Member, serving: readonly Serving[]): string | undefined {
  if (stale.isLearner) return undefined;
  const members = serving[0]?.seen.members ?? [];
  const rest = members.filter(({ id, isLearner }) => !isLearner && id !== stale.id);
  const healthy = rest.filter(({ peerUrls }) => serving.some(({ member }) => peerUrls.includes(member.peerUrl)));
  const quorum = Math.floor(rest.length / 2) + 1;
  if (healthy.length >= quorum) return undefined;
  return `the entry of the lost member ${stale.id.toString(16)} cannot be removed: ${healthy.length} of the other ${rest.length} members serve requests, ${quorum} are required; start the others`;
}
