/** `ui`: a port of this machine for the API of the leading kvstoremesh, which serves the page. */
import { parseListenAddress } from '../../shared/http/listen-address.ts';
import type { JsonRecord } from '../../shared/kubernetes/objects/json.ts';
import { aborted } from '../../shared/time/abort.ts';
import { Cluster } from '../cluster.ts';
import { ClusterContentError } from '../errors.ts';
import type { UiFlags } from '../flags.ts';
import { forwardPort } from '../pod/port-forward.ts';
import { leaderPod } from './leader.ts';

const API_FLAG = '--api-serve-addr';
const DEFAULT_PORT = 9889;

export interface UiRun {
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly onReady: (url: string, pod: string) => void;
  /** A connection failed; others continue. */
  readonly onFailure: (error: Error) => void;
}

/** Resolves when the signal is aborted. Throws ClusterAccessError, ClusterContentError, or one of the errors of a Pod. */
export async function ui(flags: UiFlags, { signal, onReady, onFailure }: UiRun): Promise<void> {
  const { kubeconfig, context, namespace, port: localPort } = flags;
  await using cluster = await Cluster.open({ kubeconfig, context, namespace }, signal);
  const { pod, container } = await leaderPod(cluster);
  const port = apiPort(container);
  if (port === undefined) {
    throw new ClusterContentError(
      `context ${cluster.context}: Pod ${namespace}/${pod}: the API of kvstoremesh is disabled; set ${API_FLAG} to :${DEFAULT_PORT}`,
    );
  }
  const forwarded = await forwardPort(cluster, { pod, port, localPort, onFailure }, signal);
  onReady(`http://127.0.0.1:${forwarded.port}/`, pod);
  await aborted(signal);
  await forwarded.close();
}

/** Of the container's flag, else the default; undefined where the flag is empty. */
export function apiPort({ args, command }: JsonRecord): number | undefined {
  const all = [command, args].flatMap((each) => (Array.isArray(each) ? each.map(String) : []));
  const at = all.findLastIndex((each) => each === API_FLAG || each.startsWith(`${API_FLAG}=`));
  if (at < 0) return DEFAULT_PORT;
  const text = all[at] === API_FLAG ? (all[at + 1] ?? '') : (all[at]?.slice(API_FLAG.length + 1) ?? '');
  return parseListenAddress(text)?.port;
}
