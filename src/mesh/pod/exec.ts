/**
 * Runs a command in a container of a Pod, over the protocol `v5.channel.k8s.io` of the API server: the first byte of each message
 * is the number of a stream. Servers before Kubernetes 1.30 speak `v4.channel.k8s.io`, which has the same messages.
 */
import { KubeStatusError } from '../../shared/kubernetes/errors.ts';
import { recordOf } from '../../shared/kubernetes/objects/json.ts';
import { printable } from '../../shared/printable.ts';
import { withDeadline } from '../../shared/time/abort.ts';
import { systemClock } from '../../shared/time/clock.ts';
import { recordsOf } from '../addresses.ts';
import type { Cluster } from '../cluster.ts';
import { PodOutputError, PodStreamError, PodTimeoutError } from '../errors.ts';
import { openPodSocket, podError } from './pod-socket.ts';

const PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const STREAM = { stdout: 1, stderr: 2, status: 3 } as const;
/** Characters shown of why a command could not be started. */
const MAX_REASON_LENGTH = 500;

export interface PodCommand {
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
  /** Its standard input stays open until the output is not read any more; without it, the input is empty. */
  readonly hasInput?: boolean;
}

export interface ExecOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Of standard output and standard error together. */
  readonly maxBytes: number;
}

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  /** The exit status of the command. */
  readonly status: number;
}

export interface ExecOutput {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Buffer;
}

/**
 * Runs a command to its end. A status other than 0 is a result. Throws PodForbiddenError, PodMissingError, ContainerNotRunningError,
 * PodCommandError, PodTimeoutError, PodOutputError, PodStreamError, ClusterAccessError, or the signal's reason. After a timeout or an
 * abort the command may go on in the Pod.
 */
export async function execInPod(cluster: Cluster, command: PodCommand, options: ExecOptions): Promise<ExecResult> {
  const { signal, timeoutMs, maxBytes } = options;
  const what = `context ${cluster.context}: Pod ${cluster.namespace}/${command.pod}: ${command.command.join(' ')}`;
  const late = () => new PodTimeoutError(`${what}: no result within ${timeoutMs / 1000} s; try again, or a narrower command`);
  const run = async (limited: AbortSignal): Promise<ExecResult> => {
    const outputs = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    let sizeBytes = 0;
    const running = streamFromPod(cluster, command, limited);
    for (;;) {
      const next = await running.next();
      if (next.done) {
        const [stdout, stderr] = [outputs.stdout, outputs.stderr].map((parts) => Buffer.concat(parts).toString());
        return { stdout: stdout ?? '', stderr: stderr ?? '', status: next.value };
      }
      const { stream, bytes } = next.value;
      sizeBytes += bytes.length;
      if (sizeBytes > maxBytes) {
        await running.return(0);
        throw new PodOutputError(`${what}: more than ${maxBytes} bytes of output; ask for less`);
      }
      outputs[stream].push(bytes);
    }
  };
  return withDeadline(run, { ms: timeoutMs, late, clock: systemClock, signal });
}

/** The output of a command as it comes, and at the end its exit status. Throws like `execInPod`, without its two bounds. */
export async function* streamFromPod(
  cluster: Cluster,
  { pod, container, command, hasInput = false }: PodCommand,
  signal: AbortSignal,
): AsyncGenerator<ExecOutput, number, void> {
  const query = new URLSearchParams({ container, stdin: String(hasInput), stdout: 'true', stderr: 'true' });
  for (const argument of command) query.append('command', argument);
  const request = { pod, subresource: 'exec', query, protocols: PROTOCOLS, signal } as const;
  const socket = await openPodSocket(cluster, request);
  const messages = socket.messages();
  try {
    for (;;) {
      const { done, value } = await messages.next();
      if (done) break;
      const bytes = value.subarray(1);
      if (value[0] === STREAM.status) return exitStatus(bytes.toString());
      if (value[0] === STREAM.stdout && bytes.length > 0) yield { stream: 'stdout', bytes };
      if (value[0] === STREAM.stderr && bytes.length > 0) yield { stream: 'stderr', bytes };
    }
  } catch (thrown) {
    throw thrown instanceof PodStreamError ? thrown : podError(cluster, request, thrown);
  } finally {
    await messages.return();
    socket.close();
  }
  throw new PodStreamError(`context ${cluster.context}: Pod ${cluster.namespace}/${pod}: the command has no exit status`);
}

/** Of a Status. Throws KubeStatusError where the command was not run. */
function exitStatus(text: string): number {
  const status = recordOf(parsed(text));
  if (status.status === 'Success') return 0;
  if (status.reason === 'NonZeroExitCode') {
    const causes = recordsOf(recordOf(status.details).causes);
    const code = Number(causes.find(({ reason }) => reason === 'ExitCode')?.message);
    if (Number.isInteger(code)) return code;
  }
  const { message = text } = status;
  throw new KubeStatusError(`cannot run the command: ${printable(String(message), MAX_REASON_LENGTH)}`, 500);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
