/**
 * One channel to one endpoint, with a count of its users.
 *
 * A retired channel (because certificates changed, or because dialing hangs) accepts no new users. Its streams
 * are notified to move, requests in flight finish, and the connection is closed with the last user.
 */
import { type ChannelOptions, Client, connectivityState as State } from '@grpc/grpc-js';
import { ETCD_FLOW_CONTROL_WINDOW_BYTES, ETCD_KEEPALIVE_TIME_MS, MAX_ETCD_MESSAGE_BYTES } from '../../limits.ts';
import type { EtcdError } from '../errors.ts';
import { refuseCompression } from '../wire/no-compression.ts';
import type { ReceiveLimits, Receiver } from '../wire/receive-budget.ts';
import { ChannelSilence, type KeepaliveTimes } from './channel-silence.ts';
import { Dialer, type DialerOptions } from './dialer.ts';
import { CONNECT, type Connect } from './grpc-connector.ts';

refuseCompression();

export interface EndpointChannelOptions extends DialerOptions {
  /** `host:port` of the endpoint, for the `:authority` header. */
  readonly authority: string;
  readonly keepalive: KeepaliveTimes | undefined;
  /** Of the etcd, for messages. */
  readonly name: string;
  /** Undefined for an etcd that is trusted. */
  readonly receive: ReceiveLimits | undefined;
  /** It takes the place of one that was silent. */
  readonly isReplacement?: boolean;
  /** The connection came up after one had been lost, or after at least one attempt had failed. */
  readonly onRecovered: () => void;
}

/** The library requires an address; the dialer has the right ones. */
const TARGET = 'ipv4:0.0.0.0:2379';

/** The dialer waits between attempts, the library needs not. */
const LIBRARY_BACKOFF_MS = 1;

/** `ChannelSilence` detects silence instead: it also counts data other than the answer to a ping. */
const LIBRARY_KEEPALIVE_TIMEOUT_MS = 3_600_000;

/** What HTTP/2 and TLS add to the bytes of a message, at most, and headers and trailers to each. */
const FRAMING_SHARE = 0.05;
const MESSAGE_OVERHEAD_BYTES = 1024;

export class EndpointChannel implements Receiver {
  readonly name: string;
  readonly grpc: Client;
  readonly #dialer: Dialer;
  readonly #silence: ChannelSilence;
  readonly #onRecovered: () => void;
  readonly #leavers = new Set<() => void>();
  readonly #leaveBudget: (() => void) | undefined;
  #users = 0;
  #settledBytes = 0;
  #refusal: EtcdError | undefined;
  #hasFailed: boolean;
  #isRetired = false;
  #isClosed = false;

  constructor(options: EndpointChannelOptions) {
    this.#dialer = new Dialer(options);
    this.name = options.name;
    this.#leaveBudget = options.receive?.budget.add(this);
    this.#silence = new ChannelSilence(options.keepalive, options.pacing.clock, () => this.#users > 0);
    this.#onRecovered = options.onRecovered;
    this.#hasFailed = options.isReplacement === true;
    this.grpc = new Client(TARGET, this.#dialer, this.#channelOptions(options));
    this.#watchState(State.IDLE);
  }

  /** Connected, according to the library. */
  get isReady(): boolean {
    return !this.#isClosed && this.grpc.getChannel().getConnectivityState(false) === State.READY;
  }

  /** Bytes received and not processed yet. */
  get heldBytes(): number {
    const received = this.#dialer.receivedBytes;
    this.#settledBytes = Math.min(this.#settledBytes, received);
    return received - this.#settledBytes;
  }

  /** Marks a message of so many bytes as processed, with its framing. */
  settle(messageBytes: number): void {
    this.#settledBytes += messageBytes * (1 + FRAMING_SHARE) + MESSAGE_OVERHEAD_BYTES;
    if (this.isReady) this.#refusal = undefined;
  }

  /** Why the connection was dropped by ourselves; undefined once a message came over the next one. */
  get refusal(): EtcdError | undefined {
    return this.#refusal;
  }

  /** Drops the connection; the next request makes another one. */
  refuse(error: EtcdError): void {
    this.#refusal = error;
    this.#settledBytes = 0;
    this.#dialer.drop(error);
  }

  /** Nothing has arrived for longer than a ping takes. */
  get isSilent(): boolean {
    return this.isReady && this.#silence.isSuspicious;
  }

  get isRetired(): boolean {
    return this.#isRetired;
  }

  /** Counts a user in; `onRetire` is called at most once. Returns a function that counts it out. */
  use(onRetire?: () => void): () => void {
    this.#users += 1;
    if (onRetire !== undefined) this.#leavers.add(onRetire);
    let isUsed = true;
    return () => {
      if (!isUsed) return;
      isUsed = false;
      this.#users -= 1;
      if (onRetire !== undefined) this.#leavers.delete(onRetire);
      if (this.#isRetired && this.#users === 0) this.close();
    };
  }

  retire(): void {
    this.#isRetired = true;
    for (const leave of [...this.#leavers]) leave();
    if (this.#users === 0) this.close();
  }

  /** See Dialer. */
  hurry(): void {
    this.#dialer.hurry();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#leaveBudget?.();
    this.grpc.close();
    this.#dialer.close();
    this.#silence.end();
  }

  #watchState(state: State): void {
    this.grpc.getChannel().watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      if (this.#isClosed) return;
      const next = this.grpc.getChannel().getConnectivityState(false);
      this.#watchState(next);
      if (state === State.READY || next === State.TRANSIENT_FAILURE) this.#hasFailed = true;
      if (next !== State.READY) return;
      this.#silence.watch(this.#dialer.socket);
      if (this.#hasFailed) this.#onRecovered();
      this.#hasFailed = false;
    });
  }

  #channelOptions({ authority, keepalive, receive }: EndpointChannelOptions): ChannelOptions {
    const connect: Connect = (open) => this.#dialer.connect(open);
    return {
      [CONNECT]: connect,
      'grpc.default_authority': authority,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      'grpc.enable_http_proxy': 0,
      'grpc.enable_channelz': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.keepalive_time_ms': keepalive?.timeMs ?? ETCD_KEEPALIVE_TIME_MS,
      'grpc.keepalive_timeout_ms': LIBRARY_KEEPALIVE_TIMEOUT_MS,
      'grpc.initial_reconnect_backoff_ms': LIBRARY_BACKOFF_MS,
      'grpc.max_reconnect_backoff_ms': LIBRARY_BACKOFF_MS,
      'grpc.max_receive_message_length': receive?.maxMessageBytes ?? MAX_ETCD_MESSAGE_BYTES,
      'grpc-node.flow_control_window': ETCD_FLOW_CONTROL_WINDOW_BYTES,
    };
  }
}
