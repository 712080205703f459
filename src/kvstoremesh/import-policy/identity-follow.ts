/**
 * Imports the identities of a remote that its imported endpoints use, over one connection.
 *
 * Identities and endpoints are read side by side, so either may come first. The value of an identity that nothing uses yet is
 * held, within a bound; beyond it the identities are listed again once a value is needed. In the local etcd an identity is
 * written before the first endpoint that uses it, and removed after the last one: endpoints wait until the write of their
 * identity is confirmed. A first load needs none of that: the publisher has its own order for it.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Clock } from '../../shared/time/clock.ts';
import type { IdentityUses } from './identity-uses.ts';
import type { EndpointJudge, PolicyRefusal } from './judges.ts';
import {
  ENDPOINT_WAIT_MS,
  MAX_FORGOTTEN_IDENTITIES,
  MAX_HELD_IDENTITIES,
  MAX_HELD_IDENTITY_BYTES,
  MAX_WAITING_ENDPOINT_BYTES,
  MAX_WAITING_ENDPOINTS,
} from './limits.ts';
import { PolicyStage, type PolicyStageOptions } from './policy-stage.ts';

/** Numbers below are the same in every cluster, and no cluster exports them. */
const FIRST_OF_A_CLUSTER = 256;
const DECIMAL = /^[1-9]\d{0,14}$/;

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
  readonly own: string;
  readonly value: Buffer;
  readonly round: number;
}

export class IdentityFollow {
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

  /** An endpoint that uses `identity` is imported. */
  admit(key: EtcdKey, own: string, identity: number, value: Buffer): void {
    this.leave(key);
    if (identity < FIRST_OF_A_CLUSTER) this.uses.delete(own);
    else {
      const isNew = this.uses.set(own, identity);
      if (isNew) {
        this.#unused.delete(identity);
        this.#identities?.use(identity);
      }
      if (this.#mustWait(identity, value.length)) {
        this.#waiting.set(key, { own, value: Buffer.from(value), round: this.#round });
        this.#waitingBytes += value.length;
        this.#startDraining();
        return;
      }
    }
    this.#endpoints?.pass(key, value);
  }

  /** The endpoint does not wait any more. */
  leave(key: EtcdKey): void {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    this.#waiting.delete(key);
    this.#waitingBytes -= waiting.value.length;
  }

  endpointsInterrupted(): void {
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

  #mustWait(identity: number, bytes: number): boolean {
    const identities = this.#identities;
    if (identities === undefined || this.#endpoints?.isSynced !== true || !identities.isSynced) return false;
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

/** What both stages have. */
class FollowStage extends PolicyStage {
  #isSynced = false;

  get isSynced(): boolean {
    this.#isSynced ||= this.options.section.stats.synced;
    return this.#isSynced;
  }

  /** See Section. */
  flushed(signal: AbortSignal): Promise<void> {
    return this.options.section.flushed(signal);
  }
}

export class IdentityStage extends FollowStage {
  readonly #follow: IdentityFollow;
  readonly #relist: () => void;
  readonly #held = new Map<number, Buffer>();
  #heldBytes = 0;
  /** They exist, and their value was not kept. */
  readonly #forgotten = new Set<number>();
  #isAnyForgotten = false;
  /** Some were forgotten before it was known which ones are used. */
  #isUndecided = false;
  #isListed = false;
  /** The end of a listing was not passed on yet. */
  #isDue = false;

  constructor(options: PolicyStageOptions, follow: IdentityFollow, relist: () => void) {
    super(options);
    this.#follow = follow;
    this.#relist = relist;
  }

  /** The local etcd does not have the identity, and is about to get it, or the remote may have it. */
  isPending(identity: number): boolean {
    const key = this.#keyOf(identity);
    const { section } = this.options;
    return section.compare(key, NO_VALUE) === 'absent' && (!this.#isListed || section.liveBytes(key) !== undefined);
  }

  /** An imported endpoint uses the identity now. */
  use(identity: number): void {
    const held = this.#held.get(identity);
    if (held !== undefined) this.#pass(this.#keyOf(identity), identity, held);
    else if (this.#isListed && (this.#forgotten.has(identity) || this.#isAnyForgotten) && !this.#isLive(identity)) this.#again();
  }

  /** Nothing uses the identity any more. It may be needed again. */
  retire(identity: number): void {
    if (!this.#isLive(identity)) return;
    this.#leaveOut(this.#keyOf(identity));
    this.#remember(identity);
  }

  /** The endpoints are known: what the listing has left open is decided. */
  decide(): void {
    if (!this.#isDue) return;
    this.#isDue = false;
    if (this.#isNeeded()) this.#again();
    else super.complete();
  }

  override keep(key: EtcdKey): void {
    this.refuse(key, key.slice(this.options.prefix.length), 'unreadable');
  }

  override interrupted(reason: string): void {
    this.#held.clear();
    this.#heldBytes = 0;
    this.#forgotten.clear();
    this.#isAnyForgotten = false;
    this.#isUndecided = false;
    this.#isListed = false;
    this.#isDue = false;
    this.#follow.identitiesInterrupted();
    super.interrupted(reason);
  }

  protected override accept(key: EtcdKey, own: string, value: Buffer): void {
    const identity = identityOf(own);
    if (this.#follow.uses.isUsed(identity) || this.#follow.isLeaving(identity)) {
      this.#pass(key, identity, value);
      return;
    }
    this.#leaveOut(key);
    if (identity > 0) this.#hold(key, identity, value);
  }

  protected override forget(_key: EtcdKey, own: string): void {
    this.#forget(identityOf(own));
  }

  protected override complete(): void {
    this.#isListed = true;
    this.#isDue = true;
    this.#follow.identitiesListed();
    if (this.#follow.areEndpointsListed) this.decide();
  }

  #leaveOut(key: EtcdKey): void {
    const { kind, tally, section, next } = this.options;
    tally.refuse(kind, key, 'unused', '', 0);
    if (section.liveBytes(key) !== undefined) next.remove(key);
  }

  #hold(key: EtcdKey, identity: number, value: Buffer): void {
    this.#forget(identity);
    if (this.#held.size < MAX_HELD_IDENTITIES && this.#heldBytes + value.length <= MAX_HELD_IDENTITY_BYTES) {
      this.#held.set(identity, Buffer.from(value));
      this.#heldBytes += value.length;
      return;
    }
    this.#remember(identity);
    if (this.#follow.areEndpointsListed) return;
    this.#isUndecided = true;
    // An endpoint that was not read yet may use it.
    this.options.next.keep(key);
  }

  #forget(identity: number): void {
    this.#heldBytes -= this.#held.get(identity)?.length ?? 0;
    this.#held.delete(identity);
    this.#forgotten.delete(identity);
  }

  #remember(identity: number): void {
    if (this.#forgotten.size < MAX_FORGOTTEN_IDENTITIES) this.#forgotten.add(identity);
    else this.#isAnyForgotten = true;
  }

  /** An imported endpoint uses an identity whose value was not kept. */
  #isNeeded(): boolean {
    if (this.#isAnyForgotten && this.#isUndecided) return true;
    return [...this.#forgotten].some((identity) => this.#follow.uses.isUsed(identity));
  }

  #again(): void {
    this.#isListed = false;
    this.#follow.identitiesInterrupted();
    this.#relist();
  }

  #pass(key: EtcdKey, identity: number, value: Buffer): void {
    this.#forget(identity);
    super.accept(key, '', value);
  }

  #isLive(identity: number): boolean {
    return this.options.section.liveBytes(this.#keyOf(identity)) !== undefined;
  }

  #keyOf(identity: number): EtcdKey {
    return `${this.options.prefix}${identity}` as EtcdKey;
  }
}

const NO_VALUE = Buffer.alloc(0);

/** 0 where the name of the key is no identity. */
function identityOf(own: string): number {
  return DECIMAL.test(own) ? Number(own) : 0;
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
    super.accept(key, '', value);
  }

  /** No endpoint waits. */
  finish(): void {
    this.#isComplete = true;
    super.complete();
    this.#follow.endpointsListed();
  }

  protected override accept(key: EtcdKey, own: string, value: Buffer): void {
    this.#follow.admit(key, own, this.#judge.identity, value);
  }

  protected override forget(key: EtcdKey, own: string): void {
    this.#follow.leave(key);
    this.#follow.uses.delete(own);
  }

  protected override complete(): void {
    this.#follow.uses.listed();
    if (!this.#follow.holdsEndpointListing()) this.finish();
  }
}
