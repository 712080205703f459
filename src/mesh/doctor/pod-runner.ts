/** Runs the checks inside the Pods with exec of the API server. */
import { execInPod } from '../pod/exec.ts';
import type { RunInPod } from './pods.ts';

/** The checks themselves end within 5 s. */
const POD_TIMEOUT_MS = 7_000;
const MAX_OUTPUT_BYTES = 1024 * 1024;

export function podRunner(signal: AbortSignal): RunInPod {
  const options = { signal, timeoutMs: POD_TIMEOUT_MS, maxBytes: MAX_OUTPUT_BYTES };
  return (cluster, command) => execInPod(cluster, command, options);
}
