/** The report of `connect` and `disconnect` as text. */
import { stringify } from 'yaml';
import type { MeshReport } from './changes.ts';

/** Lines of clusters, checks, addresses and Secrets; then manifests or values, each as a YAML document. */
export function reportText(report: MeshReport): string {
  const { clusters, checks, destinations, secrets, verdict } = report;
  const lines = [
    ...clusters.map(({ context, name, id }) => `context ${context}: cluster ${name}, ID ${id}`),
    ...checks.map(({ severity, text, remedy }) => `${severity.padEnd(7)}  ${text}${remedy === '' ? '' : `; ${remedy}`}`),
    ...destinations.map(({ cluster, names, ips, port, reason }) => {
      return `addresses of ${cluster}: ${[...names, ...ips].join(', ')}, port ${port} (${reason})`;
    }),
    ...secrets.map(secretLine),
  ];
  if (verdict === 'refused') lines.push('nothing was changed');
  return `${lines.join('\n')}\n${documentsOf(secrets)}`;
}

function secretLine({ context, secret, outcome, set, removed, managedBy }: MeshReport['secrets'][number]): string {
  const where = `context ${context}: Secret ${secret}`;
  const what = [
    ...(set.length === 0 ? [] : [`set ${set.join(', ')}`]),
    ...(removed.length === 0 ? [] : [`remove ${removed.join(', ')}`]),
  ].join(', ');
  if (outcome === 'unchanged') return `${where}: unchanged`;
  if (outcome === 'written') return `${where}: changed (${what})`;
  if (outcome === 'upgraded') return `${where}: changed by helm upgrade (${what})`;
  if (outcome === 'dry-run') return `${where}: would change (${what})`;
  return `${where}: not changed (${what}), because ${managedBy} manages it and would undo the change; change its values instead`;
}

/** Both Secrets of a cluster follow from the same values, which are printed once. */
function documentsOf(secrets: MeshReport['secrets']): string {
  const texts = secrets.flatMap(({ context, outcome, manifest, values, chart, removed }) => {
    if (manifest !== undefined) return [`---\n# context ${context}; other keys of the Secret stay\n${yamlOf(manifest)}`];
    if (outcome === 'upgraded') return [];
    if (values !== undefined) return [`---\n# values of the chart ${chart} for context ${context}\n${yamlOf(values)}`];
    if (chart !== 'cilium' || removed.length === 0) return [];
    return [`---\n# context ${context}: remove ${removed.join(', ')} from clustermesh.config.clusters of the chart cilium\n`];
  });
  return [...new Set(texts)].join('');
}

function yamlOf(content: object): string {
  return stringify(content, { version: '1.1', lineWidth: 0, nullStr: 'null' });
}
