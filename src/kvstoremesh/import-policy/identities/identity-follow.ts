/**
 * Imports the identities of a remote that its imported endpoints use, over one connection.
 *
 * Identities and endpoints are read side by side, so either may come first. The value of an identity that nothing uses yet is
 * held, within a bound; beyond it the identities are listed again once a value is needed. In the local etcd an identity is
 * written before the first endpoint that uses it, and removed after the last one: endpoints wait until the write of their
 * identity is confirmed. A first load needs none of that: the publisher has its own order for it.
 */
import type { EtcdKey } from '../../../shared/etcd/types.ts';
import type { Clock } from '../../../shared/time/clock.ts';
import type { EndpointJudge } from '../endpoint-judge.ts';
import { ENDPOINT_WAIT_MS, MAX_WAITING_ENDPOINT_BYTES, MAX_WAITING_ENDPOINTS } from '../limits.ts';
import type { PolicyStageOptions } from '../policy-stage.ts';
import { type EndpointsInUse, FollowStage, IdentityStage } from './identity-stage.ts';
import type { IdentityUses } from './identity-uses.ts';

/** Numbers below are the same in every cluster, and no cluster exports them. */
const FIRST_OF_A_CLUSTER = 256;

export interface IdentityFollowOptions {
  /** Outlives the connection, as the sections do. */
  readonly uses: IdentityUses;
  /** See UNUSED_IDENTITY_MS. */
  readonly unusedMs: number;
  readonly clock: Clock;
  /** Of the connection. */
  readonly signal: AbortSignal;
}

interface Waiting {
  readonly value: Buffer;
  readonly round: number;
}

export class IdentityFollow implements EndpointsInUse {
  readonly #options: IdentityFollowOptions;
  #identities: IdentityStage | undefined;
  #endpoints: EndpointStage | undefined;
  readonly #waiting = new Map<EtcdKey, Waiting>();
  #waitingBytes = 0;
  #round = 0;
  #isDraining = false;
  /** Resolves when the identities were listed. */
  #listed = Promise.withResolvers<void>();
  #areIdentitiesListed = false;
  #isEndpointListingDue = false;
  /** At the start of the last listing of the endpoints. */
  #wasSynced = false;
  readonly #unused = new Set<number>();
  #isSweeping = false;

  constructor(options: IdentityFollowOptions) {
    this.#options = options;
  }

  get uses(): IdentityUses {
    return this.#options.uses;
  }

  /** `relist`: lists the identities again, over the same connection. */
  identityStage(options: PolicyStageOptions, relist: () => void): IdentityStage {
    this.#identities = new IdentityStage(options, this, relist);
    return this.#identities;
  }

  endpointStage(options: PolicyStageOptions, judge: EndpointJudge): EndpointStage {
    this.#endpoints = new EndpointStage(options, this, judge);
    return this.#endpoints;
  }

  /** The endpoints of this connection were listed: it is known which identities are used. */
  get areEndpointsListed(): boolean {
    return this.#endpoints?.isComplete ?? false;
  }

  /** No imported endpoint uses the identity any more. */
  unused(identity: number): void {
    if (this.#options.signal.aborted) return;
    this.#unused.add(identity);
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    void this.#sweep().catch(() => undefined);
  }

  /** The identity stays although nothing uses it, for a while. */
  isLeaving(identity: number): boolean {
    return this.#unused.has(identity);
  }

  /** A listing of the identities begins, or is about to: it finds those that nothing uses. */
  identitiesInterrupted(): void {
    this.#unused.clear();
    if (this.#areIdentitiesListed) this.#listed = Promise.withResolvers<void>();
    this.#areIdentitiesListed = false;
  }

  identitiesListed(): void {
    this.#areIdentitiesListed = true;
    this.#listed.resolve();
  }

  /** An endpoint that uses `identity` is imported. Its address is `key` from `from` on. */
  admit(key: EtcdKey, from: number, identity: number, value: Buffer): void {
    this.leave(key);
    if (identity < FIRST_OF_A_CLUSTER) this.uses.delete(key, from);
    else {
      const isNew = this.uses.set(key, from, identity);
      if (isNew) {
        this.#unused.delete(identity);
        this.#identities?.use(identity);
      }
      if (this.#mustWait(identity, value.length)) {
        this.#waiting.set(key, { value: Buffer.from(value), round: this.#round });
        this.#waitingBytes += value.length;
        this.#startDraining();
        return;
      }
    }
    this.#endpoints?.pass(key, value);
  }

  /** The endpoint does not wait any more. */
  leave(key: EtcdKey): void {
    const waiting = this.#waiting.size === 0 ? undefined : this.#waiting.get(key);
    if (waiting === undefined) return;
    this.#waiting.delete(key);
    this.#waitingBytes -= waiting.value.length;
  }

  endpointsInterrupted(): void {
    this.#wasSynced = this.#areSynced;
    this.#waiting.clear();
    this.#waitingBytes = 0;
    this.#isEndpointListingDue = false;
  }

  /** True where the listing of the endpoints is passed on later, after those that wait. */
  holdsEndpointListing(): boolean {
    this.#isEndpointListingDue = this.#waiting.size > 0;
    return this.#isEndpointListingDue;
  }

  endpointsListed(): void {
    this.#identities?.decide();
  }

  get #areSynced(): boolean {
    return (this.#endpoints?.isSynced ?? false) && (this.#identities?.isSynced ?? false);
  }

  #mustWait(identity: number, bytes: number): boolean {
    const identities = this.#identities;
    if (identities === undefined || !(this.#wasSynced || (this.areEndpointsListed && this.#areSynced))) return false;
    if (this.#waiting.size >= MAX_WAITING_ENDPOINTS || this.#waitingBytes + bytes > MAX_WAITING_ENDPOINT_BYTES) return false;
    return identities.isPending(identity);
  }

  #startDraining(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    void this.#drain().catch(() => undefined);
  }

  /** Hands on what waits, as writes of identities are confirmed. Rejects when the connection ends. */
  async #drain(): Promise<void> {
    const { clock, signal } = this.#options;
    while (this.#waiting.size > 0) {
      const round = this.#round;
      this.#round += 1;
      const confirmed = this.#listed.promise.then(() => this.#identities?.flushed(signal));
      confirmed.catch(() => undefined);
      await Promise.race([confirmed, clock.sleep(ENDPOINT_WAIT_MS, signal)]);
      signal.throwIfAborted();
      for (const [key, { value, round: since }] of this.#waiting) {
        if (since > round) continue;
        this.leave(key);
        this.#endpoints?.pass(key, value);
      }
    }
    this.#isDraining = false;
    if (!this.#isEndpointListingDue) return;
    this.#isEndpointListingDue = false;
    this.#endpoints?.finish();
  }

  /** Removes identities that nothing has used for a while, after the removal of their endpoints. Rejects when the connection ends. */
  async #sweep(): Promise<void> {
    const { clock, signal, unusedMs } = this.#options;
    while (this.#unused.size > 0) {
      const due = [...this.#unused];
      await clock.sleep(unusedMs, signal);
      await this.#endpoints?.flushed(signal);
      for (const identity of due) if (this.#unused.delete(identity)) this.#identities?.retire(identity);
    }
    this.#isSweeping = false;
  }
}

export class EndpointStage extends FollowStage {
  readonly #follow: IdentityFollow;
  readonly #judge: EndpointJudge;
  #isComplete = false;

  constructor(options: PolicyStageOptions, follow: IdentityFollow, judge: EndpointJudge) {
    super(options);
    this.#follow = follow;
    this.#judge = judge;
  }

  /** A complete listing was passed on. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  override interrupted(reason: string): void {
    this.#follow.endpointsInterrupted();
    this.#follow.uses.begin();
    super.interrupted(reason);
  }

  /** The identity of the endpoint is written. */
  pass(key: EtcdKey, value: Buffer): void {
    super.accept(key, value);
  }

  /** No endpoint waits. */
  finish(): void {
    this.#isComplete = true;
    super.complete();
    this.#follow.endpointsListed();
  }

  protected override accept(key: EtcdKey, value: Buffer): void {
    this.#follow.admit(key, this.options.prefix.length, this.#judge.identity, value);
  }

  protected override forget(key: EtcdKey): void {
    this.#follow.leave(key);
    this.#follow.uses.delete(key, this.options.prefix.length);
  }

  protected override complete(): void {
    this.#follow.uses.listed();
    if (!this.#follow.holdsEndpointListing()) this.finish();
  }
}
