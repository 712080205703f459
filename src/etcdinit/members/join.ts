/** Adds a member without data to a running cluster, and goes on with one that was interrupted. */
import { isIP } from 'node:net';
import type { EtcdAdminClient } from '../../shared/etcd/client.ts';
import { AuthNotFoundError, type EtcdError, PermissionDeniedError, UnauthenticatedError } from '../../shared/etcd/errors.ts';
import { ROOT } from '../../shared/etcd/keyspace.ts';
import type { EtcdClient, Member } from '../../shared/etcd/types.ts';
import { EtcdMembersError } from '../errors.ts';
import { withOwnEtcd } from '../etcd-run.ts';
import { type Marker, type MemberMarker, writeMarker } from '../marker.ts';
import type { ExistingCluster } from '../own-etcd.ts';
import type { Steps } from '../steps.ts';
import { removalProblem, staleEntries } from './decide.ts';
import { adminClient, type Serving } from './others.ts';
import type { Plan } from './plan.ts';

/** How often the state of a joining member is checked. */
const CHECK_INTERVAL_MS = 500;

/** How long one request to the cluster may take. */
const REQUEST_TIMEOUT_MS = 5_000;

/** A member as it was added, with all members of its cluster. */
export interface Added {
  /** Hexadecimal, as `clusterId`. */
  readonly id: string;
  readonly clusterId: string;
  readonly members: readonly Member[];
}

/**
 * Removes what is left of an earlier life of this member, and adds it as a learner. Undefined if that is not possible now;
 * the problem is noted. The data directory must be empty. Rejects with an EtcdError if the cluster refuses.
 */
export async function addSelf(plan: Plan, serving: readonly Serving[], steps: Steps): Promise<Added | undefined> {
  const [{ seen } = { seen: undefined }] = serving;
  if (seen === undefined) return undefined;
  const client = clientOf(plan, serving, steps);
  const options = { signal: steps.signal, timeoutMs: REQUEST_TIMEOUT_MS };
  try {
    for (const stale of staleEntries(plan, seen.members)) {
      const problem = removalProblem(stale, serving);
      if (problem !== undefined) {
        steps.note(problem);
        return undefined;
      }
      await client.members.remove(stale.id, options);
      steps.log.info({ member: stale.id.toString(16) }, 'removed the entry of this member, whose data are lost');
    }
    const { added, members } = await client.members.addLearner(plan.self.peerUrl, options);
    const entry = { id: added.id.toString(16), clusterId: client.state.clusterId ?? seen.clusterId };
    await writeMarker(plan.dataDir, markerOf(plan, { ...entry, isJoining: true }));
    steps.log.info(entry, 'added this member to the cluster');
    return { ...entry, members };
  } finally {
    client.close();
  }
}

/**
 * Starts etcd for a member that the cluster has, waits until it is a voting member that is up to date, and stops it. Rejects with an
 * EtcdinitError, or the signal's reason.
 */
export async function catchUp(plan: Plan, { id, clusterId, members }: Added, steps: Steps): Promise<void> {
  const { dataDir, self, others } = plan;
  const options = { dataDir, name: self.name, clientUrl: self.clientUrl, peerUrl: self.peerUrl };
  const cluster = existingCluster(plan, members);
  // Through any of the others: etcd forwards these requests to the leader.
  const client = adminClient(
    plan,
    others.map(({ clientUrl }) => clientUrl),
    steps,
  );
  try {
    await withOwnEtcd(steps, { ...options, cluster }, async (own) => {
      const late = (timeout: string, problem: string) =>
        new EtcdMembersError(timeout, `it joined the cluster and is not up to date yet (${problem}); raise --timeout`);
      steps.begin('becoming a voting member', late);
      await steps.retry(CHECK_INTERVAL_MS, () => hasVote(client, id, steps));
      steps.begin('waiting for this member to serve requests', late);
      await steps.retry(CHECK_INTERVAL_MS, () => servesAll(own, steps));
    });
  } finally {
    client.close();
  }
  await writeMarker(dataDir, markerOf(plan, { id, clusterId, isJoining: false }));
  steps.log.info({ dataDir, member: id, clusterId }, 'this member has joined the cluster');
}

export function markerOf({ clusterName, self }: Plan, member: Omit<MemberMarker, 'name'>): Marker {
  return { version: 1, clusterName, member: { name: self.name, ...member } };
}

function clientOf(plan: Plan, serving: readonly Serving[], steps: Steps): EtcdAdminClient {
  return adminClient(
    plan,
    serving.map(({ member }) => member.clientUrl),
    steps,
  );
}

/** True when the member has started and has a vote; undefined until then. */
async function hasVote(client: EtcdAdminClient, id: string, steps: Steps): Promise<true | undefined> {
  const options = { signal: steps.signal, timeoutMs: REQUEST_TIMEOUT_MS };
  const member = (await client.members.list(options)).find((each) => each.id.toString(16) === id);
  if (member === undefined)
    throw new EtcdMembersError(steps.timeout, `member ${id} was removed from the cluster; run this again`);
  if (member.name === '') {
    steps.note('it has not started');
    return undefined;
  }
  if (!member.isLearner) return true;
  await client.members.promote(member.id, options);
  steps.log.info({ member: id }, 'this member has a vote');
  return true;
}

/** A linearizable read: etcd answers it, here with a refusal, after it has applied everything that the quorum had before. */
async function servesAll(own: EtcdClient, steps: Steps): Promise<true> {
  try {
    await own.get(ROOT, { signal: steps.signal, timeoutMs: REQUEST_TIMEOUT_MS });
  } catch (thrown) {
    if (!isRefusal(thrown)) throw thrown;
  }
  return true;
}

function isRefusal(thrown: unknown): thrown is EtcdError {
  return [UnauthenticatedError, PermissionDeniedError, AuthNotFoundError].some((kind) => thrown instanceof kind);
}

function existingCluster({ self, peer }: Plan, members: readonly Member[]): ExistingCluster {
  const entries = members.flatMap(({ id, name, peerUrls }) => {
    // A member that has not started has no name, and etcd requires one.
    const own = peerUrls.includes(self.peerUrl) ? self.name : name || `not-started-${id.toString(16)}`;
    return peerUrls.map((url) => `${own}=${url}`);
  });
  const host = isIP(self.host) === 0 ? '0.0.0.0' : self.host;
  return {
    state: 'existing',
    members: entries.length === 0 ? `${self.name}=${self.peerUrl}` : entries.join(','),
    listenPeerUrl: `https://${isIP(host) === 6 ? `[${host}]` : host}:${self.peerPort}`,
    peerFlags: [
      `--peer-cert-file=${peer.certFile}`,
      `--peer-key-file=${peer.keyFile}`,
      `--peer-trusted-ca-file=${peer.caFile}`,
      '--peer-client-cert-auth',
      `--peer-cert-allowed-cn=${peer.allowedCn}`,
      '--peer-skip-client-san-verification',
    ],
  };
}
