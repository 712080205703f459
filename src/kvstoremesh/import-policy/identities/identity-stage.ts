/** The stage of identities that follow the endpoints: what is used passes, what is not is held or forgotten. */
import type { EtcdKey } from '../../../shared/etcd/types.ts';
import { MAX_FORGOTTEN_IDENTITIES, MAX_HELD_IDENTITIES, MAX_HELD_IDENTITY_BYTES } from '../limits.ts';
import { PolicyStage, type PolicyStageOptions } from '../policy-stage.ts';
import type { IdentityUses } from './identity-uses.ts';

const DECIMAL = /^[1-9]\d{0,14}$/;

/** What the stage knows of the endpoints, and tells. */
export interface EndpointsInUse {
  readonly uses: IdentityUses;
  /** The endpoints of this connection were listed: it is known which identities are used. */
  readonly areEndpointsListed: boolean;
  /** The identity stays although nothing uses it, for a while. */
  isLeaving(identity: number): boolean;
  /** A listing of the identities begins, or is about to: it finds those that nothing uses. */
  identitiesInterrupted(): void;
  identitiesListed(): void;
}

/** What both stages have. */
export class FollowStage extends PolicyStage {
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
  readonly #follow: EndpointsInUse;
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

  constructor(options: PolicyStageOptions, follow: EndpointsInUse, relist: () => void) {
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
    else if (this.#isListed && !this.#isDue && this.#isForgotten(identity) && !this.#isLive(identity)) this.#again();
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
    this.refuse(key, 'unreadable');
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

  protected override accept(key: EtcdKey, value: Buffer): void {
    const identity = this.#identityOf(key);
    if (this.#follow.uses.isUsed(identity) || this.#follow.isLeaving(identity)) {
      this.#pass(key, identity, value);
      return;
    }
    this.#leaveOut(key);
    if (identity > 0) this.#hold(key, identity, value);
  }

  protected override forget(key: EtcdKey): void {
    this.#forget(this.#identityOf(key));
  }

  protected override complete(): void {
    this.#isListed = true;
    this.#isDue = true;
    this.#follow.identitiesListed();
    if (this.#follow.areEndpointsListed) this.decide();
  }

  #leaveOut(key: EtcdKey): void {
    const { kind, tally, section, next } = this.options;
    if (this.#follow.areEndpointsListed) tally.refuse(kind, key, 'unused', '', 0);
    else tally.exclude(kind, key);
    if (!this.withhold(key) && section.liveBytes(key) !== undefined) next.remove(key);
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
    if (!this.isWithheld(key)) this.options.next.keep(key);
  }

  #forget(identity: number): void {
    this.#heldBytes -= this.#held.get(identity)?.length ?? 0;
    this.#held.delete(identity);
    this.#forgotten.delete(identity);
  }

  #isForgotten(identity: number): boolean {
    return this.#forgotten.has(identity) || this.#isAnyForgotten;
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
    super.accept(key, value);
  }

  #isLive(identity: number): boolean {
    const key = this.#keyOf(identity);
    return this.options.section.liveBytes(key) !== undefined && !this.isWithheld(key);
  }

  /** 0 where the name of the key is no identity. */
  #identityOf(key: EtcdKey): number {
    const own = key.slice(this.options.prefix.length);
    return DECIMAL.test(own) ? Number(own) : 0;
  }

  #keyOf(identity: number): EtcdKey {
    return `${this.options.prefix}${identity}` as EtcdKey;
  }
}

const NO_VALUE = Buffer.alloc(0);
