/** How long one Service's change takes from the watch of Kubernetes to an event of the local etcd. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startEtcd } from '../etcd.ts';
import type { Figure, Row, RunContext } from '../frame/row.ts';
import { quantile } from '../report.ts';
import { CLUSTER, kubernetes, NAMESPACE, SERVICES, service, startExporter } from './kubernetes.ts';
import { eachPut, exported } from './watching.ts';

const RATE = 100;
const SECONDS = 20;
const SERVICE_COUNT = 50;
/** An annotation is part of no exported value, a label is. */
const LABEL = 'change';

async function run(context: RunContext): Promise<Figure[]> {
  const server = await kubernetes(context);
  const { requests } = server;
  await context.keep('services', async () => {
    for (let i = 0; i < SERVICE_COUNT; i += 1) await requests.create(SERVICES, service(`shop-${i}`));
    return { [Symbol.asyncDispose]: async () => undefined };
  });
  await using local = await startEtcd();
  await using daemon = await startExporter({ subject: context.subject, server, local });
  const over = new AbortController();
  const signal = AbortSignal.any([context.signal, daemon.signal, over.signal]);
  await exported(local, CLUSTER, ['services'], signal);
  /** When the bare watch had each change, and etcd, by `performance.now`. */
  const watched = new Map<string, number>();
  const written = new Map<string, number>();
  const watch = watchServices(server, signal, (change, ms) => watched.set(change, ms));
  const puts = eachPut(local, `cilium/state/services/v1/${CLUSTER}/${NAMESPACE}/`, signal, ({ value, ms }) => {
    const change = /"change":"([^"]+)"/.exec(Buffer.from(value).toString())?.[1];
    if (change !== undefined) written.set(change, ms);
    return false;
  });
  const endless = Promise.allSettled([watch, puts]);
  const startMs = performance.now();
  const patches: Promise<unknown>[] = [];
  for (let i = 0; i < RATE * SECONDS; i += 1) {
    const waitMs = startMs + (i * 1000) / RATE - performance.now();
    if (waitMs > 0) await sleep(waitMs, undefined, { signal });
    const change = `${context.round}-${context.subject.name}-${i}`;
    const patch = { metadata: { labels: { [LABEL]: change } }, spec: { selector: { app: 'shop', [LABEL]: change } } };
    patches.push(requests.patch(`${SERVICES}/shop-${i % SERVICE_COUNT}`, 'merge-patch', patch));
  }
  await Promise.all(patches);
  await sleep(1_000, undefined, { signal });
  over.abort(new Error('measured'));
  await endless;
  const added = [...written].flatMap(([change, ms]) => {
    const seenMs = watched.get(change);
    return seenMs === undefined ? [] : [ms - seenMs];
  });
  if (added.length < RATE * SECONDS * 0.95) throw new Error(`${added.length} of ${RATE * SECONDS} changes were seen`);
  return [
    { name: 'p50 on top of the watch', unit: 'ms', value: quantile(added, 0.5) },
    { name: 'p99 on top of the watch', unit: 'ms', value: quantile(added, 0.99), target: { of: 'value', atMost: 4 } },
  ];
}

/** A second watch of the same objects, by a client that only reads: what the server itself takes. */
async function watchServices(
  server: Awaited<ReturnType<typeof kubernetes>>,
  signal: AbortSignal,
  onChange: (change: string, ms: number) => void,
): Promise<void> {
  const answer = await server.requests.open('GET', `${SERVICES}?watch=true&resourceVersion=0`);
  signal.addEventListener('abort', () => answer.destroy(), { once: true });
  let rest = '';
  for await (const chunk of answer) {
    const ms = performance.now();
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const change = /"change":"([^"]+)"/.exec(line)?.[1];
      if (change !== undefined) onChange(change, ms);
    }
  }
}

export const SERVICES_ROW: Row = {
  name: 'services',
  measures: 'a change of a Service, 100 a second, from a watch of kube-apiserver to a watch of the local etcd',
  run,
};
