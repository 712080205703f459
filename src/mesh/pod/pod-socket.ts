/** WebSockets to a Pod through the API server, and why there is none. */
import { asError, ProgramError } from '../../shared/errors.ts';
import { KubeForbiddenError, KubeMissingError } from '../../shared/kubernetes/errors.ts';
import type { WebSocket } from '../../shared/kubernetes/web-socket/web-socket.ts';
import type { Cluster } from '../cluster.ts';
import { ClusterAccessError, ContainerNotRunningError, PodCommandError, PodForbiddenError, PodMissingError } from '../errors.ts';

/** Texts of the API server, the kubelet and container runtimes. */
const NOT_RUNNING = [
  'container not found',
  'is not valid for pod',
  'not running',
  'not in running',
  'is terminated',
  'not created',
];
const NO_PROGRAM = ['executable file not found', 'no such file or directory'];

export interface PodSocketRequest {
  readonly pod: string;
  readonly subresource: 'exec' | 'portforward';
  readonly query: URLSearchParams;
  readonly protocols: readonly string[];
  readonly signal: AbortSignal;
}

/** Throws one of the errors of a Pod, ClusterAccessError, or the signal's reason. */
export async function openPodSocket(cluster: Cluster, request: PodSocketRequest): Promise<WebSocket> {
  const { pod, subresource, query, protocols, signal } = request;
  const path = `${cluster.collection('pods')}/${encodeURIComponent(pod)}/${subresource}?${query}`;
  try {
    return await cluster.openSocket(path, `${subresource} of Pod ${cluster.namespace}/${pod}`, protocols, signal);
  } catch (thrown) {
    throw podError(cluster, request, thrown);
  }
}

/** The error of a request, or of a text that the kubelet sent in place of a result. */
export function podError(cluster: Cluster, { pod, subresource, signal }: PodRequest, thrown: unknown): Error {
  if (signal.aborted) return signal.reason as Error;
  const { message } = asError(thrown);
  const place = `context ${cluster.context}: Pod ${cluster.namespace}/${pod}`;
  if (thrown instanceof KubeForbiddenError) {
    const rights = `the verbs get and create of pods/${subresource}`;
    return new PodForbiddenError(`${place}: ${message}; the user of the context needs ${rights} in this namespace`);
  }
  if (thrown instanceof KubeMissingError) {
    return new PodMissingError(`${place} does not exist; it was probably replaced: try again`);
  }
  if (hasAny(message, NOT_RUNNING)) {
    const remedy = `see 'kubectl --context ${cluster.context} -n ${cluster.namespace} describe pod ${pod}'`;
    return new ContainerNotRunningError(`${place}: ${message}; ${remedy}`);
  }
  if (hasAny(message, NO_PROGRAM)) {
    return new PodCommandError(
      `${place}: ${message}; does the Pod run the image of this project, of this version or a later one?`,
    );
  }
  if (!(thrown instanceof ProgramError)) return asError(thrown);
  return new ClusterAccessError(`context ${cluster.context}: ${message}`, { cause: thrown });
}

type PodRequest = Pick<PodSocketRequest, 'pod' | 'subresource' | 'signal'>;

function hasAny(message: string, texts: readonly string[]): boolean {
  const lower = message.toLowerCase();
  return texts.some((text) => lower.includes(text));
}
