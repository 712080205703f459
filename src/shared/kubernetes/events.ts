/** Events of `events.k8s.io/v1` about a Pod: created, and continued as a series while the same thing happens again. */
import { randomBytes } from 'node:crypto';
import type { KubeConnection } from './connection/connection.ts';
import { KubeMissingError } from './errors.ts';
import { KUBE_REPORT_TIMEOUT_MS } from './limits.ts';

/** The Pod that events are about. */
export interface EventSubject {
  readonly namespace: string;
  readonly podName: string;
  /** Without it `kubectl describe pod` does not show the events. */
  readonly podUid: string | undefined;
}

export interface EventContent {
  readonly type: 'Normal' | 'Warning';
  /** Upper camel case, such as `RemoteClusterConnected`. */
  readonly reason: string;
  /** What the controller did or tried, such as `Mirror`. */
  readonly action: string;
  /** At most 1024 bytes. */
  readonly note: string;
}

/** How often it has happened, and when first and last: wall clock, milliseconds. */
export interface Occurrences {
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

const CONTROLLER = 'cilium.io/clustermesh-apiserver';
const JSON_TYPE = 'application/json';
/** Characters of the name of a Pod that the name of an event begins with: a name has 253 at most. */
const MAX_NAME_PREFIX = 200;

/** Creates the event. Resolves with its name. Throws a KubeError, or the signal's reason. */
export async function createEvent(
  connection: KubeConnection,
  { namespace, podName, podUid }: EventSubject,
  content: EventContent,
  { count, firstMs, lastMs }: Occurrences,
  signal: AbortSignal,
): Promise<string> {
  const name = `${podName.slice(0, MAX_NAME_PREFIX)}.${randomBytes(8).toString('hex')}`;
  const event = {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name, namespace },
    eventTime: microTime(firstMs),
    ...(count > 1 && { series: seriesOf(count, lastMs) }),
    reportingController: CONTROLLER,
    reportingInstance: podName.slice(0, 128),
    regarding: { apiVersion: 'v1', kind: 'Pod', namespace, name: podName, ...(podUid !== undefined && { uid: podUid }) },
    ...content,
  };
  await connection.send({
    purpose: { verb: 'create', what: `Event in namespace ${namespace}` },
    method: 'POST',
    path: collection(namespace),
    accept: JSON_TYPE,
    content: JSON.stringify(event),
    contentType: JSON_TYPE,
    timeoutMs: KUBE_REPORT_TIMEOUT_MS,
    signal,
  });
  return name;
}

/** Sets how often and when an event has happened. False where it is gone: Kubernetes keeps events for an hour by default. */
export async function continueEvent(
  connection: KubeConnection,
  namespace: string,
  name: string,
  { count, lastMs }: Pick<Occurrences, 'count' | 'lastMs'>,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await connection.send({
      purpose: { verb: 'patch', what: `Event in namespace ${namespace}` },
      method: 'PATCH',
      path: `${collection(namespace)}/${encodeURIComponent(name)}`,
      accept: JSON_TYPE,
      content: JSON.stringify({ series: seriesOf(count, lastMs) }),
      contentType: 'application/merge-patch+json',
      timeoutMs: KUBE_REPORT_TIMEOUT_MS,
      signal,
    });
    return true;
  } catch (thrown) {
    if (thrown instanceof KubeMissingError) return false;
    throw thrown;
  }
}

function collection(namespace: string): string {
  return `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/events`;
}

function seriesOf(count: number, lastMs: number): object {
  return { count, lastObservedTime: microTime(lastMs) };
}

/** RFC 3339 with the six digits that a MicroTime has. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
