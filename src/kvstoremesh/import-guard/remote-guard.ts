/**
 * Fourth stage: checks what the values of one remote claim.
 *
 * A value that would mislead agents is a finding: an identity outside the remote's range, a node or a service of another
 * cluster. With mode `drop` such a key is treated as absent, since agents would take an older value for the current one.
 * Addresses and pod CIDRs that two remotes claim are only reported: which remote is right is unknown here. Values that
 * cannot be read are counted and passed on; agents refuse them.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Logger } from '../../shared/process/log.ts';
import { destinationPrefix, MAPPINGS, type Mapping, type MappingName } from '../mappings.ts';
import type { Stage } from '../stage.ts';
import { addressKey } from './addresses.ts';
import { foreignIdentity, nodeClaim, type OwnerClaim, serviceClaim } from './claims.ts';
import type { DuplicateIps } from './duplicate-ips.ts';
import { type FindingKind, Findings } from './findings.ts';
import type { IdentityRange } from './identity-range.ts';
import type { PodCidrs } from './pod-cidrs.ts';
import type { ReadIdentities } from './read-identities.ts';

export const UNCHECKED_REASONS = ['undecodable', 'no-room'] as const;
export type UncheckedReason = (typeof UNCHECKED_REASONS)[number];

/** `warn`: findings are reported. `drop`: in addition, keys that claim to be another cluster's are not mirrored. */
export type ImportGuardMode = 'off' | 'warn' | 'drop';

/** State that the guards of all remotes share. */
export interface GuardedMesh {
  readonly mode: ImportGuardMode;
  readonly identities: IdentityRange;
  readonly duplicateIps: DuplicateIps;
  readonly podCidrs: PodCidrs;
  /** The name of the cluster with `id`, where it is one of this mesh. */
  nameOf(id: number): string | undefined;
  /** `name`, where a cluster of this mesh has it. */
  known(name: string): string | undefined;
}

export interface RemoteGuardOptions {
  readonly guard: GuardedMesh;
  /** The owner number of the claims; below 1024. */
  readonly owner: number;
  readonly cluster: string;
  readonly log: Logger;
  readonly onForgotten: () => void;
}

/** True where the key may be mirrored in every mode. */
type Judge = (key: EtcdKey, own: string, value: Buffer, listing: number) => boolean;

/** Keeps claims of one kind of keys beside its findings. */
interface ClaimKeeper {
  readonly keep?: (key: EtcdKey, own: string, listing: number) => void;
  readonly remove?: (key: EtcdKey, own: string, listing: number) => void;
  readonly begin?: () => void;
  readonly listed?: (listing: number) => void;
}

const DECIMAL = /^\d{1,15}$/;

export class RemoteGuard {
  readonly cluster: string;
  readonly findings: Findings;
  /** From the remote's cluster config; 0 before that was read. */
  clusterId = 0;
  readonly #options: RemoteGuardOptions;
  readonly #unchecked = new Map<UncheckedReason, number>();
  readonly #isAllowed = (id: number) => {
    const { identities } = this.#options.guard;
    return identities.isReserved(id) || identities.isOf(this.clusterId, id);
  };
  #dropped = 0;
  /** Listings of all kinds so far. */
  #listings = 0;

  constructor(options: RemoteGuardOptions) {
    this.cluster = options.cluster;
    this.#options = options;
    this.findings = new Findings(options.log);
  }

  /** Values that were dropped. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Values that could not be checked, or not completely. */
  unchecked(reason: UncheckedReason): number {
    return this.#unchecked.get(reason) ?? 0;
  }

  keyOf(name: MappingName, own: string): EtcdKey | undefined {
    const mapping = MAPPINGS.find((each) => each.name === name);
    return mapping && (`${destinationPrefix(mapping, this.cluster)}${own}` as EtcdKey);
  }

  /**
   * The stage before `next`, which receives mirrored keys; `next` itself for kinds that are not checked. `read`: of the value
   * that a stage before this one has read.
   */
  stage(mapping: Mapping, next: Stage, read?: ReadIdentities): Stage {
    switch (mapping.name) {
      case 'identities':
        return this.#guarded(mapping, next, 'identity-range', (key, own, _, listing) => this.#judgeIdentity(key, own, listing));
      case 'endpoints':
        return this.#guardedEndpoints(mapping, next, read);
      case 'nodes':
        return this.#guardedNodes(mapping, next);
      case 'services':
        return this.#guarded(mapping, next, 'foreign-cluster', (key, _, value, listing) =>
          this.#judgeOwner(key, serviceClaim(value, this.cluster, this.clusterId), listing),
        );
      default:
        return next;
    }
  }

  /** The remote is no longer configured. */
  forget(): void {
    this.#options.onForgotten();
    this.findings.clearAll();
  }

  #guardedEndpoints(mapping: Mapping, next: Stage, read: ReadIdentities | undefined): Stage {
    const { guard, owner } = this.#options;
    const { duplicateIps } = guard;
    const release = (own: string, listing: number) => {
      const address = addressKey(own);
      if (address !== undefined) duplicateIps.release(owner, address, listing);
    };
    const judge: Judge = (key, own, value, listing) => {
      const isFine = this.#judgeEndpoint(key, value, listing, read);
      const address = addressKey(own);
      if (!isFine && guard.mode === 'drop') release(own, listing);
      else if (address === undefined) this.#count('undecodable');
      else if (!duplicateIps.claim(owner, address, listing)) this.#count('no-room');
      return isFine;
    };
    return this.#guarded(mapping, next, 'identity-range', judge, {
      keep: (_, own, listing) => {
        const address = addressKey(own);
        if (address !== undefined) duplicateIps.claim(owner, address, listing);
      },
      remove: (_, own, listing) => release(own, listing),
      begin: () => duplicateIps.begin(owner),
      listed: (listing) => duplicateIps.sweep(owner, listing),
    });
  }

  #guardedNodes(mapping: Mapping, next: Stage): Stage {
    const { guard, owner } = this.#options;
    const { podCidrs } = guard;
    const judge: Judge = (key, _, value, listing) => {
      const claim = nodeClaim(value, this.cluster, this.clusterId);
      const isFine = this.#judgeOwner(key, claim, listing);
      const isDropped = !isFine && guard.mode === 'drop';
      if (claim?.isPartial) this.#count('undecodable');
      if (!podCidrs.set(owner, key, isDropped ? [] : (claim?.podCidrs ?? []), listing)) this.#count('no-room');
      return isFine;
    };
    return this.#guarded(mapping, next, 'foreign-cluster', judge, {
      keep: (key, _, listing) => podCidrs.keep(owner, key, listing),
      remove: (key) => podCidrs.remove(owner, key),
      listed: (listing) => podCidrs.sweep(owner, listing),
    });
  }

  #guarded(mapping: Mapping, next: Stage, kind: FindingKind, judge: Judge, claims: ClaimKeeper = {}): Stage {
    const prefix = destinationPrefix(mapping, this.cluster);
    const isDropping = this.#options.guard.mode === 'drop';
    const { findings } = this;
    let listing = 0;
    return {
      upsert: (key, value) => {
        const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value);
        const isFine = judge(key, key.slice(prefix.length), bytes, listing);
        if (isFine) findings.clear(kind, key);
        if (isFine || !isDropping) {
          next.upsert(key, value);
          return;
        }
        this.#dropped += 1;
        next.remove(key);
      },
      keep: (key) => {
        findings.keep(kind, key, listing);
        claims.keep?.(key, key.slice(prefix.length), listing);
        next.keep(key);
      },
      remove: (key) => {
        findings.clear(kind, key);
        claims.remove?.(key, key.slice(prefix.length), listing);
        next.remove(key);
      },
      interrupted: (reason) => {
        this.#listings += 1;
        listing = this.#listings;
        claims.begin?.();
        next.interrupted(reason);
      },
      listed: () => {
        findings.retain(kind, prefix, listing);
        claims.listed?.(listing);
        next.listed();
      },
    };
  }

  #judgeIdentity(key: EtcdKey, own: string, listing: number): boolean {
    if (!DECIMAL.test(own)) {
      this.#count('undecodable');
      return true;
    }
    const identity = Number(own);
    const { identities } = this.#options.guard;
    return identities.isOf(this.clusterId, identity) || this.#foundIdentity(key, identity, listing);
  }

  #judgeEndpoint(key: EtcdKey, value: Buffer, listing: number, read: ReadIdentities | undefined): boolean {
    const foreign = read?.has(value) ? read.foreign(this.#isAllowed) : foreignIdentity(value, this.#isAllowed);
    if (foreign === undefined) this.#count('undecodable');
    return typeof foreign !== 'number' || this.#foundIdentity(key, foreign, listing);
  }

  #judgeOwner(key: EtcdKey, claim: OwnerClaim | undefined, listing: number): boolean {
    if (claim === undefined) this.#count('undecodable');
    if (claim === undefined || !claim.isForeign) return true;
    const { guard } = this.#options;
    const byName = claim.name === undefined ? undefined : guard.known(claim.name);
    const byId = claim.id === undefined ? undefined : guard.nameOf(claim.id);
    this.findings.add('foreign-cluster', key, byName ?? byId, listing);
    return false;
  }

  #foundIdentity(key: EtcdKey, identity: number, listing: number): false {
    const { guard } = this.#options;
    const owner = guard.identities.ownerOf(identity);
    this.findings.add('identity-range', key, owner === undefined ? undefined : guard.nameOf(owner), listing);
    return false;
  }

  #count(reason: UncheckedReason): void {
    this.#unchecked.set(reason, this.unchecked(reason) + 1);
  }
}
