/**
 * The calls to etcd as Prometheus series, under the original's names.
 *
 * A transaction counts as one operation. The `api_limiter` families show the effect of the limits in `--kvstore-opt` on the
 * calls of each client: `etcd` is the local one, `etcd-<cluster>` that of a remote cluster. The limiter of the original
 * has more settings; those that it does not set for etcd are 0, as in the original.
 */

import { clusterNameProblem } from '../cluster-info.ts';
import type { Counter, Histogram, Registry } from '../http/metrics.ts';
import { MAX_CANARY_SCOPES } from '../limits.ts';
import {
  CANARIES,
  CLUSTER_CONFIGS,
  CLUSTERMESH_LOCKS,
  HAS_CLUSTER_CONFIG_KEY,
  HEARTBEAT_KEY,
  KVSTOREMESH_LOCKS,
  ROOT,
  SCOPES,
} from './keyspace.ts';
import type { CallOutcome, CallSubject, EtcdObserver } from './observer.ts';
import type { RequestLimiter } from './operations/request-limiter.ts';
import type { EtcdKey, WatchEvent } from './types.ts';

/** Means are those of the last so many calls that succeeded, as in the original. */
const RECENT_CALLS = 10;

/** As in the original; log lines have the cause. */
const RETURN_CODES = { success: '200', fail: '500' } as const;

type Outcome = keyof typeof RETURN_CODES;

const OUTCOMES: readonly Outcome[] = ['success', 'fail'];

const EVENT_QUEUE_BUCKETS = [0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1];

export class EtcdMetrics {
  readonly #clients = new Map<string, ClientSeries>();
  /** How to remove the series whose scope names a cluster: those of its canaries, on any client. */
  readonly #byCluster = new Map<string, Map<string, () => void>>();
  readonly #operations: Histogram<'scope' | 'kind' | 'action' | 'outcome'>;
  readonly #eventsQueue: Histogram<'scope' | 'action'>;
  readonly #quorumErrors: Counter<'error'>;
  readonly #requests: Counter<'api_call' | 'outcome' | 'return_code'>;
  readonly #dropped: Counter;

  constructor(registry: Registry) {
    this.#operations = registry.histogram('kvstore_operations_duration_seconds', 'Duration of operations on etcd', [
      'scope',
      'kind',
      'action',
      'outcome',
    ]);
    this.#eventsQueue = registry.histogram(
      'kvstore_events_queue_seconds',
      'Seconds from the arrival of an event until its processing',
      ['scope', 'action'],
      EVENT_QUEUE_BUCKETS,
    );
    this.#quorumErrors = registry.counter('kvstore_quorum_errors_total', 'Failed quorum checks of an etcd', ['error']);
    this.#dropped = registry.counter(
      'kvstore_dropped_events_total',
      'Dropped events: duplicates, out of order, or not requested',
    );
    this.#requests = registry.counter('api_limiter_processed_requests_total', 'Calls to etcd', [
      'api_call',
      'outcome',
      'return_code',
    ]);
    this.#limiterGauges(registry);
    registry.gauge(
      'certificate_expiry_timestamp_seconds',
      'Unix time at which the first certificate of a TLS file in use expires',
      ['file'],
      (gauge) => {
        gauge.reset();
        for (const [file, expiryMs] of this.certificates()) gauge.set({ file }, expiryMs / 1000);
      },
    );
  }

  /** TLS files in use, each with the end of the first of its certificates in milliseconds since 1970. */
  certificates(): ReadonlyMap<string, number> {
    return new Map([...this.#clients.values()].flatMap(({ expiries }) => [...expiries]));
  }

  /** The same of one remote cluster, and `server`, the certificate that its etcd presented last; undefined before that. */
  certificatesOf(cluster: string): { readonly files: ReadonlyMap<string, number>; readonly server: number | undefined } {
    const series = this.#clients.get(remoteName(cluster));
    return { files: series?.expiries ?? new Map(), server: series?.serverExpiryMs };
  }

  /** The observer of a client. Another one with the same name, such as that of the next connection, continues its series. */
  client(name: string, limiter: RequestLimiter | undefined): EtcdObserver {
    return this.#observer(name, limiter, undefined);
  }

  #observer(name: string, limiter: RequestLimiter | undefined, cluster: string | undefined): EtcdObserver {
    const series = this.#clients.get(name) ?? new ClientSeries();
    this.#clients.set(name, series);
    series.limiter = limiter;
    return {
      begin: (subject) => {
        series.inFlight += 1;
        return (outcome) => {
          series.inFlight -= 1;
          if (outcome !== undefined) this.#ended({ name, cluster, series }, subject, outcome);
        };
      },
      events: (events, seconds) => this.#received(cluster, events, seconds),
      droppedEvents: (count) => this.#dropped.inc(count),
      certificates: (expiries) => {
        series.expiries = expiries;
      },
      serverCertificate: (expiryMs) => {
        series.serverExpiryMs = expiryMs;
      },
    };
  }

  /** The observer of the clients of a remote cluster. */
  remoteClient(cluster: string, limiter: RequestLimiter | undefined): EtcdObserver {
    return this.#observer(remoteName(cluster), limiter, cluster);
  }

  /** The remote cluster is gone, and its series with it. Idempotent. */
  forgetRemote(cluster: string): void {
    for (const remove of this.#byCluster.get(cluster)?.values() ?? []) remove();
    this.#byCluster.delete(cluster);
    const name = remoteName(cluster);
    const series = this.#clients.get(name);
    if (series === undefined) return;
    this.#clients.delete(name);
    for (const outcome of OUTCOMES) this.#requests.remove({ api_call: name, outcome, return_code: RETURN_CODES[outcome] });
  }

  /** An etcd answers but does not show that it has a quorum. */
  quorumError(error: string): void {
    this.#quorumErrors.inc({ error });
  }

  #ended({ name, cluster, series }: Caller, { action, kind, key }: CallSubject, outcome: CallOutcome): void {
    const { code, seconds, waitSeconds } = outcome;
    const result = outcomeOf(code);
    const scope = key === undefined ? scopeWithoutKey(action) : this.#scopeOf(key, cluster);
    const labels = { scope, kind, action, outcome: result };
    this.#operations.observe(labels, seconds);
    if (key !== undefined && isCanary(key, scope)) {
      this.#remember(key, Object.values(labels), () => this.#operations.remove(labels));
    }
    // A removed client may still end its last calls.
    if (this.#clients.get(name) !== series) return;
    this.#requests.inc({ api_call: name, outcome: result, return_code: RETURN_CODES[result] });
    if (result === 'fail') return;
    series.processing.add(seconds);
    series.waiting.add(waitSeconds);
  }

  #received(cluster: string | undefined, events: readonly WatchEvent[], seconds: number): void {
    for (const event of events) {
      const { key } = event;
      const scope = this.#scopeOf(key, cluster);
      const labels = { scope, action: event.type === 'delete' ? 'delete' : event.isCreation ? 'create' : 'modify' };
      this.#eventsQueue.observe(labels, seconds);
      if (isCanary(key, scope)) this.#remember(key, Object.values(labels), () => this.#eventsQueue.remove(labels));
    }
  }

  #scopeOf(key: EtcdKey, cluster: string | undefined): string {
    const scope = scopeOf(key, cluster);
    if (!isCanary(key, scope) || this.#byCluster.size < MAX_CANARY_SCOPES) return scope;
    return this.#byCluster.has(clusterOf(key)) ? scope : OTHER;
  }

  #remember(canary: EtcdKey, labels: readonly string[], remove: () => void): void {
    const cluster = clusterOf(canary);
    const removals = this.#byCluster.get(cluster) ?? new Map<string, () => void>();
    removals.set(labels.join(), remove);
    this.#byCluster.set(cluster, removals);
  }

  #limiterGauges(registry: Registry): void {
    const gauge = <Value extends string>(
      name: string,
      help: string,
      values: Readonly<Record<Value, (series: ClientSeries) => number | undefined>>,
    ) =>
      registry.gaugeFrom(name, help, {
        labelNames: ['api_call'],
        rows: () => this.#clients,
        labels: ([client]) => [client],
        column: { label: 'value', values: Object.keys(values) as Value[] },
        value: ([, series], value) => values[value](series) ?? 0,
      });
    gauge('api_limiter_processing_duration_seconds', 'Duration of recent calls to etcd; the estimate is always 0', {
      mean: ({ processing }) => processing.mean,
      estimated: () => 0,
    });
    gauge('api_limiter_wait_duration_seconds', 'Client-side delay of recent calls to etcd; min and max are always 0', {
      mean: ({ waiting }) => waiting.mean,
      min: () => 0,
      max: () => 0,
    });
    gauge('api_limiter_rate_limit', 'Maximum calls to etcd per second; 0 for no limit', {
      limit: ({ limiter }) => limiter?.qps,
      burst: ({ limiter }) => limiter?.qps,
    });
    gauge('api_limiter_requests_in_flight', 'Calls to etcd in flight and their limit; 0 for no limit', {
      'in-flight': ({ inFlight }) => inFlight,
      limit: ({ limiter }) => limiter?.maxInFlight,
    });
  }
}

/** Whose call it was. */
interface Caller {
  readonly name: string;
  /** The remote cluster whose etcd was called; undefined for the local one. */
  readonly cluster: string | undefined;
  readonly series: ClientSeries;
}

/** What is known of the calls of one client. */
class ClientSeries {
  readonly processing = new RecentValues();
  readonly waiting = new RecentValues();
  inFlight = 0;
  limiter: RequestLimiter | undefined;
  expiries: ReadonlyMap<string, number> = new Map();
  serverExpiryMs: number | undefined;
}

class RecentValues {
  readonly #values: number[] = [];
  #next = 0;

  add(value: number): void {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % RECENT_CALLS;
  }

  get mean(): number {
    return this.#values.reduce((sum, value) => sum + value, 0) / Math.max(1, this.#values.length);
  }
}

/** The scope is one that names a cluster. */
function isCanary(key: EtcdKey, scope: string): boolean {
  return key.length > CANARIES.length && key.startsWith(CANARIES) && scope !== OTHER;
}

function clusterOf(canary: EtcdKey): string {
  const [cluster = ''] = canary.slice(CANARIES.length).split('/', 1);
  return cluster;
}

function remoteName(cluster: string): string {
  return `etcd-${cluster}`;
}

function outcomeOf(code: string): Outcome {
  return code === 'OK' ? 'success' : 'fail';
}

/** The calls about a member, which are none of the original's. */
const MEMBER_CALLS: ReadonlySet<string> = new Set(['Status', 'Alarm']);

/** Other calls without a key are about leases, or about users and roles. */
function scopeWithoutKey(action: string): string {
  if (MEMBER_CALLS.has(action)) return OTHER;
  return action.includes('Lease') ? 'lease' : 'auth';
}

/** What the daemons read and write, by the third and fourth part of the keys. */
const KINDS: ReadonlySet<string> = new Set(Object.values(SCOPES));

/** The same of keys with fewer parts, by their first characters. */
const STARTS_LENGTH = 12;
const STARTS: ReadonlySet<string> = new Set(
  [
    ROOT,
    CLUSTER_CONFIGS,
    HEARTBEAT_KEY,
    HAS_CLUSTER_CONFIG_KEY,
    KVSTOREMESH_LOCKS,
    CLUSTERMESH_LOCKS,
    CANARIES,
    'cilium/.revision/',
  ].map((key) => key.slice(0, STARTS_LENGTH)),
);

const OTHER = 'other';

/**
 * `nodes/v1` of `cilium/state/nodes/v1/…`: the third and fourth part of a key, or its first 12 characters where it has no fourth,
 * as in the original. Only of keys that the daemons read or write, `other` for all others: whose keys they are may be decided
 * elsewhere. Of a remote's etcd only the canaries of `cluster` have a scope of their own.
 */
export function scopeOf(key: EtcdKey, cluster?: string): string {
  const [, area, kind, version] = key.split('/', 5);
  const scope = `${kind}/${version}`;
  if (area === 'synced' && kind !== undefined && version !== undefined) {
    const isCluster = cluster === undefined ? clusterNameProblem(kind) === undefined : kind === cluster;
    return isCluster && (version === '' || version === 'cilium') ? scope : OTHER;
  }
  if (KINDS.has(scope)) return scope;
  const start = key.slice(0, STARTS_LENGTH);
  return STARTS.has(start) ? start : OTHER;
}
