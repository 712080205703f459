/**
 * An API server with very many CiliumEndpoints, on a thread of its own: what its client's event loop
 * does can then be measured. Serves one shape of list, named by the data the worker is started with.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

export interface BulkServerData {
  readonly count: number;
  /** `whole`: the page size is ignored, as by a server that answers from memory. */
  readonly shape: 'pages' | 'whole' | 'stream';
}

const { count, shape } = workerData as BulkServerData;
const VERSION = '1000000';

const labels = Array.from({ length: 8 }, (_, n) => `k8s:example.org/label-${n}=some-value-of-it`);

function endpoint(n: number): object {
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumEndpoint',
    metadata: { name: `pod-${n}`, namespace: `ns-${n % 50}`, resourceVersion: String(n + 1), uid: `uid-${n}` },
    status: {
      encryption: {},
      'external-identifiers': { 'container-id': 'c'.repeat(64), 'pod-name': `ns-${n % 50}/pod-${n}` },
      identity: { id: 10_000 + (n % 500), labels },
      networking: { addressing: [{ ipv4: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}` }], node: '172.18.0.2' },
      'named-ports': [{ name: 'http', port: 8080, protocol: 'TCP' }],
      state: 'ready',
    },
  };
}

async function send(response: ServerResponse, from: number, to: number, text: (n: number) => string): Promise<void> {
  for (let n = from; n < to; n += 1) {
    if (!response.write(text(n))) await new Promise((resolve) => response.once('drain', resolve));
  }
}

async function list(response: ServerResponse, from: number, to: number): Promise<void> {
  const metadata = { resourceVersion: VERSION, continue: to < count ? String(to) : '' };
  response.write(`{"kind":"CiliumEndpointList","metadata":${JSON.stringify(metadata)},"items":[`);
  await send(response, from, to, (n) => (n === from ? '' : ',') + JSON.stringify(endpoint(n)));
  response.end(']}');
}

async function stream(response: ServerResponse): Promise<void> {
  await send(response, 0, count, (n) => `${JSON.stringify({ type: 'ADDED', object: endpoint(n) })}\n`);
  const metadata = { resourceVersion: VERSION, annotations: { 'k8s.io/initial-events-end': 'true' } };
  response.write(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n`);
}

const server = createServer((request, response) => {
  const { searchParams: query } = new URL(request.url ?? '/', 'http://bulk');
  if (query.has('sendInitialEvents') && shape !== 'stream') response.writeHead(400).end();
  else if (query.has('sendInitialEvents')) void stream(response);
  else if (query.has('watch')) response.flushHeaders();
  else {
    const from = Number(query.get('continue') ?? '0');
    const limit = shape === 'whole' ? count : Number(query.get('limit') ?? count);
    void list(response, from, Math.min(from + limit, count));
  }
});
server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));
