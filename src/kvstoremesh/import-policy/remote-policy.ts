/** The import policy of one remote: its rule, what that keeps out, and the stages that keys pass over one connection. */

import { MIRRORED_KINDS, type MirroredKind } from '../../shared/etcd/keyspace.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { ReadIdentities } from '../import-guard/read-identities.ts';
import { destinationPrefix, type Mapping } from '../mappings.ts';
import type { Stage } from '../stage.ts';
import { EndpointJudge } from './endpoint-judge.ts';
import { IdentityFollow } from './identities/identity-follow.ts';
import { IdentityUses } from './identities/identity-uses.ts';
import type { Judge } from './judge.ts';
import { judgeFor } from './judges.ts';
import { type PolicySection, PolicyStage } from './policy-stage.ts';
import { type CompiledRule, policyKind } from './rules/policy.ts';
import { PolicyTally } from './tally.ts';
import { WithdrawalOrder } from './withdrawal-order.ts';

/** What has changed with a rule: `decisions` need a new listing. */
export type RuleChange = 'nothing' | 'quota' | 'decisions';

export class RemotePolicy {
  readonly cluster: string;
  readonly tally: PolicyTally;
  #rule: CompiledRule | undefined;
  #run: PolicyRun | undefined;
  #uses: IdentityUses | undefined;
  readonly #listeners = new Set<(change: RuleChange) => void>();

  constructor(cluster: string, log: Logger) {
    this.cluster = cluster;
    this.tally = new PolicyTally(log);
  }

  /** Undefined where everything is imported. */
  get rule(): CompiledRule | undefined {
    return this.#rule;
  }

  /** Limits by the names of bounds; see RemoteBounds.setOwn. */
  get limits(): Readonly<Record<'keys' | 'bytes' | 'change-rate', number | undefined>> | undefined {
    const quota = this.#rule?.rule.quota;
    return quota && { keys: quota.keys, bytes: quota.bytes, 'change-rate': quota.changesPerSecond };
  }

  /** Tells the listeners what it changes. */
  set(rule: CompiledRule | undefined): void {
    const change = changeOf(this.#rule, rule);
    this.#rule = rule;
    if (change === 'decisions') {
      this.tally.restart();
      this.#uses = undefined;
    }
    if (change !== 'nothing') for (const listener of [...this.#listeners]) listener(change);
  }

  /** Calls `listener` for each change until the returned function is called. */
  onChange(listener: (change: RuleChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  imports(mapping: Mapping): boolean {
    return this.#rule?.imports(policyKind(mapping.name)) ?? true;
  }

  /** Keys of the kind may be kept out one by one. */
  decides(mapping: Mapping): boolean {
    const kind = policyKind(mapping.name);
    const rule = this.#rule;
    if (rule === undefined || !rule.imports(kind)) return false;
    if (kind === 'nodes') return rule.pods !== undefined || rule.nodes !== undefined;
    if (kind === 'identities') return rule.namespaces !== undefined || rule.followsEndpoints;
    if (kind === 'endpoints') return rule.namespaces !== undefined || rule.pods !== undefined || rule.nodes !== undefined;
    return rule.namespaces !== undefined || (kind !== 'serviceexports' && rule.backends !== undefined);
  }

  /** A connection begins, or a rule is applied: what `run` was before is over. */
  begin(options: PolicyRunOptions): PolicyRun | undefined {
    if (this.#rule === undefined) return undefined;
    this.#uses ??= new IdentityUses((identity) => this.#run?.follow.unused(identity));
    this.#run = new PolicyRun({ ...options, policy: this, rule: this.#rule, uses: this.#uses });
    return this.#run;
  }
}

function changeOf(before: CompiledRule | undefined, rule: CompiledRule | undefined): RuleChange {
  if (before === undefined && rule === undefined) return 'nothing';
  if (before === undefined || rule === undefined || !before.decidesLike(rule)) return 'decisions';
  return JSON.stringify(before.rule.quota) === JSON.stringify(rule.rule.quota) ? 'nothing' : 'quota';
}

export interface PolicyRunOptions {
  /** Kinds whose removals wait for each other; undefined where nothing is removed. */
  readonly ordered: readonly Mapping[] | undefined;
  /**
   * Of a first load, in which the publisher orders the listings: each is passed on at once, and a key that the rule keeps out and that
   * etcd holds from an earlier run stays until the turn of its kind, while this says that there is room for one more. Undefined
   * otherwise: a listing is passed on in the turn of its kind.
   */
  readonly hasRoom?: (() => boolean) | undefined;
  /** See UNUSED_IDENTITY_MS. */
  readonly unusedMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface PolicyStageParts {
  readonly section: PolicySection;
  readonly next: Stage;
  /** For the guard behind this stage; undefined where nothing is guarded. */
  readonly read?: ReadIdentities | undefined;
  /** Lists the kind again over the same connection. */
  readonly relist: () => void;
}

/** One rule over one connection. */
export class PolicyRun {
  /** See PolicyRunOptions. */
  readonly hasRoom: (() => boolean) | undefined;
  readonly order: WithdrawalOrder | undefined;
  readonly follow: IdentityFollow;
  readonly #options: PolicyRunOptions & {
    readonly policy: RemotePolicy;
    readonly rule: CompiledRule;
    readonly uses: IdentityUses;
  };

  constructor(
    options: PolicyRunOptions & { readonly policy: RemotePolicy; readonly rule: CompiledRule; readonly uses: IdentityUses },
  ) {
    const { ordered, clock, uses, unusedMs, signal } = options;
    this.#options = options;
    this.hasRoom = options.hasRoom;
    this.order = ordered && new WithdrawalOrder(ordered, clock);
    this.follow = new IdentityFollow({ uses, unusedMs, clock, signal });
  }

  /** The stage before `next`, which receives mirrored keys. */
  stage(mapping: Mapping, { section, next, relist, read = new ReadIdentities() }: PolicyStageParts): Stage {
    const { policy, rule, hasRoom, signal } = this.#options;
    const kind = policyKind(mapping.name);
    const judge: Judge = judgeFor(kind, rule, read);
    const prefix = destinationPrefix(mapping, policy.cluster);
    const options = {
      mapping,
      kind,
      prefix,
      judge,
      read,
      tally: policy.tally,
      section,
      order: this.order,
      hasRoom,
      signal,
      next,
    };
    if (!rule.followsEndpoints) return new PolicyStage(options);
    if (kind === 'identities') return this.follow.identityStage(options, relist);
    return judge instanceof EndpointJudge ? this.follow.endpointStage(options, judge) : new PolicyStage(options);
  }
}

/** What is imported of a kind, for people. */
export interface ImportedKind {
  readonly kind: MirroredKind;
  readonly imported: number;
  /** Keys that the remote has; undefined where the kind is not imported, and not read. */
  readonly of: number | undefined;
}

/** The kinds that the policy restricts. `imported`: the keys mirrored of a kind; undefined where the remote does not export it. */
export function importedKinds(
  policy: RemotePolicy,
  imported: (kind: MirroredKind) => number | undefined,
): readonly ImportedKind[] {
  const { rule, tally } = policy;
  if (rule === undefined) return [];
  return MIRRORED_KINDS.flatMap((kind): ImportedKind[] => {
    const count = imported(kind);
    if (!rule.imports(kind)) return [{ kind, imported: count ?? 0, of: undefined }];
    const refused = tally.refused(kind);
    return refused === 0 ? [] : [{ kind, imported: count ?? 0, of: (count ?? 0) + refused }];
  });
}
