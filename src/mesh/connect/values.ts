/** Values of the charts that have the effect of an entry, for Secrets that Helm manages. */
import type { Destination } from '../addresses.ts';

/** Undefined for a chart that is not known. */
export function valuesFor(chart: string, peers: ReadonlyMap<string, Destination>): object | undefined {
  const all = [...peers].map(([name, destination]) => [name, placeOf(destination)] as const);
  if (chart === 'clustermesh-apiserver') return { mesh: { clusters: Object.fromEntries(all) } };
  if (chart !== 'cilium') return undefined;
  return { clustermesh: { config: { enabled: true, clusters: all.map(([name, place]) => ({ name, ...place })) } } };
}

/** The values without `names`: with null, Helm removes a key of a map. */
export function removalValues(chart: string, names: readonly string[]): object | undefined {
  if (chart !== 'clustermesh-apiserver') return undefined;
  return { mesh: { clusters: Object.fromEntries(names.map((name) => [name, null])) } };
}

/** The charts have several IP addresses of a cluster, or one name. */
function placeOf({ names, ips, port }: Destination): object {
  return ips.length > 0 ? { ips, port } : { address: names[0] ?? '', port };
}
