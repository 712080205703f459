/** From the states of Pods to what is connected. Pure. */
import { importedText } from '../../shared/imported-text.ts';
import { rfc3339Seconds } from '../../shared/time/clock.ts';
import type { PodState, RemoteState, UnknownPod } from './metrics.ts';

export interface Connectivity {
  /** Pods whose state is known, without those that stand by. */
  readonly total: number;
  /** Those of them that are not connected to all clusters. */
  readonly not_ready: number;
  /** Connected clusters of a Pod. */
  readonly connected: { readonly min: number; readonly avg: number; readonly max: number };
  /** Pods by cluster. */
  readonly clusters: Readonly<Record<string, { readonly configured: number; readonly connected: number }>>;
  /** Maximum age of the mirrors by cluster, seconds; where it is exported. */
  readonly staleness_seconds: Readonly<Record<string, number>>;
  /** `12,000 of 480,000 endpoints imported by policy`, by cluster; without kinds that are not read, and clusters without a policy. */
  readonly import_policy: Readonly<Record<string, string>>;
  readonly errors: readonly { readonly pod: string; readonly cluster: string; readonly reason: string }[];
  /** Pods without metrics. */
  readonly unknown: readonly UnknownPod[];
  readonly leaders: readonly string[];
  /** Removed clusters whose keys are not removed yet. */
  readonly draining: number;
}

/** `configured`: the clusters to which each Pod is to be connected. */
export function connectivityOf(states: readonly (PodState | UnknownPod)[], configured: readonly string[]): Connectivity {
  const known = states.filter((state) => 'remotes' in state);
  const active = known.filter(({ isLeader }) => isLeader !== false);
  const failed = states.filter((state) => 'cause' in state && state.cause === 'failed');
  const names = [...new Set([...configured, ...active.flatMap(({ remotes }) => [...remotes.keys()])])].sort();
  const counts = active.map(({ remotes }) => names.filter((name) => remotes.get(name)?.isReady).length);
  const sum = counts.reduce((all, count) => all + count, 0);
  const errors = active.flatMap(({ pod, remotes }) =>
    names
      .filter((name) => remotes.get(name)?.isReady !== true)
      .map((cluster) => ({ pod, cluster, reason: reasonOf(remotes.get(cluster)) })),
  );
  return {
    total: active.length + failed.length,
    not_ready: new Set(errors.map(({ pod }) => pod)).size + failed.length,
    connected: {
      min: counts.length === 0 ? 0 : Math.min(...counts),
      avg: counts.length === 0 ? 0 : sum / counts.length,
      max: Math.max(0, ...counts),
    },
    clusters: Object.fromEntries(
      names.map((name) => [
        name,
        {
          configured: active.filter(({ remotes }) => remotes.has(name)).length,
          connected: active.filter(({ remotes }) => remotes.get(name)?.isReady).length,
        },
      ]),
    ),
    staleness_seconds: stalenessOf(active, names),
    import_policy: importedBy(active, names),
    errors,
    unknown: states.filter((state) => 'cause' in state),
    leaders: known.filter(({ isLeader }) => isLeader === true).map(({ pod }) => pod),
    draining: Math.max(0, ...active.map(({ draining }) => draining)),
  };
}

const REFUSALS = {
  rejected: 'rejected, because of its cluster ID for example',
  stopped: 'mirroring stopped: it exceeds a limit',
};

function reasonOf(state: RemoteState | undefined): string {
  if (state === undefined) return 'the Pod does not have the cluster in its configuration yet';
  if (state.quarantine !== undefined) return `in quarantine (${state.quarantine})`;
  if (state.refusal !== undefined) return REFUSALS[state.refusal];
  if (state.failures === 0) return 'not ready';
  const last = state.lastFailureMs === 0 ? '' : `, the last at ${rfc3339Seconds(state.lastFailureMs)}`;
  return `not ready, ${state.failures} failures${last}`;
}

function stalenessOf(active: readonly PodState[], names: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const ages = active.flatMap(({ remotes }) => remotes.get(name)?.stalenessSeconds ?? []);
      return ages.length === 0 ? [] : [[name, Math.max(...ages)]];
    }),
  );
}

/** Of the first Pod that counts: a standby does not mirror. */
function importedBy(active: readonly PodState[], names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const [text] = active.flatMap(({ remotes }) => importedText(remotes.get(name)?.imported ?? []) ?? []);
      return text === undefined ? [] : [[name, text]];
    }),
  );
}
