/** Faults of the Deployment, its Pods, its Service, its rights and the policies of its namespace. */
import { containerStatus, RULES } from '../doctor-fixture.ts';
import { apps, core, type Fault, NAME } from './fault.ts';

const DEPLOYMENT = 'Deployment NS/clustermesh-apiserver';
const PENDING = { containerStatuses: [] as object[] };

function podStatus(title: string, status: object, line: string, evidence: RegExp, remedy: RegExp): Fault {
  return {
    title,
    async plant(p) {
      await p.patch('west', `${core(p, 'pods', `${NAME}-0`)}/status`, { status: { ...PENDING, ...status } });
      await p.patch('west', `${apps(p, 'deployments', NAME)}/status`, { status: { readyReplicas: 0 } });
    },
    lines: [line],
    evidence,
    remedy,
    touches: ['pod'],
  };
}

const POD = `west: Pod NS/${NAME}-0`;

export const WORKLOAD_FAULTS: readonly Fault[] = [
  {
    title: 'the Deployment is missing',
    plant: (p) => p.delete('west', apps(p, 'deployments', NAME)),
    lines: [`error workload-exists: west: ${DEPLOYMENT}`],
    evidence: /does not exist/,
    remedy: /useAPIServer=true/,
    touches: ['pod', 'service', 'entries', 'references', 'rights', 'security', 'policy'],
  },
  {
    title: 'the Deployment has no replicas',
    async plant(p) {
      await p.patch('west', apps(p, 'deployments', NAME), { spec: { replicas: 0 } });
      await p.patch('west', `${apps(p, 'deployments', NAME)}/status`, { status: { replicas: 0, readyReplicas: 0 } });
    },
    lines: [`error workload-replicas: west: ${DEPLOYMENT}`],
    evidence: /0 replicas/,
    remedy: /scale deployment\/clustermesh-apiserver --replicas=1/,
    touches: ['pod'],
  },
  {
    title: 'the Deployment is not ready',
    plant: (p) => p.patch('west', `${apps(p, 'deployments', NAME)}/status`, { status: { readyReplicas: 0 } }),
    lines: [`error workload-ready: west: ${DEPLOYMENT}`],
    evidence: /0 of 1 Pods/,
    remedy: /logs deployment/,
    touches: ['pod'],
  },
  podStatus(
    'an image cannot be pulled',
    { containerStatuses: [containerStatus('apiserver', { waiting: { reason: 'ImagePullBackOff', message: 'not found' } })] },
    `error pod-image: ${POD}, container apiserver`,
    /ImagePullBackOff: not found/,
    /describe pod/,
  ),
  podStatus(
    'a container crashes',
    {
      containerStatuses: [
        containerStatus(
          'kvstoremesh',
          { waiting: { reason: 'CrashLoopBackOff' } },
          { lastState: { terminated: { reason: 'Error', exitCode: 1 } } },
        ),
      ],
    },
    `error pod-crash: ${POD}, container kvstoremesh`,
    /CrashLoopBackOff, last ended with Error \(status 1\)/,
    /logs clustermesh-apiserver-0 --container=kvstoremesh --previous/,
  ),
  podStatus(
    'a container needs more memory than its limit',
    {
      containerStatuses: [
        containerStatus(
          'etcd',
          { waiting: { reason: 'CrashLoopBackOff' } },
          { restartCount: 7, lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } } },
        ),
      ],
    },
    `error pod-memory: ${POD}, container etcd`,
    /7 restarts/,
    /resources\.limits\.memory/,
  ),
  podStatus(
    'the Pod cannot be scheduled',
    { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/2 nodes are available' }] },
    `error pod-scheduling: ${POD}`,
    /0\/2 nodes/,
    /describe pod/,
  ),
  {
    title: 'the Pods refer to a ConfigMap that does not exist',
    plant: (p) => p.delete('west', core(p, 'configmaps', 'clustermesh-remote-users')),
    lines: [`error pod-references: west: ${DEPLOYMENT}`],
    evidence: /ConfigMap .*\/clustermesh-remote-users/,
    remedy: /create configmap clustermesh-remote-users/,
    touches: ['references'],
  },
  {
    title: 'the ServiceAccount is missing',
    plant: (p) => p.delete('west', core(p, 'serviceaccounts', NAME)),
    lines: [`error pod-references: west: ${DEPLOYMENT}`],
    evidence: /ServiceAccount .*\/clustermesh-apiserver/,
    remedy: /create it/,
    touches: ['references'],
  },
  {
    title: 'Pod security rejects the Pods',
    plant: (p) =>
      p.patch('west', `/api/v1/namespaces/${p.mesh.namespace}`, {
        metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
      }),
    lines: ['error pod-security: west: Namespace NS'],
    evidence: /restricted rejects new Pods: allowPrivilegeEscalation is not false in container apiserver/,
    remedy: /label namespace .*=privileged/,
    touches: ['security'],
  },
  {
    title: 'the Service is missing',
    async plant(p) {
      await p.delete('west', core(p, 'services', NAME));
    },
    lines: [`error service-exists: west: Service NS/${NAME}`],
    evidence: /does not exist/,
    remedy: /helm upgrade/,
    touches: ['service'],
  },
  {
    title: 'the Service has no endpoint',
    plant: (p) =>
      p.patch('west', `/apis/discovery.k8s.io/v1/namespaces/${p.mesh.namespace}/endpointslices/${NAME}`, { endpoints: [] }),
    lines: [`error service-endpoints: west: Service NS/${NAME}`],
    evidence: /selector is .*k8s-app/,
    remedy: /patch service/,
    touches: ['endpoints'],
  },
  {
    title: 'the load balancer has no address',
    plant: (p) => p.patch('west', core(p, 'services', NAME), { spec: { type: 'LoadBalancer' } }),
    lines: [`error service-address: west: Service NS/${NAME}`],
    evidence: /has no address/,
    remedy: /describe service/,
    touches: ['service'],
  },
  {
    title: 'the MCS API is enabled, and a CRD of it is missing',
    async plant(p) {
      await p.config('west', { 'clustermesh-enable-mcs-api': 'true' });
    },
    lines: ['error custom-resources: west: CustomResourceDefinition serviceimports.multicluster.x-k8s.io'],
    evidence: /does not exist/,
    remedy: /mcsapi\.installCRDs/,
    touches: ['config clustermesh-enable-mcs-api'],
  },
  {
    title: 'the ClusterRole lacks a right',
    plant: (p) =>
      p.patch('west', `/apis/rbac.authorization.k8s.io/v1/clusterroles/${NAME}`, {
        rules: RULES.filter(({ resources }) => !resources.includes('endpointslices')),
      }),
    lines: [`error service-account-rights: west: ServiceAccount NS/${NAME}`],
    evidence: /list and watch of endpointslices\.discovery\.k8s\.io/,
    remedy: /edit clusterrole/,
    touches: ['rights'],
  },
  {
    title: 'a NetworkPolicy blocks port 2379',
    plant: (p) =>
      p.create('west', `/apis/networking.k8s.io/v1/namespaces/${p.mesh.namespace}/networkpolicies`, {
        metadata: { name: 'closed' },
        spec: {
          podSelector: { matchLabels: { 'k8s-app': NAME } },
          policyTypes: ['Ingress'],
          ingress: [{ from: [{ podSelector: {} }] }],
        },
      } as never),
    lines: ['error network-policy: west: Namespace NS'],
    evidence: /NetworkPolicy closed selects/,
    remedy: /port: 2379/,
    touches: ['policy'],
  },
];
