/**
 * `GET /v1/cluster`: the status of each remote cluster, in the form of the original's API.
 *
 * The presence of members is part of the form, because readers render what is present: zero, false and
 * empty are omitted, except for `last-failure`, which is always present, and for the kinds that a remote may not
 * have, which are present exactly when it has them. Additional members are `reason`, why a cluster is not fully mirrored,
 * `stopped-by`, `import-findings`, `import-policy` and `quarantine`.
 */
import { MAX_STATUS_TEXT_LENGTH } from '../../shared/limits.ts';
import { printable } from '../../shared/printable.ts';
import { shownClusterConfig } from '../cluster-config.ts';
import type { QuarantineMode } from '../configuration/quarantine.ts';
import { FINDING_KINDS, type FindingKind } from '../import-guard/findings.ts';
import { type ImportedKindReport, importedOf, importedTextOf } from '../import-policy/report.ts';
import type { MappingName } from '../mappings.ts';
import type { StoppingBound } from '../mirror/bounds.ts';
import type { Mirror } from '../mirror/mirror.ts';
import type { RemoteCluster } from '../remote/cluster.ts';
import type { RemotePhase } from '../remote/state.ts';

export interface RemoteClusterStatus {
  readonly config?: RemoteConfigStatus;
  readonly connected?: true;
  /** What the import guard has found, by kind; kinds without a finding left out. */
  readonly 'import-findings'?: Partial<Record<FindingKind, number>>;
  /** What the import policy leaves of the remote; absent where no rule matches it. */
  readonly 'import-policy'?: PolicyStatus;
  /** RFC 3339 with milliseconds; the year 1 for never. */
  readonly 'last-failure': string;
  readonly name: string;
  readonly quarantine?: QuarantineStatus;
  readonly 'num-endpoint-slices'?: number;
  readonly 'num-endpoints'?: number;
  readonly 'num-failures'?: number;
  readonly 'num-identities'?: number;
  readonly 'num-nodes'?: number;
  readonly 'num-service-exports'?: number;
  readonly 'num-shared-services'?: number;
  readonly ready?: true;
  readonly reason?: string;
  readonly status: string;
  /** The bound that the remote exceeds. */
  readonly 'stopped-by'?: StoppingBound;
  readonly synced: RemoteSyncedStatus;
}

export interface PolicyStatus {
  /** Of the rule that applies. */
  readonly match: string;
  /** Kinds of which not all keys are imported. */
  readonly kinds: readonly ImportedKindReport[];
  /** The same as text: `12,000 of 480,000 endpoints imported by policy`. */
  readonly summary?: string;
}

/** An operator has frozen or withdrawn the mirror. */
export interface QuarantineStatus {
  readonly mode: QuarantineMode;
  readonly reason?: string;
  /** RFC 3339. */
  readonly since?: string;
}

export interface RemoteConfigStatus {
  readonly 'cluster-id'?: number;
  readonly 'endpoint-slices-export-mode'?: string;
  readonly kvstoremesh?: true;
  readonly required: true;
  readonly retrieved?: true;
  readonly 'service-exports-enabled'?: boolean;
  readonly 'sync-canaries'?: true;
}

export interface RemoteSyncedStatus {
  readonly 'endpoint-slices'?: boolean;
  readonly endpoints?: true;
  readonly identities?: true;
  readonly nodes?: true;
  readonly 'service-exports'?: boolean;
  readonly services?: true;
}

const NEVER = '0001-01-01T00:00:00.000Z';
const SILENT = 'no heartbeat from the remote; check that its clustermesh-apiserver is running';
const IN_QUARANTINE: Readonly<Record<QuarantineMode, string>> = {
  freeze: 'In quarantine: the mirror is frozen',
  withdraw: 'In quarantine: the mirror is withdrawn',
};
const HELD =
  'its services are kept beyond --clustermesh-cache-ttl because most clusters are unreachable: check the network of this cluster';

/** The status of each, in order, computed on iteration. */
export function* remoteClusterStatuses(remotes: readonly RemoteCluster[]): Generator<RemoteClusterStatus> {
  // It is the same for all, and asking for it costs as much as there are kinds of keys of all remotes.
  const writeProblem = remotes[0]?.writeProblem;
  for (const remote of remotes) yield statusWith(remote, writeProblem);
}

export function remoteClusterStatus(remote: RemoteCluster): RemoteClusterStatus {
  return statusWith(remote, remote.writeProblem);
}

function statusWith(remote: RemoteCluster, writeProblem: Error | undefined): RemoteClusterStatus {
  const { phase, failures, lastFailureMs, isSilent } = remote.state;
  const quarantine = remote.quarantine.current;
  const byName = new Map(remote.mirrors.map((mirror) => [mirror.mapping.name, mirror]));
  const count = (name: MappingName) => byName.get(name)?.count || undefined;
  const hindered = remote.mirrors.find(({ problem }) => problem !== undefined);
  const kindReason = hindered && `${hindered.mapping.name}: ${hindered.problem}`;
  const fileReason = remote.fileProblem && `${remote.path} cannot be read: ${remote.fileProblem}; its last configuration is kept`;
  const writeReason = writeProblem && `writes to the local etcd are failing: ${writeProblem.message}`;
  return present<RemoteClusterStatus>({
    config: configOf(phase),
    connected: phase.kind !== 'connecting' || undefined,
    'import-findings': findingsOf(remote),
    'import-policy': policyOf(remote),
    'last-failure': lastFailureMs === undefined ? NEVER : new Date(lastFailureMs).toISOString(),
    name: remote.name,
    'num-endpoint-slices': count('endpoint slices'),
    'num-endpoints': count('endpoints'),
    'num-failures': failures || undefined,
    'num-identities': count('identities'),
    'num-nodes': count('nodes'),
    'num-service-exports': count('service exports'),
    'num-shared-services': count('services'),
    quarantine: quarantineOf(remote),
    ready: remote.isReady || undefined,
    reason: joined(
      fileReason,
      quarantineText(remote),
      reasonOf(remote) ?? kindReason ?? writeReason ?? (isSilent ? SILENT : undefined),
    ),
    status: quarantine === undefined ? statusOf(phase, remote.endpoints) : IN_QUARANTINE[quarantine.mode],
    'stopped-by': phase.kind === 'stopped' ? phase.bound : undefined,
    synced: syncedOf(byName, remote),
  });
}

function quarantineOf({ quarantine: { current: quarantine } }: RemoteCluster): QuarantineStatus | undefined {
  if (quarantine === undefined) return undefined;
  const { mode, reason, since } = quarantine;
  return { mode, ...(reason === '' ? {} : { reason }), ...(since === '' ? {} : { since }) };
}

function quarantineText({ quarantine: { current: quarantine }, name }: RemoteCluster): string | undefined {
  if (quarantine === undefined) return undefined;
  const { reason, since } = quarantine;
  const given = reason === '' ? '' : ` (${reason})`;
  return `in quarantine${since === '' ? '' : ` since ${since}`}${given}; end it with: clustermesh-apiserver quarantine ${name} --release`;
}

function findingsOf({ guard }: RemoteCluster): Partial<Record<FindingKind, number>> | undefined {
  const found = FINDING_KINDS.map((kind) => [kind, guard?.findings.count(kind) ?? 0] as const).filter(([, count]) => count > 0);
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

function policyOf(remote: RemoteCluster): PolicyStatus | undefined {
  const rule = remote.policy?.rule;
  if (rule === undefined) return undefined;
  const kinds = importedOf(remote).map(({ kind, imported, of }) => ({ kind, imported, ...(of === undefined ? {} : { of }) }));
  const summary = importedTextOf(remote);
  return { match: rule.rule.match, kinds, ...(summary === undefined ? {} : { summary }) };
}

function reasonOf({ state: { phase }, isWithdrawalHeld }: RemoteCluster): string | undefined {
  if (phase.kind === 'retrieved') return 'waiting for the local etcd to store the cluster config';
  return joined(isWithdrawalHeld ? HELD : undefined, phase.reason);
}

function joined(...reasons: readonly (string | undefined)[]): string | undefined {
  const given = reasons.filter((reason) => reason !== undefined);
  return given.length === 0 ? undefined : given.map((reason) => printable(reason, MAX_STATUS_TEXT_LENGTH)).join('; ');
}

function configOf(phase: RemotePhase): RemoteConfigStatus | undefined {
  if (phase.kind === 'connecting') return undefined;
  if (phase.kind === 'waiting') return { required: true };
  const config = shownClusterConfig(phase.config);
  return present<RemoteConfigStatus>({
    'cluster-id': config.id || undefined,
    'endpoint-slices-export-mode': config.endpointSlicesExportMode || undefined,
    kvstoremesh: config.cached || undefined,
    required: true,
    retrieved: true,
    'service-exports-enabled': config.serviceExportsEnabled,
    'sync-canaries': config.syncedCanaries || undefined,
  });
}

/** Worded as the original's line about an etcd without per-member checks. */
function statusOf(phase: RemotePhase, endpoints: number): string {
  if (phase.kind === 'connecting') return 'Waiting for initial connection to be established';
  const quorum = 'leases=0, lock leases=0, has-quorum=true: endpoint status checks are disabled';
  return `etcd: ${endpoints}/${endpoints} connected, ${quorum}, ID: ${phase.etcdClusterId}`;
}

function syncedOf(mirrors: ReadonlyMap<MappingName, Mirror>, { policy, state: { phase } }: RemoteCluster): RemoteSyncedStatus {
  // What the policy leaves out lacks nothing, either.
  const isLeftOut = (mirror: Mirror) => phase.kind === 'mirroring' && policy?.imports(mirror.mapping) === false;
  const listed = (name: MappingName) => {
    const mirror = mirrors.get(name);
    return (mirror !== undefined && (mirror.listed || isLeftOut(mirror))) || undefined;
  };
  const optional = (name: MappingName) => (mirrors.get(name)?.enabled ? (mirrors.get(name)?.listed ?? false) : undefined);
  const services = mirrors.get('services');
  return present<RemoteSyncedStatus>({
    'endpoint-slices': optional('endpoint slices'),
    endpoints: listed('endpoints'),
    identities: listed('identities'),
    nodes: listed('nodes'),
    'service-exports': optional('service exports'),
    // A kind that is not mirrored lacks nothing.
    services: services === undefined || !services.enabled || services.listed || undefined,
  });
}

/** Without the members that are undefined. */
function present<T extends object>(members: { readonly [Member in keyof T]-?: T[Member] | undefined }): T {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as T;
}
