/** A remote cluster as the status page shows it. */
import { basename } from 'node:path';
import { generalRemedy } from '../../shared/diagnosis/pod-checks.ts';
import { keyText } from '../../shared/etcd/types.ts';
import { HEALTH_EXPIRY_MS } from '../../shared/limits.ts';
import { printable } from '../../shared/printable.ts';
import { FINDING_KINDS, FINDING_PROBLEMS } from '../import-guard/findings.ts';
import type { Mirror } from '../mirror/mirror.ts';
import type { RemoteCluster } from '../remote/cluster.ts';
import type { RemotePhase } from '../remote/state.ts';
import type { RemoteClusterStatus } from '../status/status.ts';
import type { RemoteRecord } from './history.ts';
import { MAX_PAGE_CHART_VALUES, MAX_PAGE_FINDINGS, MAX_PAGE_TEXT_LENGTH, PAGE_FRESH_MS } from './limits.ts';
import type { CertificateSummary, KindSummary, RemoteCondition, RemoteDetail, RemoteSummary } from './snapshot.ts';

/** The certificates of a connection, with their ends in milliseconds since 1970. */
export interface ConnectionCertificates {
  /** By the path of the file. */
  readonly files: ReadonlyMap<string, number>;
  /** Of the server; undefined if there was none yet. */
  readonly server: number | undefined;
}

export interface SummaryContext {
  readonly record: RemoteRecord;
  readonly certificates: ConnectionCertificates;
  readonly nowMs: number;
}

/** `status`: that of the remote, as in `GET /v1/cluster`. */
export function remoteSummary(
  remote: RemoteCluster,
  status: RemoteClusterStatus,
  { record, certificates, nowMs }: SummaryContext,
): RemoteSummary {
  const { name, stalenessMs, held, state } = remote;
  const expires = firstExpiry(certificates);
  const reasons = reasonsOf(status, remedyOf(state.phase), expires, nowMs);
  const condition = conditionOf(remote, reasons.length > 0);
  const findings = status['import-findings'];
  const imported = status['import-policy']?.summary;
  return {
    name,
    condition,
    since: record.since(condition, nowMs),
    ...(status.config?.['cluster-id'] !== undefined && { id: status.config['cluster-id'] }),
    ...(reasons.length > 0 && { reasons }),
    ...(condition === 'unreachable' && { command: `kvstoremesh-dbg doctor ${name}` }),
    // Only what is out of date has a time: others would change with every answer of the remote.
    ...(stalenessMs > PAGE_FRESH_MS && { confirmed: roundedToSeconds(nowMs - stalenessMs) }),
    kinds: remote.mirrors.map(kindOf),
    keys: held.keys,
    bytes: held.bytes,
    failures: state.failures,
    ...(state.lastFailureMs !== undefined && { lastFailure: state.lastFailureMs }),
    ...(findings !== undefined && { findings }),
    ...(imported !== undefined && { imported }),
    ...(expires !== undefined && { expires }),
    rate: record.rate.values(MAX_PAGE_CHART_VALUES),
    lag: record.lag.values(MAX_PAGE_CHART_VALUES),
  };
}

const RETURNED = 'its file has returned during its removal; it is connected once its keys are removed';
const REMOVED =
  'its file was removed: its keys are removed once agents have had time to disconnect; to connect the cluster again, write its file again';

/** A cluster whose keys are being removed. */
export function drainingSummary(name: string, record: RemoteRecord, nowMs: number): RemoteSummary {
  const isReturned = record.events[0]?.kind === 'returned';
  return {
    name,
    condition: 'draining',
    since: record.since('draining', nowMs),
    reasons: [isReturned ? RETURNED : REMOVED],
    kinds: [],
    keys: 0,
    bytes: 0,
    failures: 0,
    rate: record.rate.values(MAX_PAGE_CHART_VALUES),
    lag: record.lag.values(MAX_PAGE_CHART_VALUES),
  };
}

/** `remote`: undefined if it is draining. */
export function remoteDetail(name: string, remote: RemoteCluster | undefined, context: SummaryContext): RemoteDetail {
  const { record, certificates } = context;
  const findings = Iterator.from(remote?.guard?.findings ?? [])
    .take(MAX_PAGE_FINDINGS)
    .toArray();
  return {
    name,
    events: record.events,
    certificates: certificatesOf(certificates),
    findings: findings.map(({ kind, key, problem }) => ({ kind, key: printable(keyText(key), MAX_PAGE_TEXT_LENGTH), problem })),
    rate: record.rate.values(),
    lag: record.lag.values(),
  };
}

function conditionOf({ isReady, state: { phase }, quarantine }: RemoteCluster, hasReason: boolean): RemoteCondition {
  if (quarantine.current !== undefined) return 'quarantined';
  if (phase.kind === 'refused' || phase.kind === 'stopped') return phase.kind;
  if (phase.kind === 'connecting') return phase.reason === undefined ? 'connecting' : 'unreachable';
  if (!isReady) return 'loading';
  return hasReason ? 'warning' : 'ready';
}

/** Errors of connections do not have it in their text. */
function remedyOf(phase: RemotePhase): string {
  return phase.kind === 'connecting' && phase.check !== undefined ? `; ${generalRemedy(phase.check)}` : '';
}

function reasonsOf(status: RemoteClusterStatus, remedy: string, expires: number | undefined, nowMs: number): string[] {
  const found = FINDING_KINDS.flatMap((kind) => {
    const count = status['import-findings']?.[kind];
    return count === undefined ? [] : [`import guard: ${count} × ${FINDING_PROBLEMS[kind]}`];
  });
  const isEnding = expires !== undefined && expires - nowMs < HEALTH_EXPIRY_MS;
  const ending = isEnding ? [`a certificate ends at ${new Date(expires).toISOString()}; renew it`] : [];
  const reasons = [...(status.reason === undefined ? [] : [`${status.reason}${remedy}`]), ...found, ...ending];
  return reasons.map((reason) => printable(reason, MAX_PAGE_TEXT_LENGTH));
}

function kindOf({ mapping, count, enabled, listed }: Mirror): KindSummary {
  return { name: mapping.name, keys: count, state: listed ? 'listed' : enabled ? 'loading' : 'off' };
}

/** Files by name: their directories are in the log. */
function certificatesOf({ files, server }: ConnectionCertificates): CertificateSummary[] {
  const own = [...files].map(([path, expires]) => ({ what: `file ${basename(path)}`, expires }));
  return server === undefined ? own : [{ what: 'server of the remote', expires: server }, ...own];
}

function firstExpiry(certificates: ConnectionCertificates): number | undefined {
  const all = certificatesOf(certificates).map(({ expires }) => expires);
  return all.length === 0 ? undefined : Math.min(...all);
}

function roundedToSeconds(ms: number): number {
  return Math.round(ms / 1000) * 1000;
}
