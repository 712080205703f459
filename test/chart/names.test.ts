/** The names, ports and files that agents, the cilium command and remote clusters rely on. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { Helm, helmMissing, type KubeObject, objectsOf, referenceOf } from './rendered/helm.ts';
import { containerNamed, containersOf, meshPod } from './rendered/pods.ts';

const missing = helmMissing();

describe.skipIf(missing !== undefined)(`names of the chart${missing === undefined ? '' : ` (${missing})`}`, () => {
  const helm = new Helm();
  let objects: readonly KubeObject[];

  beforeAll(async () => {
    const clusters = { north: { ips: ['192.0.2.1', '192.0.2.2'], port: 32379 }, west: { address: '2001:db8::3' } };
    objects = objectsOf(await helm.template({ mesh: { clusters }, metrics: { serviceMonitor: { enabled: true } } }));
  });

  afterAll(() => helm[Symbol.dispose]());

  const find = (reference: string) => objects.find((object) => referenceOf(object) === reference) as KubeObject;
  const fileOf = (secret: string, key: string) =>
    parse(Buffer.from(find(`Secret/${secret}`).data?.[key] ?? '', 'base64').toString()) as unknown;

  test('the Service has one unnamed port, and the Pod has the labels and containers of the original', () => {
    expect(find('Service/clustermesh-apiserver').spec).toMatchObject({
      type: 'NodePort',
      selector: { 'k8s-app': 'clustermesh-apiserver' },
      ports: [{ port: 2379, targetPort: 2379, protocol: 'TCP', nodePort: 32379 }],
    });
    const pod = meshPod(objects);
    expect(pod.metadata.labels).toEqual({
      'k8s-app': 'clustermesh-apiserver',
      'app.kubernetes.io/name': 'clustermesh-apiserver',
      'app.kubernetes.io/part-of': 'cilium',
    });
    expect(containersOf(pod).map(({ name }) => name)).toEqual(['etcd-init', 'etcd', 'apiserver', 'kvstoremesh']);
    expect(pod.metadata.annotations).toMatchObject({ 'kubectl.kubernetes.io/default-container': 'apiserver' });
  });

  test('a container with both daemons has the name of the one that the cilium command looks for, and the ports of both', async () => {
    const pod = meshPod(objectsOf(await helm.template({ combined: { enabled: true } })));
    expect(containersOf(pod).map(({ name }) => name)).toEqual(['etcd-init', 'etcd', 'kvstoremesh']);
    expect(pod.metadata.annotations).toMatchObject({ 'kubectl.kubernetes.io/default-container': 'kvstoremesh' });
    expect(containerNamed(pod, 'kvstoremesh').ports?.map(({ name, containerPort }) => `${name} ${containerPort}`)).toEqual([
      'apiserv-health 9880',
      'apiserv-metrics 9962',
      'kvmesh-health 9881',
      'kvmesh-metrics 9964',
    ]);
  });

  test('a container with both daemons has the flags and the mounts of both', async () => {
    const more = {
      apiserver: { extraArgs: ['--k8s-client-qps=20'], extraEnv: [{ name: 'TZ', value: 'UTC' }] },
      kvstoremesh: {
        extraEnv: [
          { name: 'TZ', value: 'UTC' },
          { name: 'LANG', value: 'C' },
        ],
      },
      extraVolumes: [{ name: 'more', emptyDir: {} }],
    };
    const two = meshPod(objectsOf(await helm.template(more)));
    const [apiserver, kvstoremesh] = [containerNamed(two, 'apiserver'), containerNamed(two, 'kvstoremesh')];
    const both = containerNamed(meshPod(objectsOf(await helm.template({ ...more, combined: { enabled: true } }))), 'kvstoremesh');
    expect(both.args).toEqual(['combined', ...apiserver.args.slice(1), '--', ...kvstoremesh.args.slice(1)]);
    const mounts = [...(apiserver.volumeMounts ?? []), ...(kvstoremesh.volumeMounts ?? [])];
    expect(new Set(both.volumeMounts?.map(({ mountPath }) => mountPath))).toEqual(
      new Set(mounts.map(({ mountPath }) => mountPath)),
    );
    expect(both.env?.map(({ name }) => name)).toEqual(['CILIUM_K8S_POD_NAME', 'CILIUM_K8S_POD_UID', 'TZ', 'LANG']);
  });

  test('the metrics Service has the ports of the original, in its order', () => {
    const { labels } = find('Service/clustermesh-apiserver-metrics').metadata;
    expect(labels).toMatchObject({ 'k8s-app': 'clustermesh-apiserver', 'app.kubernetes.io/component': 'metrics' });
    const { ports } = find('Service/clustermesh-apiserver-metrics').spec as { ports: { name: string; port: number }[] };
    expect(ports.map(({ name, port }) => `${name} ${port}`)).toEqual([
      'apiserv-metrics 9962',
      'kvmesh-metrics 9964',
      'etcd-metrics 9963',
    ]);
    const { endpoints } = find('ServiceMonitor/clustermesh-apiserver').spec as { endpoints: object[] };
    expect(endpoints).toEqual(ports.map(({ name }) => ({ port: name, path: '/metrics', honorLabels: true, interval: '10s' })));
  });

  test('every Secret and ConfigMap but that for the status has the name and the keys of the original', () => {
    const isStatus = (object: KubeObject) => referenceOf(object) === 'ConfigMap/clustermesh-status';
    const files = objects.filter((object) => ['Secret', 'ConfigMap'].includes(object.kind) && !isStatus(object));
    expect(files.map((object) => `${referenceOf(object)}: ${Object.keys(object.data ?? {}).sort()}`).sort()).toEqual([
      'ConfigMap/clustermesh-remote-users: users.yaml',
      'Secret/cilium-ca: ca.crt,ca.key',
      'Secret/cilium-clustermesh: north,west',
      'Secret/cilium-kvstoremesh: north,west',
      'Secret/clustermesh-apiserver-admin-cert: ca.crt,tls.crt,tls.key',
      'Secret/clustermesh-apiserver-local-cert: ca.crt,tls.crt,tls.key',
      'Secret/clustermesh-apiserver-remote-cert: ca.crt,tls.crt,tls.key',
      'Secret/clustermesh-apiserver-server-cert: ca.crt,tls.crt,tls.key',
    ]);
  });

  test('kvstoremesh connects to the remote clusters, agents to the local etcd', () => {
    const directory = '/var/lib/cilium/clustermesh';
    const credentials = (name: string) => ({
      'trusted-ca-file': `${directory}/${name}-ca.crt`,
      'key-file': `${directory}/${name}.key`,
      'cert-file': `${directory}/${name}.crt`,
    });
    expect(fileOf('cilium-kvstoremesh', 'north')).toEqual({
      endpoints: ['https://north.mesh.cilium.io:32379'],
      ...credentials('common-etcd-client'),
      'cilium-host-aliases': [{ hostname: 'north.mesh.cilium.io', ips: ['192.0.2.1', '192.0.2.2'] }],
    });
    expect(fileOf('cilium-kvstoremesh', 'west')).toEqual({
      endpoints: ['https://[2001:db8::3]:2379'],
      ...credentials('common-etcd-client'),
    });
    for (const name of ['north', 'west'])
      expect(fileOf('cilium-clustermesh', name)).toEqual({
        endpoints: ['https://clustermesh-apiserver.kube-system.svc:2379'],
        ...credentials('local-etcd-client'),
      });
  });

  test.each([
    ['aks', { 'service.beta.kubernetes.io/azure-load-balancer-internal': 'true' }],
    ['eks', { 'service.beta.kubernetes.io/aws-load-balancer-scheme': 'internal' }],
    [
      'gke',
      {
        'networking.gke.io/load-balancer-type': 'Internal',
        'networking.gke.io/internal-load-balancer-allow-global-access': 'true',
      },
    ],
  ])('a load balancer on %s is internal', async (cloud, annotations) => {
    const rendered = objectsOf(await helm.template({ service: { type: 'LoadBalancer', cloud } }));
    const service = rendered.find((object) => referenceOf(object) === 'Service/clustermesh-apiserver');
    expect(service?.metadata.annotations).toEqual(annotations);
  });

  test('a NetworkPolicy that restricts etcd lets the defragmentation job in', async () => {
    const networkPolicy = { etcdFrom: [{ ipBlock: { cidr: '192.0.2.0/24' } }] };
    const rendered = objectsOf(await helm.template({ networkPolicy, etcd: { defragmentation: { schedule: '@weekly' } } }));
    const policy = rendered.find(({ kind }) => kind === 'NetworkPolicy')?.spec as { ingress: { from: object[] }[] };
    expect(policy.ingress[0]?.from).toEqual([
      { ipBlock: { cidr: '192.0.2.0/24' } },
      { podSelector: { matchLabels: { 'k8s-app': 'clustermesh-apiserver-defragmentation' } } },
    ]);
  });
});
