/**
 * The state of the remote clusters as a ConfigMap, for `kubectl wait` and GitOps tools.
 *
 * Keys without an underscore are about all clusters, and `<cluster>_…` about one: names of clusters have no underscore. It is
 * written when it changes, and `observed` is the time of that change.
 */

import { applyConfigMap } from '../../shared/kubernetes/config-maps.ts';
import type { KubeConnection } from '../../shared/kubernetes/connection/connection.ts';
import { printable } from '../../shared/printable.ts';
import type { Logger } from '../../shared/process/log.ts';
import { type Clock, rfc3339Seconds } from '../../shared/time/clock.ts';
import type { ConfigDirectory } from '../configuration/config-directory.ts';
import type { RemoteClusters } from '../remote/clusters.ts';
import { remoteClusterStatuses } from '../status/status.ts';
import { MAX_REPORT_TEXT_LENGTH, STATUS_CHECK_MS, STATUS_REFRESH_MS, STATUS_WRITE_INTERVAL_MS } from './limits.ts';
import { type ReportMetrics, ReportWrites } from './report-writes.ts';

export interface StatusMapOptions {
  readonly connection: KubeConnection;
  readonly namespace: string;
  readonly name: string;
  /** Of this replica. */
  readonly podName: string;
  readonly remotes: RemoteClusters;
  readonly directory: ConfigDirectory;
  readonly metrics: ReportMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

type Data = Readonly<Record<string, string>>;

/** Runs until the signal is aborted, then rejects with its reason. */
export async function writeStatusMap(options: StatusMapOptions, signal: AbortSignal): Promise<never> {
  const { connection, namespace, name, metrics, clock, log } = options;
  const remedy = `allow patch of ConfigMap ${name} in namespace ${namespace}, and create where it does not exist, or start without --k8s-status-configmap`;
  const what = `ConfigMap ${namespace}/${name}`;
  const writes = new ReportWrites({ object: 'configmap', what, remedy, givesUp: false, metrics, clock, log });
  let written: string | undefined;
  let writtenMs = 0;
  let observed = '';
  for (;;) {
    const nowMs = clock.monotonicMs();
    const isChanged = JSON.stringify(statusData(options)) !== written;
    if (isChanged || nowMs - writtenMs >= STATUS_REFRESH_MS) {
      if (isChanged) observed = rfc3339Seconds(clock.nowMs());
      const write = async () => {
        // The state now, where earlier attempts have failed.
        const data = statusData(options);
        await applyConfigMap(connection, { namespace, name, data: { ...data, observed } }, signal);
        written = JSON.stringify(data);
      };
      await writes.repeat(write, signal);
      writtenMs = clock.monotonicMs();
      await clock.sleep(STATUS_WRITE_INTERVAL_MS, signal);
    } else {
      await clock.sleep(STATUS_CHECK_MS, signal);
    }
  }
}

/** All but `observed`. */
function statusData({ remotes, directory, podName }: Pick<StatusMapOptions, 'remotes' | 'directory' | 'podName'>): Data {
  const entries: [string, string][] = [];
  let readyCount = 0;
  const { all, draining } = remotes;
  const statuses = [...remoteClusterStatuses(all)];
  for (const [i, remote] of all.entries()) {
    const isReady = remote.isReady && remote.isSynced;
    readyCount += Number(isReady);
    const { connected = false, reason } = statuses[i] ?? {};
    entries.push(
      [`${remote.name}_ready`, String(isReady)],
      [`${remote.name}_connected`, String(connected)],
      [`${remote.name}_state`, remote.state.phase.kind],
    );
    if (reason !== undefined) entries.push([`${remote.name}_reason`, printable(reason, MAX_REPORT_TEXT_LENGTH)]);
  }
  for (const cluster of draining) entries.push([`${cluster}_ready`, 'false'], [`${cluster}_state`, 'draining']);
  const isReady = directory.wasRead && directory.problem === undefined && readyCount === all.length;
  return {
    ready: String(isReady),
    clusters: String(all.length),
    'clusters-ready': String(readyCount),
    leader: podName,
    ...Object.fromEntries(entries),
  };
}
