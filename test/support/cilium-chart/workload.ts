/** The Deployment and its Services. */
import type { KubeObject } from '../kube-object.ts';
import { METRICS_PORTS } from './arguments.ts';
import type { Values } from './options.ts';
import { podSpec } from './pod.ts';
import { isFrom } from './versions.ts';

const SELECTOR = { 'k8s-app': 'clustermesh-apiserver' };
const PATCHES = { '1.15': 19, '1.16': 19, '1.17': 10, '1.18': 5, '1.19': 6, '1.20': 0 } as const;

function labels({ version }: Values): Readonly<Record<string, string>> {
  return {
    ...SELECTOR,
    'app.kubernetes.io/name': 'clustermesh-apiserver',
    'app.kubernetes.io/part-of': 'cilium',
    ...(isFrom(version, '1.20') ? { 'helm.sh/chart': `cilium-${version}.${PATCHES[version]}` } : {}),
  };
}

export function deployment(values: Values): KubeObject {
  const { version, namespace, replicas } = values;
  const annotations = isFrom(version, '1.18') ? { 'kubectl.kubernetes.io/default-container': 'apiserver' } : {};
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'clustermesh-apiserver', namespace, labels: labels(values) },
    spec: {
      replicas,
      selector: { matchLabels: SELECTOR },
      strategy: strategy(values),
      template: { metadata: { annotations, labels: labels(values) }, spec: podSpec(values) },
    },
  };
}

function strategy({ version, externalKvstore }: Values): object {
  if (externalKvstore !== undefined) return { type: 'Recreate' };
  const rollingUpdate = isFrom(version, '1.16') ? { maxSurge: 1, maxUnavailable: 0 } : { maxUnavailable: 1 };
  return { type: 'RollingUpdate', rollingUpdate };
}

export function services(values: Values): readonly KubeObject[] {
  const { version, namespace, service, replicas, externalKvstore, metrics, kvstoremesh } = values;
  const isInternal = externalKvstore === undefined;
  const affinity = isFrom(version, '1.16') && replicas > 1 ? { sessionAffinity: 'ClientIP' } : {};
  const nodePort = service.type === 'NodePort' && service.nodePort !== undefined ? { nodePort: service.nodePort } : {};
  const outside = service.type === 'ClusterIP' ? {} : { externalTrafficPolicy: 'Cluster' };
  const client: KubeObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'clustermesh-apiserver', namespace, labels: labels(values) },
    spec: {
      type: service.type,
      selector: SELECTOR,
      ports: [{ port: 2379, ...nodePort }],
      ...outside,
      internalTrafficPolicy: 'Cluster',
      ...affinity,
    },
  };
  const port = (name: string, number: number) => ({ name, port: number, protocol: 'TCP', targetPort: name });
  const scraped: KubeObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'clustermesh-apiserver-metrics',
      namespace,
      labels: { ...labels(values), 'app.kubernetes.io/component': 'metrics' },
    },
    spec: {
      clusterIP: 'None',
      type: 'ClusterIP',
      selector: SELECTOR,
      ports: [
        ...(isInternal ? [port('apiserv-metrics', METRICS_PORTS.apiserver)] : []),
        ...(kvstoremesh ? [port('kvmesh-metrics', METRICS_PORTS.kvstoremesh)] : []),
        ...(isInternal ? [port('etcd-metrics', METRICS_PORTS.etcd)] : []),
      ],
    },
  };
  return [...(isInternal ? [client] : []), ...(metrics ? [scraped] : [])];
}
