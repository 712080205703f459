/**
 * Runs of the loops whose counterparts in the original are controllers, as `controllers_group_runs_total` and under
 * the names that the groups of these controllers have there.
 */
import type { Registry } from '../http/metrics.ts';

export const CONTROLLER_GROUPS = [
  'clustermesh-cluster-config',
  'clustermesh-remote-cluster',
  'clustermesh-users-management',
  'k8s-heartbeat',
] as const;

export type ControllerGroup = (typeof CONTROLLER_GROUPS)[number];

/** To be called at the end of each run. */
export type RunObserver = (succeeded: boolean) => void;

/**
 * The observers of the groups in `names`, the value of `--controller-group-metrics`; undefined for the others.
 *
 * `none` takes precedence over `all`, and `all` over names, as in the original. Names may be separated by spaces too, as they are
 * in its ConfigMap. An unknown name has no effect: the agent has other groups, and the set changes with versions.
 */
export function countControllerRuns(
  metrics: Registry,
  names: readonly string[],
): (group: ControllerGroup) => RunObserver | undefined {
  const wanted = new Set(names.flatMap((name) => name.split(/\s+/)));
  const isCounted = (group: ControllerGroup) => !wanted.has('none') && (wanted.has('all') || wanted.has(group));
  if (!CONTROLLER_GROUPS.some(isCounted)) return () => undefined;
  const runs = metrics.counter('controllers_group_runs_total', 'Runs of a group of controllers', ['group_name', 'status']);
  return (group_name) => {
    if (!isCounted(group_name)) return undefined;
    for (const status of ['success', 'failure']) runs.inc({ group_name, status }, 0);
    return (succeeded) => runs.inc({ group_name, status: succeeded ? 'success' : 'failure' });
  };
}
