/** How long the export of many CiliumEndpoints takes, beside a client that only reads their pages. */
import { keyOf } from '../../src/shared/etcd/types.ts';
import type { KubeApiserver } from '../../test/support/kubernetes/kube-apiserver.ts';
import { until } from '../../test/support/until.ts';
import { fill } from '../ceiling.ts';
import { startEtcd } from '../etcd.ts';
import type { Figure, Row, RowContext, RunContext } from '../frame/row.ts';
import { memory } from '../usage.ts';
import { CLUSTER, endpoint, kubernetes, NAMESPACE, startExporter } from './kubernetes.ts';
import { exported } from './watching.ts';

const ENDPOINTS = 50_000;
/** As clients of Kubernetes list. */
const PAGE = 500;
const PATH = '/apis/cilium.io/v2/ciliumendpoints';
const BARE = 'a bare paged list';

/** The server with all endpoints. They are written where it keeps them: through its API that takes minutes. */
async function filled(context: RowContext): Promise<KubeApiserver> {
  const server = await kubernetes(context);
  await context.keep('endpoints', async () => {
    const entries = Iterator.from(Array.from({ length: ENDPOINTS }, (_, i) => i)).map((i) => ({
      key: keyOf(`/registry/cilium.io/ciliumendpoints/${NAMESPACE}/shop-${i}`),
      value: Buffer.from(JSON.stringify(endpoint(i))),
    }));
    await fill({ endpoints: [server.etcd.endpoint] } as Parameters<typeof fill>[0], entries);
    const remaining = `"remainingItemCount":${ENDPOINTS - 1}`;
    await until('the server has them', async () =>
      JSON.stringify(await server.requests.get(`${PATH}?limit=1`)).includes(remaining),
    );
    return { [Symbol.asyncDispose]: async () => undefined };
  });
  return server;
}

/** Seconds to read all pages, one after the other on one connection; nothing is parsed but the token of the next page. */
async function bareList(server: KubeApiserver): Promise<number> {
  const startMs = performance.now();
  let token = '';
  let items = 0;
  do {
    const answer = await server.requests.open('GET', `${PATH}?limit=${PAGE}&continue=${encodeURIComponent(token)}`);
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('latin1');
    token = /"continue":"([^"]+)"/.exec(body)?.[1] ?? '';
    items += body.split('"kind":"CiliumEndpoint"').length - 1;
  } while (token !== '');
  if (items !== ENDPOINTS) throw new Error(`${items} endpoints were listed instead of ${ENDPOINTS}`);
  return (performance.now() - startMs) / 1000;
}

async function run(context: RunContext): Promise<Figure[]> {
  const server = await filled(context);
  await using local = await startEtcd();
  await using daemon = await startExporter({ subject: context.subject, server, local });
  const endMs = await exported(local, CLUSTER, ['ip'], AbortSignal.any([context.signal, daemon.signal]));
  const { peakMegabytes } = await memory(daemon.pid);
  const seconds = (endMs - daemon.startedMs) / 1000;
  return [
    { name: 'start to canary', unit: 's', value: seconds, base: context.base(BARE), target: { of: 'ratio', atMost: 1.3 } },
    { name: 'peak memory', unit: 'MB', value: peakMegabytes, target: { of: 'value', atMost: 160 } },
  ];
}

export const ENDPOINTS_ROW: Row = {
  name: 'endpoints',
  measures: 'start of a clustermesh to the canary of 50,000 CiliumEndpoints of a real kube-apiserver',
  bases: async (context) => ({ [BARE]: await bareList(await filled(context)) }),
  run,
};
