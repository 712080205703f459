/**
 * After the story: the mesh keeps running, its changes are shown, and the demo still acts as the
 * controllers for deleted pods, and restarts dead processes.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { asError } from '../../src/shared/errors.ts';
import type { Mesh } from '../mesh/mesh.ts';
import type { EtcdBinary, SearchEnvironment } from '../mesh/processes/etcd-binary.ts';
import type { MeshProcess } from '../mesh/processes/mesh-process.ts';
import { runPodController } from '../mesh/workload/pod-controller.ts';
import { suggestions } from './suggestions.ts';
import { duration, type Terminal } from './terminal.ts';

const RESTART_DELAY_MS = 1_000;

/** Lines to try. */
export function suggest(mesh: Mesh, etcd: EtcdBinary, env: SearchEnvironment, terminal: Terminal): void {
  terminal.title('The mesh keeps running. Try:');
  for (const { what, commands } of suggestions(mesh, etcd, env)) {
    terminal.gap();
    terminal.paragraph(what);
    for (const command of commands) terminal.command(command);
  }
}

/** Shows what happens in the mesh; resolves when `interrupted` is aborted. */
export async function stayUp(mesh: Mesh, terminal: Terminal, interrupted: AbortSignal): Promise<void> {
  const stays = mesh.signal.aborted
    ? 'A process of the mesh has failed; it is left as it is'
    : 'Changes in both etcds are shown here';
  terminal.title(`${stays}. Ctrl-C stops the demo and removes everything.`);
  terminal.gap();
  for (const { name, observer } of mesh.clusters) {
    observer.onDataEvent(({ type, key }) => terminal.row(`${name}'s etcd  ${type === 'put' ? '+' : '−'} ${key}`));
  }
  mesh.tolerateEnds((process, error) => {
    terminal.row(`${error.message}, restarting it`);
    void startAgain(mesh, process, terminal, interrupted);
  });
  for (const { isEmbedded, kubernetes, workload } of mesh.clusters) {
    if (!isEmbedded) continue;
    runPodController(kubernetes, workload, interrupted).catch((thrown: unknown) => terminal.row(asError(thrown).message));
  }
  if (!interrupted.aborted) await new Promise((resolve) => interrupted.addEventListener('abort', resolve, { once: true }));
}

/** Never rejects. */
async function startAgain(mesh: Mesh, process: MeshProcess, terminal: Terminal, interrupted: AbortSignal): Promise<void> {
  try {
    await pause(RESTART_DELAY_MS, undefined, { signal: interrupted });
    const daemon = mesh.clusters
      .flatMap(({ apiserver, kvstoremesh }) => [apiserver, kvstoremesh])
      .find((each) => each.process === process);
    if (daemon === undefined) process.start();
    else terminal.row(`${process.name} is ready again after ${duration(await daemon.start())}`);
  } catch (thrown) {
    if (!interrupted.aborted) terminal.row(asError(thrown).message);
  }
}
