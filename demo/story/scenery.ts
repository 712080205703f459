/** The environment of the story, printed before it starts. */

import type { Mesh } from '../mesh/mesh.ts';
import type { EtcdBinary } from '../mesh/processes/etcd-binary.ts';
import type { Terminal } from './terminal.ts';

/** The parts of both clusters, and where they are. */
export function introduce(mesh: Mesh, etcd: EtcdBinary, terminal: Terminal): void {
  const rows = mesh.clusters.flatMap(({ name, etcd: { endpoint }, kubernetes, isEmbedded, kubeconfig, statusUrl, pageUrl }) => [
    [name, `etcd ${etcd.version}`, endpoint],
    ['', `Kubernetes API, ${isEmbedded ? 'embedded' : 'real'}`, kubernetes.server],
    ['', 'kubeconfig', kubeconfig],
    ['', 'status of the mesh', statusUrl],
    ['', 'status page', pageUrl],
  ]);
  terminal.gap();
  for (const [name = '', part = '', place = ''] of rows) terminal.row(`${name.padEnd(7)}${part.padEnd(26)}${place}`);
  terminal.gap();
  terminal.remark('Open a status page in a browser and keep it open: it shows what happens without a reload.');
  if (mesh.clusters.every(({ isEmbedded }) => !isEmbedded)) return;
  terminal.remark(
    'The embedded Kubernetes API supports kubectl get, apply, watch and delete. It has no cluster: no ' +
      'pods run, and the demo acts as the controllers and agents.',
  );
}
