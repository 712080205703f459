/**
 * The client of one etcd cluster: see `EtcdClient` in types.ts for what each call promises.
 */

import { MAX_ETCD_MESSAGE_BYTES, TLS_RELOAD_INTERVAL_MS } from '../limits.ts';
import type { Logger } from '../process/log.ts';
import type { Clock } from '../time/clock.ts';
import type { EtcdConfig } from './config.ts';
import type { KeepaliveTimes } from './connection/channel-silence.ts';
import { ConnectionTracker } from './connection/connection-tracker.ts';
import { Credentials } from './connection/credentials.ts';
import { DialPacing } from './connection/dial-pacing.ts';
import { Endpoints } from './connection/endpoints.ts';
import { type HostLookup, hostLookup } from './connection/host-lookup.ts';
import { type RequestGate, Transport } from './connection/transport.ts';
import {
  ConditionFailedError,
  EtcdConfigError,
  errorOfStatus,
  LeaseNotFoundError,
  MalformedResponseError,
  ReadOnlyError,
} from './errors.ts';
import { GRPC, GrpcStatusError } from './grpc-status.ts';
import { type EtcdObserver, subjectOfTxn } from './observer.ts';
import { EtcdAuth } from './operations/auth.ts';
import { LeaseKeeper } from './operations/lease-keeper.ts';
import { listPrefix } from './operations/list.ts';
import { type EtcdMaintenance, maintenanceOver } from './operations/maintenance.ts';
import { type EtcdMembers, membersOver } from './operations/members.ts';
import { watchPrefix } from './operations/watch.ts';
import { WatchStreams } from './operations/watch-streams.ts';
import {
  type CallOptions,
  type EtcdClient,
  type EtcdConnectionState,
  type EtcdKey,
  type GetOptions,
  type GrantOptions,
  type KeyValue,
  type LeaseId,
  type LeaseTimeToLive,
  type ListOptions,
  type ListPage,
  NO_LEASE,
  type Revision,
  type TxnOperation,
  type TxnOptions,
  type WatchBatch,
  type WatchOptions,
} from './types.ts';
import { decodeHeader, decodeRange, decodeTxn, encodeTxn } from './wire/codec.ts';
import { decodeLeaseGrant, decodeLeaseTimeToLive, decodeRaftTerm, encodeLeaseGrant, encodeLeaseId } from './wire/messages.ts';
import { encodeRange, LEASE_GRANT, LEASE_REVOKE, LEASE_TIME_TO_LIVE, RANGE, TXN } from './wire/methods.ts';
import type { ReceiveLimits } from './wire/receive-budget.ts';

export interface EtcdClientOptions {
  readonly config: EtcdConfig;
  /** For log lines and messages: `local`, or a remote cluster's name. */
  readonly name: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** Requests that would write reject with ReadOnlyError and are not sent. */
  readonly readOnly?: boolean | undefined;
  /** Keys per page of lists that name no size of their own. */
  readonly pageSize?: number | undefined;
  readonly keepalive?: KeepaliveTimes | undefined;
  /** A server certificate that has its name in the common name alone is refused, as Go's programs refuse it. */
  readonly strictServerNames?: boolean | undefined;
  /** Shared by clients whose attempts to connect are to be bounded together. */
  readonly pacing?: DialPacing | undefined;
  /** How the names of endpoints become addresses. */
  readonly lookup?: HostLookup | undefined;
  /** No limit where absent. */
  readonly limiter?: RequestGate | undefined;
  readonly observer?: EtcdObserver | undefined;
  /** Of an etcd that is not trusted. The limit of the local etcd where absent. */
  readonly receive?: ReceiveLimits | undefined;
  /** Called when the connection was found, lost, or fails for another reason than before. Must not throw. */
  readonly onStateChange?: ((state: EtcdConnectionState) => void) | undefined;
  /** Uniform in [0, 1); for the order of the endpoints. */
  readonly random?: (() => number) | undefined;
}

/** A client with the operations on users, roles and members, and with the state of a member. */
export interface EtcdAdminClient extends EtcdClient {
  /** Throws ReadOnlyError where the client is read-only. */
  readonly auth: EtcdAuth;
  /** Throws ReadOnlyError where the client is read-only. */
  readonly members: EtcdMembers;
  readonly maintenance: EtcdMaintenance;
}

/** Connects with the first call. Throws EtcdConfigError for endpoints that are none. */
export function createEtcdClient(options: EtcdClientOptions): EtcdAdminClient {
  return new Client(options);
}

class Client implements EtcdAdminClient {
  readonly #options: EtcdClientOptions;
  readonly #tracker: ConnectionTracker;
  readonly #transport: Transport;
  readonly #keeper: LeaseKeeper;
  readonly #watchStreams: WatchStreams;
  readonly #log: Logger;
  readonly #closing = new AbortController();

  constructor(options: EtcdClientOptions) {
    const { config, clock, name, keepalive, limiter, observer, receive, random = Math.random, onStateChange } = options;
    const { strictServerNames = false, pacing = new DialPacing(), lookup = hostLookup } = options;
    if (config.endpoints.length === 0) throw new EtcdConfigError(`etcd ${name} has no endpoints`);
    this.#options = options;
    this.#log = options.log.child({ etcd: name });
    const log = this.#log;
    this.#tracker = new ConnectionTracker({ clock, log, onChange: onStateChange });
    const credentials = new Credentials(config, log, observer);
    const maxMessageBytes = receive?.maxMessageBytes ?? MAX_ETCD_MESSAGE_BYTES;
    const endpoints = new Endpoints({
      name,
      config,
      credentials,
      keepalive,
      receive,
      strictServerNames,
      pacing,
      lookup,
      random,
    });
    const { login } = config;
    this.#transport = new Transport({
      endpoints,
      tracker: this.#tracker,
      clock,
      gate: limiter,
      observer,
      maxMessageBytes,
      login,
    });
    this.#watchStreams = new WatchStreams({ transport: this.#transport, clock });
    this.#keeper = new LeaseKeeper({ transport: this.#transport, clock, log });
    if (config.endpoints.some((url) => !url.startsWith('http://'))) void this.#reloadCredentials(credentials, endpoints);
  }

  get state(): EtcdConnectionState {
    return this.#tracker.state;
  }

  get auth(): EtcdAuth {
    this.#refuseWhereReadOnly();
    return new EtcdAuth(this.#transport);
  }

  get members(): EtcdMembers {
    this.#refuseWhereReadOnly();
    return membersOver(this.#transport);
  }

  get maintenance(): EtcdMaintenance {
    return maintenanceOver(this.#transport);
  }

  async get(key: EtcdKey, options: GetOptions): Promise<KeyValue | undefined> {
    const { keyValues } = await this.#transport.call({
      method: RANGE,
      request: encodeRange({ key, revision: options.revision }),
      decode: (answer) => decodeRange(answer, 1),
      subject: { action: 'Get', kind: 'read', key },
      ...options,
    });
    const [found] = keyValues;
    if (found !== undefined && found.key !== key) throw new MalformedResponseError('a key that was not requested');
    return found;
  }

  async leaderTerm(key: EtcdKey, options: CallOptions): Promise<bigint> {
    const { term } = await this.#transport.call({
      method: RANGE,
      request: encodeRange({ key, keysOnly: true }),
      decode: (answer) => ({ header: decodeHeader(answer), term: decodeRaftTerm(answer) }),
      subject: { action: 'Get', kind: 'read', key },
      ...options,
    });
    return term;
  }

  list(prefix: EtcdKey, options: ListOptions): AsyncIterable<ListPage> {
    const { pageSize } = this.#options;
    return listPrefix(this.#transport, prefix, pageSize === undefined ? options : { pageSize, ...options });
  }

  watch(prefix: EtcdKey, options: WatchOptions): AsyncIterable<WatchBatch> {
    const { clock, observer } = this.#options;
    const parts = { transport: this.#transport, streams: this.#watchStreams, clock, log: this.#log, observer };
    return watchPrefix(parts, prefix, options);
  }

  async txn(operations: readonly TxnOperation[], { onlyIf, ...options }: TxnOptions): Promise<Revision> {
    this.#refuseWhereReadOnly();
    const request = encodeTxn(operations, onlyIf);
    const subject = subjectOfTxn(operations);
    const { header, succeeded } = await this.#transport.call({ method: TXN, request, decode: decodeTxn, subject, ...options });
    if (!succeeded) throw new ConditionFailedError();
    return header.revision;
  }

  async putIfAbsent(key: EtcdKey, value: Uint8Array, lease: LeaseId, options: CallOptions): Promise<boolean> {
    this.#refuseWhereReadOnly();
    const request = encodeTxn([{ type: 'put', key, value, lease }], [{ key, exists: false }]);
    const subject = { action: 'Lock', kind: 'set', key } as const;
    const { succeeded } = await this.#transport.call({ method: TXN, request, decode: decodeTxn, subject, ...options });
    return succeeded;
  }

  async grantLease(ttlSeconds: number, { id = NO_LEASE, ...options }: GrantOptions): Promise<LeaseId> {
    this.#refuseWhereReadOnly();
    const answer = await this.#transport.call({
      method: LEASE_GRANT,
      request: encodeLeaseGrant(ttlSeconds, id),
      decode: decodeLeaseGrant,
      subject: { action: 'AcquireLease', kind: 'set', key: undefined },
      ...options,
    });
    if (answer.error !== '')
      throw errorOfStatus(new GrpcStatusError(GRPC.UNKNOWN, answer.error), { what: LEASE_GRANT.name, timeoutMs: 0 });
    return answer.id;
  }

  async leaseTimeToLive(lease: LeaseId, options: CallOptions): Promise<LeaseTimeToLive | undefined> {
    try {
      const { ttl, grantedTtl } = await this.#transport.call({
        method: LEASE_TIME_TO_LIVE,
        request: encodeLeaseId(lease),
        decode: decodeLeaseTimeToLive,
        subject: { action: 'LeaseTimeToLive', kind: 'read', key: undefined },
        ...options,
      });
      return ttl < 0n ? undefined : { ttl: Number(ttl), grantedTtl: Number(grantedTtl) };
    } catch (thrown) {
      if (thrown instanceof LeaseNotFoundError) return undefined;
      throw thrown;
    }
  }

  /** A lease that does not exist counts as revoked. */
  async revokeLease(lease: LeaseId, options: CallOptions): Promise<void> {
    this.#refuseWhereReadOnly();
    try {
      await this.#transport.call({
        method: LEASE_REVOKE,
        request: encodeLeaseId(lease),
        decode: (answer) => ({ header: decodeHeader(answer) }),
        subject: { action: 'RevokeLease', kind: 'delete', key: undefined },
        ...options,
      });
    } catch (thrown) {
      if (!(thrown instanceof LeaseNotFoundError)) throw thrown;
    }
  }

  keepLease(lease: LeaseId, ttlSeconds: number, onLost: () => void, onKept?: (askedMs: number) => void): () => void {
    this.#refuseWhereReadOnly();
    return this.#keeper.keep(lease, ttlSeconds, onLost, onKept);
  }

  onRecovered(listener: () => void): () => void {
    return this.#transport.onRecovered(listener);
  }

  forgetCluster(): void {
    this.#transport.forgetCluster();
  }

  close(): void {
    this.#closing.abort();
    this.#keeper.close();
    this.#transport.close();
  }

  #refuseWhereReadOnly(): void {
    if (this.#options.readOnly === true) throw new ReadOnlyError(this.#options.name);
  }

  /** Until the client is closed. Never rejects. */
  async #reloadCredentials(credentials: Credentials, endpoints: Endpoints): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      await this.#options.clock.sleep(TLS_RELOAD_INTERVAL_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      if (!(await credentials.refresh())) continue;
      if (signal.aborted) return;
      endpoints.renew();
      endpoints.wake();
    }
  }
}
