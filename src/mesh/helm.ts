/** The program `helm`, with values on its standard input. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { asError, ProgramError } from '../shared/errors.ts';
import { recordOf } from '../shared/kubernetes/objects/json.ts';
import { printable } from '../shared/printable.ts';

export const REPOSITORY = 'https://helm.cilium.io/';
/** In the name of a chart with its version: `cilium-1.19.4`. */
const VERSION = /-v?\d{1,6}\.\d{1,6}\./;
/** Characters shown of what helm reports. */
const MAX_REASON_LENGTH = 1_000;

/** There is no helm in the PATH, or it failed. */
export class HelmError extends ProgramError {
  readonly code = 'MESH_HELM';
  readonly retriable = true;
}

export interface Release {
  readonly name: string;
  readonly namespace: string;
  readonly context: string;
  readonly kubeconfig: string;
}

function placeArguments({ namespace, context, kubeconfig }: Release): readonly string[] {
  return [
    `--namespace=${namespace}`,
    ...(context === '' ? [] : [`--kube-context=${context}`]),
    ...(kubeconfig === '' ? [] : [`--kubeconfig=${kubeconfig}`]),
  ];
}

/** The version of the chart of a release, such as `1.19.4`. Throws HelmError. */
async function chartVersion(release: Release, signal: AbortSignal): Promise<string> {
  const listed = await helm(['list', `--filter=^${release.name}$`, '--output=json', ...placeArguments(release)], '', signal);
  const [found] = JSON.parse(listed) as readonly unknown[];
  const chart = String(recordOf(found).chart ?? '');
  const at = chart.search(VERSION);
  if (at >= 0) return chart.slice(at + 1);
  throw new HelmError(`there is no release ${release.name} in namespace ${release.namespace}; set --helm-release-name`);
}

/**
 * The chart as arguments of an upgrade: `named`, or that of Cilium in the version of the release. Throws HelmError for another chart, of which
 * no repository is known.
 */
export async function chartSource(
  chart: string,
  named: string,
  release: Release,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (named !== '') return [named];
  if (chart === 'cilium') return ['cilium', `--repo=${REPOSITORY}`, `--version=${await chartVersion(release, signal)}`];
  throw new HelmError(`flag --helm-chart is required for the chart ${chart}: its directory or archive`);
}

/** The values that a release has beside those of its chart. Throws HelmError. */
export async function releaseValues(release: Release, signal: AbortSignal): Promise<unknown> {
  return JSON.parse(
    await helm(['get', 'values', release.name, '--output=json', ...placeArguments(release)], '', signal),
  ) as unknown;
}

/** The arguments of an upgrade that changes the values of `--values=-` only. */
export function upgradeArguments(release: Release, chart: readonly string[]): readonly string[] {
  return ['upgrade', release.name, ...chart, '--reuse-values', '--values=-', ...placeArguments(release)];
}

/** Resolves with the output. Throws HelmError. */
export async function helm(argv: readonly string[], input: string, signal: AbortSignal): Promise<string> {
  const child = spawn('helm', argv, { stdio: ['pipe', 'pipe', 'pipe'], signal });
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve(status ?? 1));
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  try {
    const [status, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
    if (status !== 0) throw new HelmError(`helm ${argv[0]} failed: ${printable(stderr.trim(), MAX_REASON_LENGTH)}`);
    return stdout;
  } catch (thrown) {
    if (thrown instanceof HelmError || signal.aborted) throw thrown;
    throw new HelmError(`cannot run helm: ${asError(thrown).message}; install it, or apply the values without --helm`);
  }
}
