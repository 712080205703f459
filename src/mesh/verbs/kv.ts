/** `kv` from a workstation: runs the same command in the Pod of kvstoremesh, whose user may read the etcd. */
import { Cluster, type ClusterPlace } from '../cluster.ts';
import { execInPod, streamFromPod } from '../pod/exec.ts';
import { leaderPod } from './leader.ts';

const PROGRAM = ['clustermesh-apiserver', 'kvstoremesh-dbg', 'kv'];
const CONTAINER = 'kvstoremesh';
/** Of one answer. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const TIMEOUT_MS = 90_000;

export interface KvRun {
  readonly place: ClusterPlace;
  /** The command and its arguments. */
  readonly argv: readonly string[];
  /** Its output is passed on as it comes, until the command ends. */
  readonly isEndless: boolean;
  readonly signal: AbortSignal;
  readonly onOutput: (stream: 'stdout' | 'stderr', text: string) => void;
}

/** Resolves with the exit status of the command. Throws ClusterAccessError, or one of the errors of a Pod. */
export async function runKv({ place, argv, isEndless, signal, onOutput }: KvRun): Promise<number> {
  await using cluster = await Cluster.open(place, signal);
  const { pod } = await leaderPod(cluster);
  const command = { pod, container: CONTAINER, command: [...PROGRAM, ...argv] };
  if (!isEndless) {
    const result = await execInPod(cluster, command, { signal, timeoutMs: TIMEOUT_MS, maxBytes: MAX_OUTPUT_BYTES });
    if (result.stderr !== '') onOutput('stderr', result.stderr);
    onOutput('stdout', result.stdout);
    return result.status;
  }
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  const running = streamFromPod(cluster, { ...command, hasInput: true }, signal);
  for (;;) {
    const next = await running.next();
    if (next.done) return next.value;
    const { stream, bytes } = next.value;
    onOutput(stream, decoders[stream].decode(bytes, { stream: true }));
  }
}
