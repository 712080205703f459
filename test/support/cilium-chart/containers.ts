/** The containers of the Pod. */
import {
  apiserverArguments,
  etcdArguments,
  etcdinitArguments,
  HEALTH_PORTS,
  kvstoremeshArguments,
  METRICS_PORTS,
} from './arguments.ts';
import type { ChartContainer, EnvironmentVariable } from './kinds.ts';
import type { Values } from './options.ts';
import { isFrom } from './versions.ts';

const PROGRAM = ['/usr/bin/clustermesh-apiserver'];

export function initContainers(values: Values): readonly ChartContainer[] {
  if (values.externalKvstore !== undefined) return [];
  return [
    {
      ...common(values),
      name: 'etcd-init',
      command: PROGRAM,
      args: etcdinitArguments(values),
      env: [fromConfig('CILIUM_CLUSTER_NAME', 'cluster-name'), ...token(values)],
      volumeMounts: [{ name: 'etcd-data-dir', mountPath: '/var/run/etcd' }],
    },
  ];
}

export function containers(values: Values): readonly ChartContainer[] {
  const isInternal = values.externalKvstore === undefined;
  return [...(isInternal ? [etcd(values), apiserver(values)] : []), ...(values.kvstoremesh ? [kvstoremesh(values)] : [])];
}

function etcd(values: Values): ChartContainer {
  const address = isFrom(values.version, '1.18') ? [] : [fromField('HOSTNAME_IP', 'status.podIP')];
  return {
    ...common(values),
    name: 'etcd',
    command: ['/usr/bin/etcd'],
    args: etcdArguments(values),
    env: [{ name: 'ETCDCTL_API', value: '3' }, ...address, ...token(values)],
    ports: [port('etcd', 2379), ...metricsPort(values, 'etcd-metrics', METRICS_PORTS.etcd)],
    volumeMounts: [
      readOnly('etcd-server-secrets', '/var/lib/etcd-secrets'),
      { name: 'etcd-data-dir', mountPath: '/var/run/etcd' },
    ],
  };
}

function apiserver(values: Values): ChartContainer {
  const { version, authMode } = values;
  const allocation = isFrom(version, '1.16') ? [] : [fromConfig('IDENTITY_ALLOCATION_MODE', 'identity-allocation-mode')];
  return {
    ...common(values),
    name: 'apiserver',
    command: PROGRAM,
    args: apiserverArguments(values),
    env: [
      fromConfig('CLUSTER_NAME', 'cluster-name'),
      fromConfig('CLUSTER_ID', 'cluster-id', true),
      ...allocation,
      fromConfig('ENABLE_K8S_ENDPOINT_SLICE', 'enable-k8s-endpoint-slice', true),
    ],
    ...health(values, 'apiserv-health'),
    ports: [
      ...healthPort(values, 'apiserv-health', HEALTH_PORTS.apiserver),
      ...metricsPort(values, 'apiserv-metrics', METRICS_PORTS.apiserver),
    ],
    volumeMounts: [
      readOnly('etcd-admin-client', '/var/lib/cilium/etcd-secrets'),
      ...(authMode === 'legacy' ? [] : [readOnly('etcd-users-config', '/var/lib/cilium/etcd-config')]),
    ],
  };
}

function kvstoremesh(values: Values): ChartContainer {
  const isInternal = values.externalKvstore === undefined;
  const mesh = readOnly('kvstoremesh-secrets', '/var/lib/cilium/clustermesh');
  return {
    ...common(values),
    name: 'kvstoremesh',
    command: PROGRAM,
    args: kvstoremeshArguments(values),
    env: [fromConfig('CLUSTER_NAME', 'cluster-name'), fromConfig('CLUSTER_ID', 'cluster-id')],
    ...health(values, 'kvmesh-health'),
    ports: [
      ...healthPort(values, 'kvmesh-health', HEALTH_PORTS.kvstoremesh),
      ...metricsPort(values, 'kvmesh-metrics', METRICS_PORTS.kvstoremesh),
    ],
    volumeMounts: isInternal
      ? [readOnly('etcd-admin-client', '/var/lib/cilium/etcd-secrets'), mesh]
      : [mesh, readOnly('etcd-config', '/var/lib/cilium')],
  };
}

function common({ version, image, imagePullPolicy }: Values) {
  const isRestricted = isFrom(version, '1.16');
  return {
    image,
    imagePullPolicy,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    ...(isRestricted ? { securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } } : {}),
  };
}

function health({ version }: Values, name: string) {
  return isFrom(version, '1.16') ? { readinessProbe: { httpGet: { path: '/readyz', port: name } } } : {};
}

const port = (name: string, containerPort: number) => ({ name, containerPort, protocol: 'TCP' });

function healthPort({ version }: Values, name: string, number: number) {
  return isFrom(version, '1.16') ? [port(name, number)] : [];
}

function metricsPort({ metrics }: Values, name: string, number: number) {
  return metrics ? [port(name, number)] : [];
}

function token({ version }: Values): readonly EnvironmentVariable[] {
  return isFrom(version, '1.16') ? [fromField('INITIAL_CLUSTER_TOKEN', 'metadata.uid')] : [];
}

function fromConfig(name: string, key: string, optional = false): EnvironmentVariable {
  const reference = { name: 'cilium-config', key, ...(optional ? { optional } : {}) };
  return { name, valueFrom: { configMapKeyRef: reference } };
}

function fromField(name: string, fieldPath: string): EnvironmentVariable {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

const readOnly = (name: string, mountPath: string) => ({ name, mountPath, readOnly: true });
