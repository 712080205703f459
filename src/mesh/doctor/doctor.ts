/**
 * `doctor`: what is wrong with one cluster, or with several clusters of a mesh, before and after they are connected.
 *
 * Everything is read through the API servers, and nothing is written. A read that fails is a finding, and other checks go on.
 */

import type { Finding } from '../../shared/diagnosis/finding.ts';
import { asError } from '../../shared/errors.ts';
import { KubeConfigError } from '../../shared/kubernetes/errors.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { Cluster } from '../cluster.ts';
import type { DoctorFlags } from '../flags.ts';
import { failed } from './catalogue.ts';
import { findingsOf, inOrder, membersOf } from './checks.ts';
import { podFindings, type RunInPod } from './pods.ts';
import { readFacts } from './reading/facts.ts';
import { Reader } from './reading/reader.ts';

/** A healthy API server takes milliseconds; the whole run must end within seconds of an unhealthy one. */
const TIMING = { connectTimeoutMs: 2_500, answerTimeoutMs: 3_000 };
/** Clusters of one run. */
const MAX_CLUSTERS = 511;

export interface DoctorReport {
  /** The worst of the findings. */
  readonly verdict: 'ok' | 'warning' | 'error';
  readonly clusters: readonly { readonly context: string; readonly name: string }[];
  readonly findings: readonly Finding[];
}

export interface DoctorRun {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Runs the checks that are made inside the Pods; without it they are left out. */
  readonly runInPod?: RunInPod;
}

/** Throws a ProgramError if no cluster can be read, or the kubeconfig does not have a context. */
export async function doctor(flags: DoctorFlags, { clock, signal, runInPod }: DoctorRun): Promise<DoctorReport> {
  const { kubeconfig, namespace } = flags;
  const contexts = [flags.context, ...new Set(flags.destinationContext)].slice(0, MAX_CLUSTERS);
  const opened = await Promise.allSettled(
    contexts.map((context) => Cluster.open({ kubeconfig, context, namespace }, signal, TIMING)),
  );
  const clusters = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  try {
    const problems = opened.flatMap((each, index) =>
      each.status === 'rejected' ? [{ context: contexts[index] ?? '', error: asError(each.reason) }] : [],
    );
    const fatal = problems.find(({ error }) => clusters.length === 0 || error instanceof KubeConfigError);
    if (fatal !== undefined) throw fatal.error;
    const readers = clusters.map((cluster) => new Reader(cluster, clock));
    const members = membersOf(await Promise.all(readers.map((reader) => readFacts(reader, clock))));
    const inPods = await Promise.all(
      members.map((member, index) =>
        podFindings(member, runInPod === undefined ? undefined : (command) => runInPod(clusters[index] as Cluster, command)),
      ),
    );
    const ofClusters = inOrder([
      ...problems.map(({ context, error }) => unreadable(context, error)),
      ...readers.flatMap((reader, index) => reader.findings(members[index]?.label ?? '')),
      ...findingsOf(members, { nowMs: clock.nowMs() }),
    ]);
    const findings = [...ofClusters, ...inPods.flat()];
    const clusterLines = members.map(({ context, name }) => ({ context, name }));
    return { verdict: worst(findings), clusters: clusterLines, findings };
  } finally {
    await Promise.all(clusters.map((cluster) => cluster[Symbol.asyncDispose]()));
  }
}

function unreadable(context: string, error: Error): Finding {
  const remedy = `kubectl --context=${context} get --raw=/readyz; doctor needs get of ConfigMap cilium-config at least`;
  return failed('cluster-access', `context ${context}`, error.message, remedy);
}

function worst(findings: readonly Finding[]): DoctorReport['verdict'] {
  const verdicts = new Set(findings.map(({ verdict }) => verdict));
  if (verdicts.has('error')) return 'error';
  return verdicts.has('warning') ? 'warning' : 'ok';
}
