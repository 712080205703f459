/** `GET /v1/import-policy`: the rule of each remote, what it keeps out, and addresses outside of it. The original has no such path. */
import type { Finding } from '../../shared/diagnosis/finding.ts';
import type { MirroredKind } from '../../shared/etcd/keyspace.ts';
import { keyText } from '../../shared/etcd/types.ts';
import { importedText } from '../../shared/imported-text.ts';
import type { MappingName } from '../mappings.ts';
import { REFUSALS } from './judge.ts';
import { MAX_LISTED_ADDRESSES } from './limits.ts';
import { type ImportedKind, importedKinds, type RemotePolicy } from './remote-policy.ts';
import { policyKind } from './rules/policy.ts';

export interface ImportPolicyReport {
  readonly clusters: readonly PolicyClusterReport[];
  readonly outside: readonly OutsideReport[];
  /** There are more such addresses than listed. */
  readonly truncated?: true;
  /** What is wrong, or probably not meant: as the doctor prints it. */
  readonly problems: readonly Finding[];
}

export interface PolicyClusterReport {
  readonly cluster: string;
  /** The match of its rule; absent where everything is imported. */
  readonly match?: string;
  readonly kinds: readonly ImportedKindReport[];
  /** Keys and values refused since the start of the term, by reason; those that are 0 left out. */
  readonly refused: Readonly<Record<string, number>>;
}

export interface ImportedKindReport {
  readonly kind: MirroredKind;
  readonly imported: number;
  /** Keys of the remote; absent where the kind is not imported at all, and not read. */
  readonly of?: number;
}

export interface OutsideReport {
  readonly cluster: string;
  /** The mirrored key. */
  readonly key: string;
  readonly kind: MirroredKind;
  readonly rule: 'podCIDRs' | 'nodeCIDRs';
  readonly address: string;
}

/** What a report needs of a remote. */
export interface PolicyRemote {
  readonly name: string;
  readonly policy: RemotePolicy | undefined;
  readonly mirrors: readonly { readonly mapping: { readonly name: MappingName }; readonly count: number }[];
}

/** The kinds of a remote that its rule restricts. */
export function importedOf({ policy, mirrors }: PolicyRemote): readonly ImportedKind[] {
  if (policy === undefined) return [];
  return importedKinds(policy, (kind) => mirrors.find(({ mapping }) => policyKind(mapping.name) === kind)?.count);
}

/** `12,000 of 480,000 endpoints imported by policy`; undefined where everything is. */
export function importedTextOf(remote: PolicyRemote): string | undefined {
  return importedText(importedOf(remote));
}

export function importPolicyReport(remotes: readonly PolicyRemote[], problems: readonly Finding[] = []): ImportPolicyReport {
  const clusters = remotes.flatMap((remote) => (remote.policy === undefined ? [] : [clusterReport(remote, remote.policy)]));
  const outside: OutsideReport[] = [];
  for (const { name: cluster, policy } of remotes) {
    for (const { key, kind, list: rule, address } of policy?.tally.outside ?? []) {
      if (outside.length >= MAX_LISTED_ADDRESSES) return { clusters, outside, truncated: true, problems };
      outside.push({ cluster, key: keyText(key), kind, rule, address });
    }
  }
  return { clusters, outside, problems };
}

function clusterReport(remote: PolicyRemote, { rule, tally }: RemotePolicy): PolicyClusterReport {
  const refused = REFUSALS.map((reason) => [reason, tally.total(reason)] as const).filter(([, count]) => count > 0);
  return {
    cluster: remote.name,
    ...(rule === undefined ? {} : { match: rule.rule.match }),
    kinds: importedOf(remote).map(({ kind, imported, of }) => ({ kind, imported, ...(of === undefined ? {} : { of }) })),
    refused: Object.fromEntries(refused),
  };
}
