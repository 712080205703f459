/** `GET /v1/import-guard`: the findings of the guard, key by key. The original has no such path. */
import { keyText } from '../../shared/etcd/types.ts';
import { MAX_LISTED_FINDINGS } from '../../shared/limits.ts';
import type { FindingKind, Findings } from './findings.ts';
import type { ImportGuardMode } from './remote-guard.ts';

export interface ImportGuardReport {
  readonly findings: readonly FindingReport[];
  readonly mode: ImportGuardMode;
  /** There are more findings than listed. */
  readonly truncated?: true;
}

export interface FindingReport {
  readonly cluster: string;
  /** The mirrored key. */
  readonly key: string;
  readonly kind: FindingKind;
  readonly 'other-cluster'?: string;
  readonly problem: string;
}

/** `remotes`: the findings of each cluster, by its name. */
export function importGuardReport(mode: ImportGuardMode, remotes: Iterable<readonly [string, Findings]>): ImportGuardReport {
  const findings: FindingReport[] = [];
  for (const [cluster, found] of remotes) {
    for (const { kind, key, otherCluster, problem } of found) {
      if (findings.length >= MAX_LISTED_FINDINGS) return { findings, mode, truncated: true };
      const other = otherCluster === undefined ? {} : { 'other-cluster': otherCluster };
      findings.push({ cluster, key: keyText(key), kind, ...other, problem });
    }
  }
  return { findings, mode };
}
