/**
 * The problems of the remotes as the daemon knows them, with the IDs of the doctor. Those that `/healthz` names as rejected or
 * stopped are left out.
 */
import type { ClusterInfo } from '../../shared/cluster-info.ts';
import { generalProblem, type Problem, problem, remedyWithCommand } from '../../shared/diagnosis/pod-checks.ts';
import type { RemoteProblem } from '../../shared/doctor/self-check.ts';
import { checkOf } from '../../shared/etcd/errors.ts';
import { MAX_STATUS_TEXT_LENGTH } from '../../shared/limits.ts';
import { printable } from '../../shared/printable.ts';
import type { RemoteCluster } from '../remote/cluster.ts';
import type { RemoteState } from '../remote/state.ts';

/** The limit of a cluster that names none. */
const DEFAULT_MAX_CLUSTERS = 255;

type Named = Pick<RemoteCluster, 'name' | 'state' | 'connectionError'>;

export function remoteProblems(remotes: readonly Named[], own: ClusterInfo): readonly RemoteProblem[] {
  return remotes.flatMap(({ name, state, connectionError }) => {
    const [logged, unlogged] = [phaseProblems(state, connectionError), capabilityProblems(state, own)];
    if (logged.length + unlogged.length === 0) return [];
    const told = (isLogged: boolean) => (found: Problem) => ({
      ...found,
      subject: name,
      evidence: printable(found.evidence, MAX_STATUS_TEXT_LENGTH),
      remedy: remedyWithCommand(found, name),
      isLogged,
    });
    return [...logged.map(told(true)), ...unlogged.map(told(false))];
  });
}

function phaseProblems({ phase, isSilent }: RemoteState, connectionError: Error | undefined): readonly Problem[] {
  // A lost connection counts as such after a while; its cause is known at once.
  if (phase.kind !== 'connecting' && connectionError !== undefined)
    return [generalProblem(checkOf(connectionError), connectionError.message)];
  const silent = isSilent
    ? [generalProblem('heartbeat', 'no heartbeat for two minutes; the remote responds and is mirrored')]
    : [];
  if (phase.kind === 'refused' || phase.kind === 'stopped' || phase.kind === 'retrieved') return silent;
  const { check, reason } = phase;
  if (check === undefined || reason === undefined) return silent;
  // A reason for which a connected remote is not mirrored has its remedy.
  return [phase.kind === 'connecting' ? generalProblem(check, reason) : problem(check, reason, ''), ...silent];
}

function capabilityProblems({ phase }: RemoteState, own: ClusterInfo): readonly Problem[] {
  if (phase.kind !== 'mirroring') return [];
  const theirs = phase.config.maxConnectedClusters || DEFAULT_MAX_CLUSTERS;
  const evidence = () => `max-connected-clusters is ${theirs} in the remote and ${own.maxConnectedClusters} in this cluster`;
  return [
    ...(theirs === own.maxConnectedClusters ? [] : [generalProblem('max-clusters', evidence())]),
    ...(phase.config.syncedCanaries
      ? []
      : [generalProblem('capabilities', 'the remote lacks the capability syncedCanaries', 'warning')]),
  ];
}
