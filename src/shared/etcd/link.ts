/**
 * One channel to one endpoint, with its users counted.
 *
 * A link that is retired (because certificates changed, or because dialling hangs) takes no new users;
 * streams are told to move, requests under way finish, and with the last user the connection is closed.
 */
import { type ChannelOptions, Client, connectivityState as State } from '@grpc/grpc-js';
import {
  ETCD_BACKOFF_MAX_MS,
  ETCD_BACKOFF_MIN_MS,
  ETCD_FLOW_CONTROL_WINDOW_BYTES,
  ETCD_KEEPALIVE_TIME_MS,
  ETCD_KEEPALIVE_TIMEOUT_MS,
  MAX_ETCD_MESSAGE_BYTES,
} from '../limits.ts';
import { Dialer, type DialerOptions } from './dialer.ts';
import type { EtcdError } from './errors.ts';
import { refuseCompression } from './no-compression.ts';
import type { ReceiveLimits, Receiver } from './receive-budget.ts';

refuseCompression();

export interface KeepaliveTimes {
  /** Between two HTTP/2 pings. etcd closes connections that ping more often than every 5 s, unless configured otherwise. */
  readonly timeMs: number;
  /** How long a ping may stay without an answer. */
  readonly timeoutMs: number;
}

export interface LinkOptions extends DialerOptions {
  /** As grpc-js takes it: `dns:host:port`, `ipv4:…` or `ipv6:…`. */
  readonly target: string;
  /** `host:port` of the endpoint, for the `:authority` header. */
  readonly authority: string;
  readonly keepalive: KeepaliveTimes | undefined;
  /** Of the etcd, for messages. */
  readonly name: string;
  /** Undefined for an etcd that is trusted. */
  readonly receive: ReceiveLimits | undefined;
  /** The connection came up after at least one attempt had failed. */
  readonly onRecovered: () => void;
}

export class Link implements Receiver {
  readonly name: string;
  readonly grpc: Client;
  readonly #dialer: Dialer;
  readonly #onRecovered: () => void;
  readonly #leavers = new Set<() => void>();
  readonly #leaveBudget: (() => void) | undefined;
  #users = 0;
  #settledBytes = 0;
  #refusal: EtcdError | undefined;
  #isRetired = false;
  #isClosed = false;

  constructor(options: LinkOptions) {
    this.#dialer = new Dialer(options, () => this.isReady);
    this.name = options.name;
    this.#onRecovered = options.onRecovered;
    this.#leaveBudget = options.receive?.budget.add(this);
    this.grpc = new Client(options.target, this.#dialer, channelOptions(options));
    this.#watchState(State.IDLE);
  }

  /** Connected, as far as one can know. */
  get isReady(): boolean {
    return !this.#isClosed && this.grpc.getChannel().getConnectivityState(false) === State.READY;
  }

  /** Bytes received and not dealt with. */
  get heldBytes(): number {
    const received = this.#dialer.receivedBytes;
    this.#settledBytes = Math.min(this.#settledBytes, received);
    return received - this.#settledBytes;
  }

  /** A message of so many bytes is dealt with, and so is what came around it. */
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
    this.#dialer.close();
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

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#leaveBudget?.();
    this.grpc.close();
    this.#dialer.close();
  }

  #watchState(state: State): void {
    this.grpc.getChannel().watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      if (this.#isClosed) return;
      const next = this.grpc.getChannel().getConnectivityState(false);
      this.#watchState(next);
      if (state === State.TRANSIENT_FAILURE && next === State.READY) this.#onRecovered();
    });
  }
}

/** What HTTP/2 and TLS add to the bytes of a message, at most, and headers and trailers to each. */
const FRAMING_SHARE = 0.05;
const MESSAGE_OVERHEAD_BYTES = 1024;

function channelOptions({ authority, keepalive, receive }: LinkOptions): ChannelOptions {
  return {
    'grpc.default_authority': authority,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_channelz': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.keepalive_time_ms': keepalive?.timeMs ?? ETCD_KEEPALIVE_TIME_MS,
    'grpc.keepalive_timeout_ms': keepalive?.timeoutMs ?? ETCD_KEEPALIVE_TIMEOUT_MS,
    'grpc.initial_reconnect_backoff_ms': ETCD_BACKOFF_MIN_MS,
    'grpc.max_reconnect_backoff_ms': ETCD_BACKOFF_MAX_MS,
    'grpc.max_receive_message_length': receive?.maxMessageBytes ?? MAX_ETCD_MESSAGE_BYTES,
    'grpc-node.flow_control_window': ETCD_FLOW_CONTROL_WINDOW_BYTES,
  };
}
