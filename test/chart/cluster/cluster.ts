/** A real kube-apiserver as a cluster to install the chart in: kinds of others that it makes objects of, and what is there. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KubeApiserver, startKubeApiserver } from '../../support/kubernetes/kube-apiserver.ts';
import type { KubernetesRequests } from '../../support/kubernetes/kubernetes-requests.ts';
import { until } from '../../support/until.ts';
import { type KubeObject, NAMESPACE } from '../rendered/helm.ts';

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

const text = { type: 'string' };
const texts = { type: 'array', items: text };
const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const mappings = { type: 'array', items: anything };

/** The fields that the chart may set; a field that is not named here is refused. */
const SERVICE_MONITOR = {
  selector: { type: 'object', properties: { matchLabels: { type: 'object', additionalProperties: text } } },
  namespaceSelector: { type: 'object', properties: { matchNames: texts } },
  endpoints: {
    type: 'array',
    items: {
      type: 'object',
      properties: {
        port: text,
        path: text,
        interval: { type: 'string', pattern: '^\\d+[smh]$' },
        scrapeTimeout: { type: 'string', pattern: '^\\d+[smh]$' },
        honorLabels: { type: 'boolean' },
        relabelings: mappings,
        metricRelabelings: mappings,
      },
    },
  },
};

const duration = { type: 'string', pattern: '^\\d+[smhd]$' };
const labels = { type: 'object', additionalProperties: text };

const PROMETHEUS_RULE = {
  groups: {
    type: 'array',
    items: {
      type: 'object',
      required: ['name'],
      properties: {
        name: text,
        rules: {
          type: 'array',
          items: {
            type: 'object',
            required: ['expr'],
            properties: { alert: text, record: text, expr: text, for: duration, labels, annotations: labels },
          },
        },
      },
    },
  },
};

const CERTIFICATE = {
  secretName: text,
  commonName: { type: 'string', maxLength: 64 },
  dnsNames: texts,
  ipAddresses: texts,
  duration: text,
  renewBefore: text,
  usages: {
    type: 'array',
    items: { enum: ['digital signature', 'key encipherment', 'server auth', 'client auth'], type: 'string' },
  },
  subject: anything,
  privateKey: {
    type: 'object',
    properties: {
      algorithm: { type: 'string', enum: ['RSA', 'ECDSA', 'Ed25519'] },
      rotationPolicy: { type: 'string', enum: ['Never', 'Always'] },
      size: { type: 'integer' },
      encoding: text,
    },
  },
  issuerRef: { type: 'object', required: ['name'], properties: { name: text, kind: text, group: text } },
};

function definition(group: string, kind: string, fields: object): object {
  const plural = `${kind.toLowerCase()}s`;
  const schema = { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: fields } } } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  };
}

/** The kinds that a chart may make objects of, by plural. */
const PLURALS: Readonly<Record<string, string>> = {
  Certificate: 'certificates',
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
  ConfigMap: 'configmaps',
  CronJob: 'cronjobs',
  Deployment: 'deployments',
  Job: 'jobs',
  NetworkPolicy: 'networkpolicies',
  PersistentVolumeClaim: 'persistentvolumeclaims',
  Pod: 'pods',
  PodDisruptionBudget: 'poddisruptionbudgets',
  PrometheusRule: 'prometheusrules',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  Secret: 'secrets',
  Service: 'services',
  ServiceAccount: 'serviceaccounts',
  ServiceMonitor: 'servicemonitors',
  StatefulSet: 'statefulsets',
};

const VERSIONS: Readonly<Record<string, string>> = {
  Certificate: 'cert-manager.io/v1',
  ClusterRole: 'rbac.authorization.k8s.io/v1',
  ClusterRoleBinding: 'rbac.authorization.k8s.io/v1',
  ConfigMap: 'v1',
  CronJob: 'batch/v1',
  Deployment: 'apps/v1',
  Job: 'batch/v1',
  NetworkPolicy: 'networking.k8s.io/v1',
  PersistentVolumeClaim: 'v1',
  PodDisruptionBudget: 'policy/v1',
  PrometheusRule: 'monitoring.coreos.com/v1',
  Role: 'rbac.authorization.k8s.io/v1',
  RoleBinding: 'rbac.authorization.k8s.io/v1',
  Secret: 'v1',
  Service: 'v1',
  ServiceAccount: 'v1',
  ServiceMonitor: 'monitoring.coreos.com/v1',
  StatefulSet: 'apps/v1',
};

export class Cluster implements AsyncDisposable {
  readonly requests: KubernetesRequests;
  readonly kubeconfigFile: string;
  readonly #server: KubeApiserver;
  readonly #directory = mkdtempSync(join(tmpdir(), 'chart-test-'));

  private constructor(server: KubeApiserver) {
    this.#server = server;
    this.requests = server.requests;
    this.kubeconfigFile = join(this.#directory, 'kubeconfig');
    writeFileSync(this.kubeconfigFile, server.kubeconfig, { mode: 0o600 });
  }

  get url(): string {
    return this.#server.url;
  }

  get kubeconfig(): string {
    return this.#server.kubeconfig;
  }

  /** Serves the kinds of Cilium, cert-manager and the Prometheus Operator; refuses Pods that are not restricted. */
  static async start(): Promise<Cluster> {
    const cluster = new Cluster(await startKubeApiserver());
    const { requests } = cluster;
    await until('the namespace exists', () => requests.get(`/api/v1/namespaces/${NAMESPACE}`));
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted', 'pod-security.kubernetes.io/enforce-version': 'latest' };
    await requests.patch(`/api/v1/namespaces/${NAMESPACE}`, 'merge-patch', { metadata: { labels } });
    await requests.create(DEFINITIONS, definition('monitoring.coreos.com', 'ServiceMonitor', SERVICE_MONITOR));
    await requests.create(DEFINITIONS, definition('monitoring.coreos.com', 'PrometheusRule', PROMETHEUS_RULE));
    await requests.create(DEFINITIONS, definition('cert-manager.io', 'Certificate', CERTIFICATE));
    for (const path of [
      'monitoring.coreos.com/v1/servicemonitors',
      'monitoring.coreos.com/v1/prometheusrules',
      'cert-manager.io/v1/certificates',
    ])
      await until(`${path} is served`, async () => (await requests.send('GET', `/apis/${path}`)).code === 200);
    return cluster;
  }

  /** What the server says against `object`; undefined where it would take it. Nothing is stored. */
  async refusal(object: KubeObject): Promise<string | undefined> {
    const path = `${collection(object.apiVersion, object.kind, object.metadata.namespace)}?dryRun=All&fieldValidation=Strict`;
    const { code, body } = await this.requests.send('POST', path, object);
    return code === 201 ? undefined : `${code} ${(body as { message?: string }).message}`;
  }

  /** The object of that kind and name in the namespace of the chart. */
  async get(kind: string, name: string): Promise<KubeObject | undefined> {
    return (await this.requests.get(`${collection(VERSIONS[kind] ?? 'v1', kind, NAMESPACE)}/${name}`)) as KubeObject | undefined;
  }

  async delete(kind: string, name: string): Promise<void> {
    await this.requests.delete(`${collection(VERSIONS[kind] ?? 'v1', kind, NAMESPACE)}/${name}`);
  }

  async create(object: KubeObject): Promise<void> {
    await this.requests.create(collection(object.apiVersion, object.kind, object.metadata.namespace), object);
  }

  /** `Kind/namespace/name` of every object of those kinds, sorted. */
  async inventory(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const [kind, version] of Object.entries(VERSIONS)) {
      const list = (await this.requests.get(collection(version, kind, undefined))) as { items: KubeObject[] };
      for (const { metadata } of list.items) found.push(`${kind}/${metadata.namespace ?? ''}/${metadata.name}`);
    }
    return found.sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function collection(apiVersion: string, kind: string, namespace: string | undefined): string {
  const plural = PLURALS[kind];
  if (plural === undefined) throw new Error(`the chart made a ${kind}, which this test does not know`);
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespace === undefined ? `${root}/${plural}` : `${root}/namespaces/${namespace}/${plural}`;
}
