/**
 * The endpoints of a cluster, one of which is in use.
 *
 * All requests and streams use the current endpoint until it fails, then the next one in a
 * circle. The order is shuffled once, so that many clients do not use the same member. The
 * addresses of an endpoint's name, from DNS or from the configuration, are raced.
 */

import type { Recoverable } from '../../time/recovery.ts';
import type { EtcdConfig } from '../config.ts';
import { hostKey, hostPort, parseEndpoint } from '../endpoint-address.ts';
import { DeadlineError, type EtcdError } from '../errors.ts';
import type { ReceiveLimits } from '../wire/receive-budget.ts';
import { EndpointChannel, type EndpointChannelOptions } from './channel.ts';
import type { KeepaliveTimes } from './channel-silence.ts';
import type { Credentials } from './credentials.ts';
import type { DialPacing } from './dial-pacing.ts';
import type { HostLookup } from './host-lookup.ts';

export interface EndpointsOptions {
  /** Of the etcd, for messages. */
  readonly name: string;
  readonly config: EtcdConfig;
  readonly credentials: Credentials;
  readonly keepalive: KeepaliveTimes | undefined;
  readonly receive: ReceiveLimits | undefined;
  readonly strictServerNames: boolean;
  readonly pacing: DialPacing;
  readonly lookup: HostLookup;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** An endpoint and its channel, which is created on first use and again after it was retired. */
class Endpoint {
  readonly #options: EndpointChannelOptions;
  #channel: EndpointChannel | undefined;
  #isReplacement = false;

  constructor(options: EndpointChannelOptions) {
    this.#options = options;
  }

  get channel(): EndpointChannel {
    if (this.#channel === undefined) {
      this.#channel = new EndpointChannel({ ...this.#options, isReplacement: this.#isReplacement });
      this.#isReplacement = false;
    }
    return this.#channel;
  }

  get isReady(): boolean {
    return this.#channel?.isReady === true;
  }

  has(channel: EndpointChannel): boolean {
    return this.#channel === channel;
  }

  renew(): void {
    const channel = this.#channel;
    this.#channel = undefined;
    channel?.retire();
  }

  /** The same for a silent channel: a new connection detects immediately that the network has recovered. */
  replace(): void {
    this.#isReplacement = true;
    this.renew();
  }

  hurry(): void {
    this.#channel?.hurry();
  }

  close(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }
}

export class Endpoints implements Recoverable {
  readonly #all: readonly Endpoint[];
  /** Absent where no endpoint has TLS. */
  readonly #credentials: Credentials | undefined;
  readonly #listeners = new Set<() => void>();
  #at = 0;

  constructor(options: EndpointsOptions) {
    this.#credentials = options.config.endpoints.some((url) => parseEndpoint(url).secure) ? options.credentials : undefined;
    const isNeeded = () => !this.#all.some((endpoint) => endpoint.isReady);
    this.#all = channelOptionsOf(options).map(
      (channel, index) => new Endpoint({ ...channel, isNeeded, onRecovered: () => this.#recovered(index) }),
    );
  }

  /** Resolves once connections can be made. Rejects with CredentialsError while the TLS files are invalid. */
  async ready(): Promise<void> {
    if (this.#credentials?.isLoaded === false) await this.#credentials.load();
  }

  /** The channel in use. */
  get channel(): EndpointChannel {
    return this.#current.channel;
  }

  get #current(): Endpoint {
    return this.#all[this.#at] as Endpoint;
  }

  /** A request or stream of `channel` has failed by the fault of its endpoint: the next one is in use, if it is not already. */
  failed(channel: EndpointChannel, error: EtcdError): void {
    const endpoint = this.#all.find((each) => each.has(channel));
    if (endpoint === undefined) return;
    if (error instanceof DeadlineError && channel.isSilent) endpoint.replace();
    if (endpoint !== this.#current) return;
    this.#at = (this.#at + 1) % this.#all.length;
    this.#current.hurry();
  }

  /** Moves all users to new connections. */
  renew(): void {
    for (const endpoint of this.#all) endpoint.renew();
  }

  /** See Recoverable. */
  onRecovered(listener: () => void): () => void {
    // Each call counts, also those with the same function.
    const each = () => listener();
    this.#listeners.add(each);
    return () => void this.#listeners.delete(each);
  }

  /** Ends every pause now. */
  wake(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  close(): void {
    for (const endpoint of this.#all) endpoint.close();
  }

  #recovered(index: number): void {
    if (!this.#current.isReady) this.#at = index;
    this.wake();
  }
}

function channelOptionsOf({
  name,
  config,
  credentials,
  keepalive,
  receive,
  strictServerNames,
  pacing,
  lookup,
  random,
}: EndpointsOptions) {
  const dialled = config.endpoints.map((text) => {
    const { secure, host, port } = parseEndpoint(text);
    return {
      host,
      port,
      addresses: config.hostAliases?.get(hostKey(host)),
      authority: hostPort(host, port),
      credentials: secure ? credentials : undefined,
      skipVerify: config.skipVerify === true,
      name,
      strictServerNames,
      keepalive,
      receive,
      pacing,
      lookup,
    };
  });
  return shuffled(dialled, random);
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, rank: random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}
