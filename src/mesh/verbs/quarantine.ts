/**
 * `quarantine`: a key of the Secret `cilium-kvstoremesh` that freezes or withdraws the mirror of a remote cluster.
 *
 * Helm keeps keys of a Secret that it has not set, unless it replaces the object (`--force`); so do Argo CD and Flux without their options
 * to replace. So the key is written also where another program manages the Secret, and the report names it.
 */
import { FlagError } from '../../shared/flags/error.ts';
import { printable } from '../../shared/printable.ts';
import { type Clock, rfc3339Seconds } from '../../shared/time/clock.ts';
import { Cluster } from '../cluster.ts';
import { KVSTOREMESH_SECRET, quarantineKey } from '../entries.ts';
import { ClusterContentError, PeerSecretContentionError } from '../errors.ts';
import type { QuarantineFlags } from '../flags.ts';

/** Attempts to update a Secret that another writer keeps changing. */
const MAX_ATTEMPTS = 5;
/** As kvstoremesh shows it. */
const MAX_REASON_LENGTH = 256;
/** Makes any file of the directory that of a cluster. */
const MARK = 'endpoints:';

export interface QuarantineReport {
  readonly context: string;
  readonly cluster: string;
  readonly secret: string;
  readonly quarantine: 'freeze' | 'withdraw' | 'released';
  readonly outcome: 'written' | 'unchanged';
  /** The program that manages the Secret. */
  readonly managedBy?: string;
}

export interface QuarantineRun {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Throws FlagError, ClusterAccessError, ClusterContentError or PeerSecretContentionError. */
export async function quarantine(
  remote: string,
  flags: QuarantineFlags,
  { clock, signal }: QuarantineRun,
): Promise<QuarantineReport> {
  const mode = modeOf(flags);
  const reason = printable(flags.reason, MAX_REASON_LENGTH);
  if (reason.includes(MARK)) throw new FlagError(`flag --reason: must not contain "${MARK}", which marks the file of a cluster`);
  const { kubeconfig, context, namespace } = flags;
  await using cluster = await Cluster.open({ kubeconfig, context, namespace }, signal);
  const secrets = cluster.secrets();
  const key = quarantineKey(remote);
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const stored = await cluster.run(() => secrets.read(KVSTOREMESH_SECRET));
    const named = Object.keys(stored?.data ?? {}).filter((each) => stored?.data[each]?.includes(MARK));
    if (stored === undefined || (mode !== 'released' && !named.includes(remote))) throw missing(cluster, remote, named);
    const base = {
      context: cluster.context,
      cluster: remote,
      secret: secrets.fullName(KVSTOREMESH_SECRET),
      quarantine: mode,
      ...(stored.manager === undefined ? {} : { managedBy: stored.manager }),
    };
    const current = stored.data[key];
    if (mode === 'released' ? current === undefined : isEqual(current, mode, reason)) return { ...base, outcome: 'unchanged' };
    const since = rfc3339Seconds(clock.nowMs());
    const value = mode === 'released' ? undefined : JSON.stringify({ mode, reason, since });
    if (await cluster.run(() => secrets.replace(stored, { [key]: value }))) return { ...base, outcome: 'written' };
  }
  throw new PeerSecretContentionError(
    `context ${cluster.context}: Secret ${secrets.fullName(KVSTOREMESH_SECRET)}: another writer changed it ${MAX_ATTEMPTS} times in a row; run this again`,
  );
}

function modeOf({ freeze, withdraw, release }: QuarantineFlags): QuarantineReport['quarantine'] {
  if ([freeze, withdraw, release].filter(Boolean).length > 1)
    throw new FlagError('flags --freeze, --withdraw and --release exclude each other');
  if (release) return 'released';
  return withdraw ? 'withdraw' : 'freeze';
}

function missing({ context, namespace }: Cluster, remote: string, named: readonly string[]): ClusterContentError {
  const shown = printable(remote, MAX_REASON_LENGTH);
  return new ClusterContentError(
    `context ${context}: Secret ${namespace}/${KVSTOREMESH_SECRET} has no cluster ${shown}; it has: ${named.join(', ') || 'none'}`,
  );
}

/** The time does not count: a repeated command changes nothing. */
function isEqual(current: string | undefined, mode: string, reason: string): boolean {
  return current?.startsWith(`${JSON.stringify({ mode, reason }).slice(0, -1)},`) ?? false;
}

export function quarantineText({ context, cluster, secret, quarantine: mode, outcome, managedBy }: QuarantineReport): string {
  const what = {
    freeze: `the mirror of ${cluster} is frozen`,
    withdraw: `the mirror of ${cluster} is withdrawn; its keys are removed after three minutes, in which agents disconnect`,
    released: `${cluster} is not in quarantine`,
  };
  const lines = [`context ${context}: Secret ${secret}: ${outcome === 'written' ? 'changed' : 'unchanged'}: ${what[mode]}`];
  if (outcome === 'written') lines.push('kvstoremesh follows within about a minute, when the kubelet has updated its volume');
  if (managedBy !== undefined && mode !== 'released')
    lines.push(
      `warning: ${managedBy} manages the Secret. It keeps this key, unless it replaces the Secret (helm upgrade --force, Replace=true); that ends the quarantine`,
    );
  return `${lines.join('\n')}\n`;
}
