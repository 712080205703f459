/** DNS for the Pods of the clusters, by the Kubernetes DNS specification: addresses of Services, and of named endpoints of them. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { KubernetesRequests } from '../kubernetes/kubernetes-requests.ts';
import { HOST_ADDRESS } from './node-network.ts';

const TYPE_A = 1;
const CLASS_IN = 1;
const NAME_ERROR = 3;
const SUFFIX = '.svc.cluster.local';

interface Service {
  readonly spec: { readonly clusterIP?: string };
}

interface EndpointSlices {
  readonly items: readonly {
    readonly endpoints?: readonly {
      readonly addresses: readonly string[];
      readonly hostname?: string;
      readonly conditions?: { readonly ready?: boolean };
    }[];
  }[];
}

/** Answers the Pods of a cluster from its API server; clusters are told apart by the address that asks. */
export class NameServer implements AsyncDisposable {
  readonly #socket: Socket = createSocket('udp4');
  readonly #clusters = new Map<string, KubernetesRequests>();

  static async start(): Promise<NameServer> {
    const server = new NameServer();
    server.#socket.on('message', (message, { address, port }) => {
      void server.#answer(message, address).then((answer) => server.#socket.send(answer, port, address));
    });
    server.#socket.bind(53, HOST_ADDRESS);
    await once(server.#socket, 'listening');
    return server;
  }

  /** `prefixes` are those of the addresses of its node and of its Pods. */
  serve(prefixes: readonly string[], requests: KubernetesRequests): void {
    for (const prefix of prefixes) this.#clusters.set(prefix, requests);
  }

  async #answer(query: Buffer, from: string): Promise<Buffer> {
    const { name, type, end } = questionOf(query);
    const requests = [...this.#clusters].find(([prefix]) => from.startsWith(prefix))?.[1];
    const found = requests === undefined ? undefined : await addressesOf(requests, name).catch(() => undefined);
    const records = type === TYPE_A ? (found ?? []) : [];
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8580 | (found === undefined ? NAME_ERROR : 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    return Buffer.concat([header, query.subarray(12, end), ...records.map(recordOf)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }
}

function questionOf(query: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** An A record of the name in the question. */
function recordOf(address: string): Buffer {
  const record = Buffer.alloc(16);
  record.writeUInt16BE(0xc00c, 0);
  record.writeUInt16BE(TYPE_A, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt32BE(1, 6);
  record.writeUInt16BE(4, 10);
  for (const [i, part] of address.split('.').entries()) record.writeUInt8(Number(part), 12 + i);
  return record;
}

/** Undefined where there is no such name. */
async function addressesOf(requests: KubernetesRequests, name: string): Promise<readonly string[] | undefined> {
  if (!name.endsWith(SUFFIX)) return undefined;
  const [namespace, service, hostname, ...more] = name.slice(0, -SUFFIX.length).split('.').toReversed();
  if (namespace === undefined || service === undefined || more.length > 0) return undefined;
  const object = (await requests.get(`/api/v1/namespaces/${namespace}/services/${service}`)) as Service | undefined;
  if (object === undefined) return undefined;
  const { clusterIP } = object.spec;
  if (hostname === undefined && clusterIP !== undefined && clusterIP !== 'None') return [clusterIP];
  const selector = encodeURIComponent(`kubernetes.io/service-name=${service}`);
  const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=${selector}`;
  const { items } = (await requests.get(path)) as EndpointSlices;
  const endpoints = items
    .flatMap(({ endpoints }) => endpoints ?? [])
    .filter((endpoint) => endpoint.conditions?.ready !== false && (hostname === undefined || endpoint.hostname === hostname));
  return endpoints.length === 0 ? undefined : endpoints.flatMap(({ addresses }) => addresses);
}
