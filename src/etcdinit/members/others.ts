/** What the other members of a replicated etcd are doing, asked now. */
import { asError } from '../../shared/errors.ts';
import { createEtcdClient, type EtcdAdminClient } from '../../shared/etcd/client.ts';
import type { Member } from '../../shared/etcd/types.ts';
import { printable } from '../../shared/printable.ts';
import { unlessAborted, withDeadline } from '../../shared/time/abort.ts';
import type { Steps } from '../steps.ts';
import { isAbsent, type Resolve } from './absence.ts';
import type { Plan, PlannedMember } from './plan.ts';
import { askWaiting } from './waiting.ts';

/** How long another member may take to answer. */
const ASK_TIMEOUT_MS = 3_000;

/** Characters of a reason of another member. */
const MAX_REASON_LENGTH = 300;

/**
 * `serving`: its etcd has a leader, and `members` are those of the quorum.
 * `waiting`: its etcdinit runs and has no data.
 * `absent`: its host name does not exist, so its Pod does not exist.
 * `unknown`: it may have data.
 */
export type Observation =
  | { readonly kind: 'serving'; readonly clusterId: string; readonly members: readonly Member[] }
  | { readonly kind: 'waiting' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unknown'; readonly reason: string };

export interface Observed {
  readonly member: PlannedMember;
  readonly seen: Observation;
}

export type Serving = Observed & { readonly seen: { readonly kind: 'serving' } };

/** Asks all others at once. Rejects only with the reason of the run's signal. */
export async function observeOthers(plan: Plan, steps: Steps, resolve: Resolve): Promise<readonly Observed[]> {
  const observed = await Promise.all(
    plan.others.map(async (member) => ({ member, seen: await observe(member, plan, steps, resolve) })),
  );
  steps.log.debug({ others: observed.map(observedText) }, 'asked the other members');
  return observed;
}

export function isServing(observed: Observed): observed is Serving {
  return observed.seen.kind === 'serving';
}

/** `NAME: what it is doing`, for messages. */
export function observedText({ member, seen }: Observed): string {
  const what = {
    serving: () => 'it serves requests',
    waiting: () => 'it is waiting without data',
    absent: () => 'its host name does not exist',
    unknown: () => (seen.kind === 'unknown' ? seen.reason : ''),
  }[seen.kind]();
  return `${member.name}: ${what}`;
}

/** A client of other members with all rights, which its user closes. */
export function adminClient({ admin }: Plan, endpoints: readonly string[], { log, clock }: Steps): EtcdAdminClient {
  const config = { ...admin, endpoints };
  return createEtcdClient({ config, name: 'members', log: log.child({}, { level: 'error' }), clock });
}

async function observe(member: PlannedMember, plan: Plan, steps: Steps, resolve: Resolve): Promise<Observation> {
  try {
    return await withDeadline((signal) => answerOf(member, plan, steps, resolve, signal), {
      ms: ASK_TIMEOUT_MS,
      late: () => new Error(`no answer within ${ASK_TIMEOUT_MS / 1000} s`),
      clock: steps.clock,
      signal: steps.signal,
    });
  } catch (thrown) {
    steps.signal.throwIfAborted();
    return { kind: 'unknown', reason: printable(asError(thrown).message, MAX_REASON_LENGTH) };
  }
}

async function answerOf(
  member: PlannedMember,
  plan: Plan,
  steps: Steps,
  resolve: Resolve,
  signal: AbortSignal,
): Promise<Observation> {
  if (await unlessAborted(isAbsent(member.host, plan.self.host, resolve), signal)) return { kind: 'absent' };
  const [served, waiting] = await Promise.allSettled([membersOf(member, plan, steps, signal), askWaiting(plan, member, signal)]);
  if (served.status === 'fulfilled') return served.value;
  if (waiting.status === 'fulfilled') return { kind: 'waiting' };
  const reasonOf = (thrown: unknown) => asError(signal.aborted ? signal.reason : thrown).message;
  const reasons = [`client port: ${reasonOf(served.reason)}`, `peer port: ${reasonOf(waiting.reason)}`];
  return { kind: 'unknown', reason: printable(reasons.join('; '), MAX_REASON_LENGTH) };
}

/** Throws where `member` is not a member of the cluster that answers. */
async function membersOf(member: PlannedMember, plan: Plan, steps: Steps, signal: AbortSignal): Promise<Observation> {
  const client = adminClient(plan, [member.clientUrl], steps);
  try {
    const members = await client.members.list({ signal, timeoutMs: ASK_TIMEOUT_MS });
    const { clusterId } = client.state;
    if (clusterId === undefined || !members.some(({ peerUrls }) => peerUrls.includes(member.peerUrl)))
      throw new Error('the etcd that answers is another one');
    return { kind: 'serving', clusterId, members };
  } finally {
    client.close();
  }
}
