/** The rules of the chart as Prometheus reads them. */
import type { KubeObject } from '../../support/kube-object.ts';
import { type Helm, objectsOf, type Values } from '../rendered/helm.ts';

export interface Rule {
  /** Of an alert. */
  readonly alert?: string;
  /** Of a recording rule. */
  readonly record?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Group {
  readonly name: string;
  readonly rules: readonly Rule[];
}

type PrometheusRule = KubeObject & { readonly spec: { readonly groups: readonly Group[] } };

/** The groups of the PrometheusRule that the chart makes of `metrics`; none where it makes no such object. */
export async function renderedGroups(helm: Helm, metrics: Values = {}): Promise<readonly Group[]> {
  const rendered = await helm.template({
    tls: { method: 'provided' },
    metrics: { ...metrics, prometheusRule: { enabled: true, ...(metrics.prometheusRule as Values | undefined) } },
  });
  const rule = objectsOf(rendered).find(({ kind }) => kind === 'PrometheusRule') as PrometheusRule | undefined;
  return rule?.spec.groups ?? [];
}

export const rulesOf = (groups: readonly Group[]) => groups.flatMap(({ rules }) => rules);

/** The series that an expression reads, by the prefixes of those that the Pods export; those of a histogram as it has them. */
export function seriesOf(expr: string): readonly string[] {
  return [...new Set(expr.match(/\b(?:cilium|etcd|process|nodejs)_\w+/g) ?? [])];
}
