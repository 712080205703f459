/** Resident memory of a clustermesh of a cluster without objects. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startEtcd } from '../etcd.ts';
import type { Figure, Row, RunContext } from '../frame/row.ts';
import { bareNode } from '../kvstoremesh/bare-node.ts';
import { cpuSeconds, memory } from '../usage.ts';
import { kubernetes, startExporter } from './kubernetes.ts';

const IDLE_MS = 10_000;

async function run(context: RunContext): Promise<Figure[]> {
  const server = await kubernetes(context);
  await using local = await startEtcd();
  await using daemon = await startExporter({ subject: context.subject, server, local });
  using bare = bareNode();
  const readyMs = (await daemon.ready()) - daemon.startedMs;
  const before = await cpuSeconds(daemon.pid);
  await sleep(IDLE_MS);
  const { residentMegabytes } = await memory(daemon.pid);
  const base = { name: 'Node alone', value: (await memory(bare.pid)).residentMegabytes };
  const cpu = (((await cpuSeconds(daemon.pid)) - before) / (IDLE_MS / 1000)) * 100;
  return [
    { name: 'resident', unit: 'MB', value: residentMegabytes, base, target: { of: 'value', atMost: 80 } },
    { name: 'CPU', unit: '% of a core', value: cpu },
    { name: 'to ready', unit: 'ms', value: readyMs },
  ];
}

export const EXPORTER_IDLE_ROW: Row = {
  name: 'exporter-idle',
  measures: 'resident memory of a clustermesh of a cluster without objects, 10 s after it was ready, and its processor time',
  run,
};
