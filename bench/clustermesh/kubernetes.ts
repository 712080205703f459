/** A real kube-apiserver with the objects of a cluster, and a clustermesh that exports them into an etcd of its own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KubeApiserver, startKubeApiserver } from '../../test/support/kubernetes/kube-apiserver.ts';
import { type Daemon, startDaemon } from '../daemon.ts';
import type { Etcd } from '../etcd.ts';
import type { RowContext } from '../frame/row.ts';
import type { Subject } from '../frame/subjects.ts';

export const CLUSTER = 'east';
const CLUSTER_ID = 7;
/** The namespace of all objects. */
export const NAMESPACE = 'default';

const SHARED = { 'service.cilium.io/global': 'true' };

/** A server without objects; the same one for all programs of a row. */
export function kubernetes(context: RowContext): Promise<KubeApiserver> {
  return context.keep('kubernetes', () => startKubeApiserver());
}

export interface ExporterOptions {
  readonly subject: Subject;
  readonly server: KubeApiserver;
  readonly local: Etcd;
}

export async function startExporter({ subject, server, local }: ExporterOptions): Promise<Daemon> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-clustermesh-'));
  const kubeconfig = join(directory, 'kubeconfig');
  const config = join(directory, 'etcd.yaml');
  await writeFile(kubeconfig, server.kubeconfig);
  await writeFile(config, `endpoints:\n- ${local.endpoint}\n`);
  const daemon = await startDaemon({
    subject,
    command: 'clustermesh',
    flags: [
      ...[`--cluster-name=${CLUSTER}`, `--cluster-id=${CLUSTER_ID}`, `--k8s-kubeconfig-path=${kubeconfig}`],
      ...[`--kvstore-opt=etcd.config=${config}`, '--cluster-users-enabled=false'],
    ],
  });
  const remove = async () => {
    await daemon[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  };
  return { ...daemon, [Symbol.asyncDispose]: remove };
}

const address = (index: number) => `10.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

export function endpoint(index: number): object {
  const labels = ['k8s:app=shop', 'k8s:io.kubernetes.pod.namespace=default', 'k8s:io.cilium.k8s.policy.cluster=east'];
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumEndpoint',
    metadata: {
      ...{ name: `shop-${index}`, namespace: NAMESPACE, generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
      uid: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
      labels: { app: 'shop', 'pod-template-hash': '5d4f8c7b9d' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: `shop-${index}`, uid: `00000000-0000-4000-9000-${index}` }],
    },
    status: {
      ...{ id: 1 + (index % 4_000), state: 'ready', encryption: {}, 'service-account': 'shop' },
      'external-identifiers': { 'container-id': `${index}`, 'k8s-namespace': NAMESPACE, 'k8s-pod-name': `shop-${index}` },
      identity: { id: 458_752 + (index % 1_000), labels },
      networking: { addressing: [{ ipv4: address(index) }], node: `192.168.${(index >> 8) & 63}.${1 + (index % 250)}` },
      'named-ports': [{ name: 'http', port: 8080, protocol: 'TCP' }],
    },
  };
}

export function service(name: string): object {
  return {
    ...{ apiVersion: 'v1', kind: 'Service' },
    metadata: { name, namespace: NAMESPACE, annotations: SHARED },
    spec: { ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }], selector: { app: name } },
  };
}

/** A slice of the service with so many endpoints, of which `offset` sets the addresses. */
export function slice(service: string, index: number, endpoints: number, offset = 0): object {
  return {
    ...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4' },
    metadata: { name: `${service}-${index}`, namespace: NAMESPACE, labels: { 'kubernetes.io/service-name': service } },
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: Array.from({ length: endpoints }, (_, i) => ({
      addresses: [address(index * endpoints + i + (i === 0 ? offset : 0))],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: `worker-${i % 50}`,
      zone: 'zone-a',
    })),
  };
}

export const SERVICES = `/api/v1/namespaces/${NAMESPACE}/services`;
export const SLICES = `/apis/discovery.k8s.io/v1/namespaces/${NAMESPACE}/endpointslices`;
