/**
 * What each cluster sees of the services of both, as a picture: a dot for each pod.
 */
import type { Cluster } from '../mesh/cluster.ts';
import { serviceKey } from '../mesh/etcd-contents/exported-state.ts';
import type { Mesh } from '../mesh/mesh.ts';
import type { ServiceSpec } from '../mesh/workload/manifests.ts';

export const LEGEND = '● a pod of the cluster itself   ○ a pod of the other cluster, learned through the mesh';

interface Seen {
  readonly own: number;
  readonly remote: number;
}

export interface ServiceRow {
  readonly service: string;
  readonly east: Seen;
  readonly west: Seen;
  /** Why it is seen so. */
  readonly why: string;
}

const MAX_DOTS = 8;

/** The current services: local pods as deployed, the others from the cluster's etcd. */
export function serviceRows(mesh: Mesh): ServiceRow[] {
  const deployed = mesh.clusters.flatMap(({ workload }) => [...workload.services.keys()]);
  return [...new Set(deployed)].sort().map((service) => ({
    service,
    east: seen(mesh, mesh.east, service),
    west: seen(mesh, mesh.west, service),
    why: why((mesh.east.workload.services.get(service) ?? mesh.west.workload.services.get(service))?.spec),
  }));
}

/** A heading and a line for each service. */
export function serviceTable(rows: readonly ServiceRow[]): string[] {
  if (rows.length === 0) return ['no service in either cluster'];
  const cells = rows.map(({ service, east, west, why }) => [service, dots(east), dots(west), why]);
  const all = [['service', 'east sees', 'west sees', ''], ...cells];
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd(),
  );
}

function seen(mesh: Mesh, cluster: Cluster, service: string): Seen {
  return {
    own: cluster.workload.services.get(service)?.pods.length ?? 0,
    remote: mesh.knownTo(cluster).get(serviceKey(service))?.addresses.length ?? 0,
  };
}

function dots({ own, remote }: Seen): string {
  const drawn = (dot: string, count: number) => (count > MAX_DOTS ? `${count}×${dot}` : dot.repeat(count));
  return [drawn('●', own), drawn('○', remote)].filter((part) => part !== '').join(' ') || '–';
}

function why(spec: ServiceSpec | undefined): string {
  if (spec === undefined) return '';
  if (!spec.shared) return 'shared: "false", not exported';
  if (spec.affinity === 'local') return 'global; agents prefer ●, the export is the same';
  return 'global, used from both sides';
}
