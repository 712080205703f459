/**
 * The endpoints of a cluster, one of which is in use.
 *
 * All requests and streams go to the endpoint in use until it fails; then the next one is, round and
 * round. The order is shuffled once, so that many clients do not meet at the first member of a list. A
 * host with static addresses counts as an endpoint for each of them.
 */
import { isIP } from 'node:net';
import type { Clock } from '../clock.ts';
import type { EtcdConfig } from './config.ts';
import type { Credentials } from './credentials.ts';
import { hostKey, hostPort, parseEndpoint } from './endpoint-address.ts';
import { DeadlineError, type EtcdError } from './errors.ts';
import { type KeepaliveTimes, Link, type LinkOptions } from './link.ts';
import type { ReceiveLimits } from './receive-budget.ts';

export interface EndpointsOptions {
  /** Of the etcd, for messages. */
  readonly name: string;
  readonly config: EtcdConfig;
  readonly credentials: Credentials;
  readonly keepalive: KeepaliveTimes | undefined;
  readonly receive: ReceiveLimits | undefined;
  readonly strictServerNames: boolean;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** An endpoint and its link, which is made when it is first asked for and again after it was retired. */
class Endpoint {
  readonly #options: LinkOptions;
  #link: Link | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get link(): Link {
    this.#link ??= new Link(this.#options);
    return this.#link;
  }

  get isReady(): boolean {
    return this.#link?.isReady === true;
  }

  has(link: Link): boolean {
    return this.#link === link;
  }

  renew(): void {
    const link = this.#link;
    this.#link = undefined;
    link?.retire();
  }

  close(): void {
    this.#link?.close();
    this.#link = undefined;
  }
}

export class Endpoints {
  readonly #all: readonly Endpoint[];
  readonly #clock: Clock;
  /** Absent where no endpoint has TLS. */
  readonly #credentials: Credentials | undefined;
  readonly #sleepers = new Set<() => void>();
  #at = 0;

  constructor(options: EndpointsOptions) {
    this.#clock = options.clock;
    this.#credentials = options.config.endpoints.some((url) => parseEndpoint(url).secure) ? options.credentials : undefined;
    this.#all = linkOptionsOf(options).map((link, index) => new Endpoint({ ...link, onRecovered: () => this.#recovered(index) }));
  }

  /** Resolves once connections can be made. Rejects with CredentialsError as long as the TLS files cannot be used. */
  async ready(): Promise<void> {
    if (this.#credentials?.isLoaded === false) await this.#credentials.load();
  }

  /** The link in use. */
  get link(): Link {
    return this.#current.link;
  }

  get #current(): Endpoint {
    return this.#all[this.#at] as Endpoint;
  }

  /** A request or stream of `link` has failed by the fault of its endpoint: the next one is in use, if it is not already. */
  failed(link: Link, error: EtcdError): void {
    const endpoint = this.#all.find((each) => each.has(link));
    if (endpoint === undefined) return;
    // Nothing else ends an attempt to connect to somebody who does not answer.
    if (error instanceof DeadlineError && !link.isReady) endpoint.renew();
    if (endpoint === this.#current) this.#at = (this.#at + 1) % this.#all.length;
  }

  /** Moves everybody to new connections. */
  renew(): void {
    for (const endpoint of this.#all) endpoint.renew();
  }

  /** Waits for `ms`, or until a lost connection is there again. Rejects with the signal's reason when it is aborted. */
  async pause(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const awake = new AbortController();
    const wake = () => awake.abort();
    this.#sleepers.add(wake);
    signal.addEventListener('abort', wake, { once: true });
    try {
      await this.#clock.sleep(ms, awake.signal);
    } catch (thrown) {
      signal.throwIfAborted();
      if (!awake.signal.aborted) throw thrown;
    } finally {
      this.#sleepers.delete(wake);
      signal.removeEventListener('abort', wake);
    }
  }

  /** Ends every pause now. */
  wake(): void {
    for (const wake of [...this.#sleepers]) wake();
  }

  close(): void {
    for (const endpoint of this.#all) endpoint.close();
  }

  #recovered(index: number): void {
    if (!this.#current.isReady) this.#at = index;
    this.wake();
  }
}

function linkOptionsOf({
  name,
  config,
  credentials,
  keepalive,
  receive,
  strictServerNames,
  clock,
  random,
}: EndpointsOptions): Omit<LinkOptions, 'onRecovered'>[] {
  const dialled = config.endpoints.flatMap((text) => {
    const { secure, host, port } = parseEndpoint(text);
    const addresses = config.hostAliases?.get(hostKey(host)) ?? [host];
    return addresses.map((address) => ({
      host,
      target: targetOf(address, port),
      authority: hostPort(host, port),
      credentials: secure ? credentials : undefined,
      skipVerify: config.skipVerify === true,
      name,
      strictServerNames,
      keepalive,
      receive,
      clock,
    }));
  });
  return shuffled(dialled, random);
}

function targetOf(address: string, port: number): string {
  const family = isIP(address);
  return `${family === 0 ? 'dns' : `ipv${family}`}:${hostPort(address, port)}`;
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, rank: random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}
