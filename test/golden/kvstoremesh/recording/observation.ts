/**
 * What is seen of the daemon from outside, in the form of the recordings: the local etcd, the status API and
 * readiness. What differs from run to run (times, ports, IDs) is made equal.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type KeyValue, readEtcd } from '../../../support/etcd/etcd-gateway.ts';
import { type Binary, textOrBinary } from '../../recorded-bytes.ts';
import { comparableText } from './comparable-text.ts';
import type { Scenario } from './scenario.ts';
import { recordedStatus, shownStatus } from './status-text.ts';

/** Values too long for a recording. */
interface Digest {
  readonly sha256: string;
  readonly length: number;
}

export interface DumpEntry {
  readonly key: string | Binary;
  readonly value: string | Binary | Digest;
  readonly leased: boolean;
}

export type ClusterStatus = Readonly<Record<string, unknown>>;

export interface Observation {
  readonly dump: readonly DumpEntry[];
  /** Revision of the last write, by `keyText`. */
  readonly revisions: ReadonlyMap<string, string>;
  /** The list of clusters, or what came in its place. */
  readonly api: readonly ClusterStatus[] | string;
  /** What the command shows of it; undefined where there is no list of clusters. */
  readonly status: string | undefined;
  /** Status and text of `/readyz`. */
  readonly readyz: string;
}

export interface Recording extends Omit<Observation, 'revisions'> {
  /** The keys that were written during the step, by `keyText`. */
  readonly written: ReadonlySet<string>;
}

/** The state, status and writes of the original in a step. */
export function recordingOf(scenario: Scenario, step: number): Recording {
  const read = (suffix: string) => readFileSync(join(scenario.directory, `${step}-${suffix}`), 'utf8');
  return {
    dump: JSON.parse(read('expected.json')) as readonly DumpEntry[],
    api: JSON.parse(read('api.json')) as Recording['api'],
    status: recordedStatus(scenario, step),
    readyz: read('readyz.txt').trim(),
    written: new Set((JSON.parse(read('writes.json')) as { written: readonly string[] }).written),
  };
}

/** A key in messages and in lists of keys. */
export function keyText({ key }: DumpEntry): string {
  return typeof key === 'string' ? key : `base64:${key.base64}`;
}

const LOCK = 'cilium/kvstoremesh-lock/';
const HEARTBEAT = 'cilium/.heartbeat';
/** Markers of clients that check whether etcd accepts writes. */
const PROBES = 'cilium/.initlock/';
const LONGEST_VALUE = 4096;
const TIME = '<time>';
const NEVER = '0001-01-01T00:00:00.000Z';

/** Reads the local etcd. The heartbeat is left out unless asked for. */
export async function observeEtcd(
  endpoint: string,
  { hasHeartbeat }: { readonly hasHeartbeat: boolean },
): Promise<Pick<Observation, 'dump' | 'revisions'>> {
  const seen = (await readEtcd(endpoint))
    .map((read) => ({ entry: entryOf(read), revision: read.modRevision }))
    .filter(({ entry }) => !keyText(entry).startsWith(PROBES) && (hasHeartbeat || entry.key !== HEARTBEAT));
  return {
    dump: seen.map(({ entry }) => entry),
    revisions: new Map(seen.map(({ entry, revision }) => [keyText(entry), revision])),
  };
}

/** A key and its value as the recordings have them. */
export function entryOf({ key: keyBytes, value: valueBytes, leaseId }: Omit<KeyValue, 'modRevision'>): DumpEntry {
  const text = textOrBinary(keyBytes);
  const leased = leaseId !== '0';
  const value = recordedValue(valueBytes);
  if (typeof text !== 'string') return { key: text, value, leased };
  const isLock = text.startsWith(LOCK) && /^[0-9a-f]+$/.test(text.slice(LOCK.length));
  const isTime =
    (text.startsWith('cilium/synced/') || text === HEARTBEAT) &&
    typeof value === 'string' &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value);
  return { key: isLock ? `${LOCK}<lease>` : text, value: isTime ? TIME : value, leased };
}

function recordedValue(bytes: Buffer): DumpEntry['value'] {
  if (bytes.length <= LONGEST_VALUE) return textOrBinary(bytes);
  return { sha256: createHash('sha256').update(bytes).digest('hex'), length: bytes.length };
}

/** Requests the status API; `volatile` members of a cluster are hidden. */
export async function observeApi(port: number, volatile: readonly string[]): Promise<Pick<Observation, 'api' | 'status'>> {
  const answer = await get(port, '/v1/cluster');
  if (answer === undefined) return { api: 'unreachable', status: undefined };
  if (answer.status !== 200) return { api: `${answer.status} ${answer.body}`, status: undefined };
  const clusters = JSON.parse(answer.body) as ClusterStatus[];
  return { api: clusters.map((status) => comparableStatus(status, volatile)), status: shownStatus(clusters, volatile) };
}

export async function observeReadyz(port: number): Promise<string> {
  const answer = await get(port, '/readyz');
  return answer === undefined ? 'unreachable' : `${answer.status} ${answer.body}`;
}

/** A cluster of the status API as the recordings have it. */
export function comparableStatus(cluster: ClusterStatus, volatile: readonly string[]): ClusterStatus {
  const members = Object.entries(cluster).map(([member, value]) => {
    if (volatile.includes(member)) return [member, '<volatile>'];
    if (member === 'status' && typeof value === 'string') return [member, comparableText(value)];
    const isTime = typeof value === 'string' && value !== NEVER && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value);
    return [member, member === 'last-failure' && isTime ? TIME : value];
  });
  return Object.fromEntries(members) as ClusterStatus;
}

async function get(port: number, path: string): Promise<{ readonly status: number; readonly body: string } | undefined> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(5_000) });
    return { status: answer.status, body: (await answer.text()).trim() };
  } catch {
    return undefined;
  }
}
