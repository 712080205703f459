/** The changes of all Secrets of a run, and its report. */
import type { Destination } from '../addresses.ts';
import type { Cluster } from '../cluster.ts';
import type { ChangeFlags } from '../flags.ts';
import { applyChange, type Entries, planChange, type SecretChange } from './peer-secrets.ts';
import type { Check } from './prerequisites.ts';

export interface MeshReport {
  /** `refused`: a check failed and nothing was written. `managed`: some Secrets are managed by another program. */
  readonly verdict: 'done' | 'refused' | 'managed';
  readonly clusters: readonly { readonly context: string; readonly name: string; readonly id: number }[];
  readonly checks: readonly Check[];
  readonly destinations: readonly (Destination & { readonly cluster: string })[];
  readonly secrets: readonly (SecretChange & { readonly values?: object })[];
}

/** Exit statuses. A failed run has another one. */
export const MESH_STATUS: Readonly<Record<MeshReport['verdict'], number>> = { done: 0, refused: 1, managed: 2 };

export interface MeshRun {
  readonly signal: AbortSignal;
}

/** Entries of one Secret. */
export interface Work {
  readonly cluster: Cluster;
  readonly secret: string;
  readonly entries: Entries;
  readonly values: (chart: string) => object | undefined;
}

/** A cluster with a managed Secret is left as it is as a whole. */
export async function changed(work: readonly Work[], dryRun: ChangeFlags['dryRun']): Promise<MeshReport['secrets']> {
  const plans = await Promise.all(
    work.map(async (each) => ({ each, plan: await planChange(each.cluster, each.secret, each.entries) })),
  );
  const managed = new Set(plans.filter(({ plan }) => plan.outcome === 'managed').map(({ each }) => each.cluster));
  const results: (SecretChange & { values?: object })[] = [];
  for (const { each, plan } of plans) {
    if (plan.outcome === 'managed') {
      const values = plan.chart === undefined ? undefined : each.values(plan.chart);
      results.push({ ...plan, ...(values === undefined ? {} : { values }) });
    } else if (!managed.has(each.cluster)) {
      results.push(await applyChange(each.cluster, each.secret, each.entries, dryRun));
    }
  }
  return results;
}

export function finished(report: Omit<MeshReport, 'verdict' | 'secrets'>, secrets: MeshReport['secrets']): MeshReport {
  const isManaged = secrets.some(({ outcome }) => outcome === 'managed');
  return { verdict: isManaged ? 'managed' : 'done', ...report, secrets };
}

export function clusterLine({ context, identity }: Cluster) {
  return { context, name: identity.name, id: identity.id };
}
