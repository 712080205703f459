/** The ServiceAccount and what it may do. All of it is reading. */
import type { KubeObject, PolicyRule } from '../kube-object.ts';
import type { Values } from './options.ts';
import { isFrom } from './versions.ts';

const NAME = 'clustermesh-apiserver';
const RBAC = 'rbac.authorization.k8s.io';
const READING = ['get', 'list', 'watch'];

/** Without a role where no apiserver runs. */
export function account(values: Values): readonly KubeObject[] {
  const { namespace, externalKvstore } = values;
  const serviceAccount: KubeObject = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: NAME, namespace } };
  if (externalKvstore !== undefined) return [serviceAccount];
  const metadata = { name: NAME, labels: { 'app.kubernetes.io/part-of': 'cilium' } };
  return [
    serviceAccount,
    { apiVersion: `${RBAC}/v1`, kind: 'ClusterRole', metadata, rules: rules(values) },
    {
      apiVersion: `${RBAC}/v1`,
      kind: 'ClusterRoleBinding',
      metadata,
      roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: NAME } as KubeObject['roleRef'] & object,
      subjects: [{ kind: 'ServiceAccount', name: NAME, namespace }],
    },
  ];
}

function rules({ version, mcsapi }: Values): readonly PolicyRule[] {
  const reading = (group: string, ...resources: readonly string[]): PolicyRule => ({
    apiGroups: [group],
    resources,
    verbs: READING,
  });
  const slices = isFrom(version, '1.18') ? ['ciliumendpointslices'] : [];
  const endpoints = isFrom(version, '1.20') ? [] : ['endpoints'];
  return [
    reading('cilium.io', 'ciliumidentities', 'ciliumendpoints', 'ciliumnodes', ...slices),
    {
      apiGroups: ['apiextensions.k8s.io'],
      resources: ['customresourcedefinitions'],
      verbs: isFrom(version, '1.19') ? READING : ['list', 'watch'],
    },
    reading('', ...endpoints, 'namespaces', 'services'),
    reading('discovery.k8s.io', 'endpointslices'),
    ...(mcsapi ? [reading('multicluster.x-k8s.io', 'serviceexports')] : []),
  ];
}
