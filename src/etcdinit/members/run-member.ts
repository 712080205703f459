/**
 * Sets up one member of a replicated etcd, before its etcd starts.
 *
 * Data of this member are kept as long as the cluster has the member. Without data it joins the cluster that the others serve. Only
 * the first member begins a cluster, and only if no other member can have data: two clusters would serve different content.
 *
 * A run may be killed at any time. The data of a member that was added are complete whenever it stops, since etcd's write-ahead log is;
 * those of the first member are incomplete until its record is written, and no other member can reach it before.
 */
import { randomUUID } from 'node:crypto';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { hostLookup } from '../../shared/etcd/connection/host-lookup.ts';
import { unlessAborted } from '../../shared/time/abort.ts';
import { emptyDataDirectory } from '../data-directory.ts';
import { DataDirectoryError, EtcdMembersError } from '../errors.ts';
import { withOwnEtcd } from '../etcd-run.ts';
import type { EtcdinitFlags } from '../flags.ts';
import { fillEtcd, untilServing } from '../initialize.ts';
import { type MemberMarker, readMarker, writeMarker } from '../marker.ts';
import type { Steps } from '../steps.ts';
import { exists, type Resolve } from './absence.ts';
import { decisionFor, standingOf } from './decide.ts';
import { type Added, addSelf, catchUp, markerOf } from './join.ts';
import { observeOthers } from './others.ts';
import { type Plan, planOf } from './plan.ts';
import { answerWaiting, checkPeerFiles } from './waiting.ts';

/** Pause between two rounds of questions to the other members. */
const ROUND_INTERVAL_MS = 1_000;

/** Rounds in a row in which no other member may have data before the first member begins a cluster: DNS may lag behind. */
const ROUNDS_BEFORE_BEGIN = 3;

/** Rounds without any answer after which data are kept unchecked: all members may start at once. */
const ROUNDS_BEFORE_KEEPING = 3;

/** Resolves when the data directory is valid. Rejects as `runEtcdinit` does. */
export async function runMember(
  flags: EtcdinitFlags,
  steps: Steps,
  resolve: Resolve = (host) => hostLookup.addresses(host),
): Promise<void> {
  const plan = await planOf(flags);
  await checkPeerFiles(plan);
  const marker = await ownMarker(plan);
  if (marker !== undefined && (await isUsable(plan, marker, steps, resolve))) return;
  steps.begin('emptying the data directory');
  const removed = await emptyDataDirectory(plan.dataDir);
  if (removed > 0) steps.log.info({ dataDir: plan.dataDir, removed }, 'removed the contents of the data directory');
  const added = await becomeMember(plan, steps, resolve);
  if (added === 'begin') await beginCluster(plan, steps);
  else await catchUp(plan, added, steps);
}

/** Throws DataDirectoryError for the data of another cluster or member. */
async function ownMarker({ dataDir, clusterName, self }: Plan): Promise<MemberMarker | undefined> {
  const marker = await readMarker(dataDir);
  if (marker === undefined) return undefined;
  const { member } = marker;
  if (marker.clusterName === clusterName && member?.name === self.name) return member;
  const owner = member === undefined ? 'a single etcd' : `member ${member.name}`;
  const whose = `${owner} of cluster ${JSON.stringify(marker.clusterName)}`;
  throw new DataDirectoryError(dataDir, `has the data of ${whose}; nothing was changed; empty it, or set another directory`);
}

/** Whether the data can be kept, after the member has caught up where it had not. */
async function isUsable(plan: Plan, marker: MemberMarker, steps: Steps, resolve: Resolve): Promise<boolean> {
  const { dataDir, self } = plan;
  const fields = { dataDir, member: marker.id, clusterId: marker.clusterId };
  // Added and never started: there are no data yet.
  if (marker.isJoining && globSync(join(dataDir, 'member/wal/*.wal')).length === 0) return false;
  steps.begin('asking the other members whether they still have this one');
  for (let round = 1; round <= ROUNDS_BEFORE_KEEPING; round += 1) {
    const standing = standingOf(marker, await observeOthers(plan, steps, resolve));
    if (standing === 'removed') {
      steps.log.warn(fields, `the cluster does not have the member ${self.name} of these data any more`);
      return false;
    }
    // A member that has not caught up has a vote perhaps, and the others no quorum without it.
    if (standing === 'kept' || marker.isJoining) break;
    if (round < ROUNDS_BEFORE_KEEPING) await steps.clock.sleep(ROUND_INTERVAL_MS, steps.signal);
  }
  if (marker.isJoining) await catchUp(plan, { ...marker, members: [] }, steps);
  else steps.log.info(fields, 'this member was set up by an earlier run; its data are kept');
  return true;
}

/** Waits until this member can join, or begin a cluster. */
async function becomeMember(plan: Plan, steps: Steps, resolve: Resolve): Promise<Added | 'begin'> {
  steps.begin('waiting for the other members', (timeout, problem) => new EtcdMembersError(timeout, problem || 'no answers'));
  // The first member asks, it is not asked.
  await using _ = plan.isFirst ? undefined : await answerWaiting(plan, steps.log);
  let rounds = 0;
  return await steps.retry(ROUND_INTERVAL_MS, async () => {
    const observed = await observeOthers(plan, steps, resolve);
    const decision = decisionFor(plan, observed);
    rounds = decision.kind === 'begin' ? rounds + 1 : 0;
    if (decision.kind === 'join') return addSelf(plan, decision.serving, steps);
    if (decision.kind === 'wait') {
      steps.note(decision.problem);
      return undefined;
    }
    if (plan.others.length === 0) return 'begin';
    // Where its own name does not exist, those of the others prove nothing.
    if (await unlessAborted(exists(plan.self.host, resolve), steps.signal))
      return rounds >= ROUNDS_BEFORE_BEGIN ? 'begin' : undefined;
    rounds = 0;
    steps.note(`its own host name ${plan.self.host} does not exist; set publishNotReadyAddresses in the Service of the members`);
    return undefined;
  });
}

/** As a cluster of this member alone, which the others join. */
async function beginCluster(plan: Plan, steps: Steps): Promise<void> {
  const { dataDir, clusterName, self, tokenPrefix } = plan;
  // A new ID each time: members of a former cluster with data must not take this one for theirs.
  const token = `${tokenPrefix}-${randomUUID()}`;
  const options = { dataDir, name: self.name, clientUrl: self.clientUrl, peerUrl: self.peerUrl };
  const entry = await withOwnEtcd(steps, { ...options, cluster: { state: 'new', token } }, async (client) => {
    await untilServing(client, steps);
    // Authentication is not enabled yet, and there is no other member.
    const [own] = await client.members.list({ signal: steps.signal });
    await fillEtcd(client, clusterName, steps);
    return { id: own?.id.toString(16) ?? '', clusterId: client.state.clusterId ?? '' };
  });
  await writeMarker(dataDir, markerOf(plan, { ...entry, isJoining: false }));
  steps.log.info({ dataDir, ...entry }, 'etcd is initialized with this member');
}
