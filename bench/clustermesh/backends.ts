/** What a service with many backends costs while some of them change all the time, and how long a lone change takes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startEtcd } from '../etcd.ts';
import type { Figure, Row, RunContext } from '../frame/row.ts';
import { median } from '../report.ts';
import { CLUSTER, kubernetes, NAMESPACE, SERVICES, SLICES, service, slice, startExporter } from './kubernetes.ts';
import { eachPut, exported } from './watching.ts';

const NAME = 'large';
const SLICE_COUNT = 50;
const ENDPOINTS_PER_SLICE = 100;
const CHANGES_PER_SECOND = 10;
const SECONDS = 20;
const LONE_CHANGES = 5;
/** Longer than any change waits. */
const REST_MS = 1_500;

async function run(context: RunContext): Promise<Figure[]> {
  const server = await kubernetes(context);
  const { requests } = server;
  await context.keep('backends', async () => {
    await requests.create(SERVICES, service(NAME));
    for (let i = 0; i < SLICE_COUNT; i += 1) await requests.create(SLICES, slice(NAME, i, ENDPOINTS_PER_SLICE));
    return { [Symbol.asyncDispose]: async () => undefined };
  });
  await using local = await startEtcd();
  await using daemon = await startExporter({ subject: context.subject, server, local });
  const over = new AbortController();
  const signal = AbortSignal.any([context.signal, daemon.signal, over.signal]);
  await exported(local, CLUSTER, ['services', 'endpointslices'], signal);
  const totals = { writes: 0, bytes: 0, sliceBytes: 0, lastMs: 0 };
  const key = `cilium/state/services/v1/${CLUSTER}/${NAMESPACE}/${NAME}`;
  const puts = eachPut(local, 'cilium/state/', signal, (arrival) => {
    if (arrival.key === key) {
      totals.writes += 1;
      totals.bytes += arrival.value.length;
      totals.lastMs = arrival.ms;
    } else if (arrival.key.includes(`/${NAME}-`)) totals.sliceBytes += arrival.value.length;
    return false;
  });
  const endless = Promise.allSettled([puts]);
  let changes = 0;
  const change = async () => {
    changes += 1;
    const index = changes % SLICE_COUNT;
    const offset = 10_000 + context.round * 10_000 + (changes % 5_000);
    await requests.replace(`${SLICES}/${NAME}-${index}`, slice(NAME, index, ENDPOINTS_PER_SLICE, offset));
  };
  const lone: number[] = [];
  for (let i = 0; i < LONE_CHANGES; i += 1) {
    await sleep(REST_MS, undefined, { signal });
    const { writes } = totals;
    const startMs = performance.now();
    await change();
    while (totals.writes === writes) await sleep(1, undefined, { signal });
    lone.push(totals.lastMs - startMs);
  }
  await sleep(REST_MS, undefined, { signal });
  const before = { ...totals };
  const steadyMs = performance.now();
  for (let i = 0; i < CHANGES_PER_SECOND * SECONDS; i += 1) {
    await Promise.all([change(), sleep(1000 / CHANGES_PER_SECOND, undefined, { signal })]);
  }
  const elapsedSeconds = (performance.now() - steadyMs) / 1000;
  const per = (total: number) => total / elapsedSeconds;
  const figures: Figure[] = [
    {
      ...{ name: 'writes of the service', unit: 'writes/s', value: per(totals.writes - before.writes) },
      target: { of: 'value', atMost: 2.1 },
    },
    { name: 'bytes of the service', unit: 'MB/s', value: per(totals.bytes - before.bytes) / 1e6 },
    { name: 'bytes of its slices', unit: 'MB/s', value: per(totals.sliceBytes - before.sliceBytes) / 1e6 },
    { name: 'lone change, request to event', unit: 'ms', value: median(lone), target: { of: 'value', atMost: 100 } },
  ];
  over.abort(new Error('measured'));
  await endless;
  return figures;
}

export const BACKENDS_ROW: Row = {
  name: 'backends',
  measures: 'writes of a service of 5,000 backends of which ten change each second, and the time of a lone change',
  run,
};
