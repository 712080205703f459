/** What the chart renders, without a cluster. */
import { afterAll, describe, expect, test } from 'vitest';
import { CHART, Helm, helmMissing, objectsOf, REQUIRED, referenceOf, type Values } from './rendered/helm.ts';
import { MATRIX } from './rendered/matrix.ts';
import { containersOf, meshPod, podOf } from './rendered/pods.ts';
import { danglingReferences, duplicates } from './rendered/references.ts';

const missing = helmMissing();

describe.skipIf(missing !== undefined)(`the chart${missing === undefined ? '' : ` (${missing})`}`, () => {
  const helm = new Helm();
  afterAll(() => helm[Symbol.dispose]());

  const renderings = new Map<Values, Promise<string>>();
  /** What the chart makes of a row, rendered once for all tests. */
  const renderingOf = (values: Values) => {
    const rendering = renderings.get(values) ?? helm.template(values);
    renderings.set(values, rendering);
    return rendering;
  };

  const refusal = (values: Values) =>
    helm.template(values).then(
      () => 'rendered',
      (error: Error) => error.message,
    );

  test('helm lint finds no fault, with warnings counted as faults', async () => {
    const { status, stdout } = await helm.run('lint', CHART, '--strict', `--values=${helm.valuesFile(REQUIRED)}`);
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining('0 chart(s) failed') });
    expect(stdout).not.toContain('[WARNING]');
  });

  test.each([...MATRIX.entries()])(
    'row %i of the matrix refers to nothing that is not there, and renders the same twice',
    async (_, row) => {
      const [first, second] = await Promise.all([renderingOf(row.values), helm.template(row.values)]);
      const objects = objectsOf(first);
      expect({ row: row.name, dangling: danglingReferences(objects, row.values), twice: duplicates(objects) }).toEqual({
        row: row.name,
        dangling: [],
        twice: [],
      });
      // Without a cluster to look at, Helm makes other certificates each time.
      if (row.name.includes('method=helm')) expect(objects.map(referenceOf)).toEqual(objectsOf(second).map(referenceOf));
      else expect(second).toBe(first);
    },
  );

  test.each([
    [
      'a switch that is misspelt',
      { kvstoremesh: { enabeld: false } },
      "'/kvstoremesh': additional properties 'enabeld' not allowed",
    ],
    ['a group that is misspelt', { kvstoreMesh: {} }, "additional properties 'kvstoreMesh' not allowed"],
    [
      'a setting of another cluster',
      { mesh: { clusters: { west: { adress: 'a' } } } },
      "additional properties 'adress' not allowed",
    ],
    ['a time of a probe', { etcd: { livenessProbe: { period: 1 } } }, "additional properties 'period' not allowed"],
    [
      'the value that persistence took two steps with',
      { etcd: { persistence: { enabled: true, initialize: false } } },
      "'/etcd/persistence': additional properties 'initialize' not allowed",
    ],
    ['a word', { tls: { authMode: 'clusters' } }, "'/tls/authMode': value must be one of 'legacy', 'migration', 'cluster'"],
    ['a number', { replicas: '2' }, "'/replicas': got string, want integer"],
    ['a duration', { kvstoremesh: { cacheTTL: '5' } }, "'/kvstoremesh/cacheTTL': '5' does not match pattern"],
    ['no name', { cluster: { name: '' } }, "'/cluster/name': '' does not match pattern"],
    ['the name that stands for no cluster', { cluster: { name: 'default' } }, "'/cluster/name': 'not' failed"],
    ['the number that stands for no cluster', { cluster: { id: 0 } }, "'/cluster/id': minimum: got 0, want 1"],
    ['no image', { image: { override: '' } }, 'image: set image.override to the whole reference'],
    ['a number above the maximum', { cluster: { id: 256 } }, 'cluster.id: 256 is more than maxConnectedClusters (255)'],
    [
      'one container without one of the daemons',
      { combined: { enabled: true }, kvstoremesh: { enabled: false } },
      'combined.enabled: the container runs both daemons',
    ],
    ['no issuer', { tls: { method: 'certmanager' } }, 'tls.certmanager.issuerRef: the method certmanager needs an issuer'],
    ['itself as another cluster', { mesh: { clusters: { east: { address: 'a' } } } }, 'mesh.clusters: east is this cluster'],
    ['a cluster without an address', { mesh: { clusters: { west: {} } } }, 'mesh.clusters.west: set address (a host name'],
    [
      'a cluster with two kinds of addresses',
      { mesh: { clusters: { west: { address: 'a', ips: ['192.0.2.1'] } } } },
      'mesh.clusters.west: set either address or ips',
    ],
    ['one port for two', { metrics: { etcd: { port: 9880 } } }, 'metrics.etcd.port: 9880 is the port of apiserver.healthPort'],
    ['a port of etcd', { apiserver: { healthPort: 2379 } }, 'apiserver.healthPort: 2379 is the port of etcd'],
    [
      'a volume for two',
      { replicas: 2, etcd: { persistence: { enabled: true } } },
      'etcd.persistence.enabled: several replicas cannot share a volume',
    ],
    [
      'an even number of members',
      { etcd: { replication: { members: 2 } } },
      "'/etcd/replication/members': value must be one of 1, 3, 5",
    ],
    [
      'replicas of members',
      { replicas: 2, etcd: { replication: { enabled: true } } },
      'replicas: 2, and the number of Pods of a replicated etcd is etcd.replication.members',
    ],
    [
      'a volume for all members',
      { etcd: { replication: { enabled: true }, persistence: { enabled: true, existingClaim: 'given' } } },
      'etcd.persistence.existingClaim: each member of a replicated etcd has a claim of its own',
    ],
    [
      'a volume and memory',
      { etcd: { storageMedium: 'Memory', persistence: { enabled: true } } },
      'etcd.persistence.enabled: the volume takes the place of storageMedium Memory',
    ],
    [
      'a retention of the other mode',
      { etcd: { compaction: { mode: 'revision' } } },
      'etcd.compaction.retention: 1h does not fit the mode revision',
    ],
    [
      'defragmentation of one replica of two',
      { replicas: 2, etcd: { defragmentation: { schedule: '@daily' } } },
      'etcd.defragmentation.schedule: with several replicas',
    ],
    [
      'defragmentation through a Service of others',
      { service: { externallyCreated: true }, etcd: { defragmentation: { schedule: '@daily' } } },
      'etcd.defragmentation.schedule: the job reaches etcd through the Service',
    ],
  ])('%s is refused with the name of the value', async (_, values, words) => {
    expect(await refusal(values)).toContain(words);
  });

  test('no container may become more than it is, write to its root, or grow without a bound, in any row', async () => {
    for (const { name, values } of MATRIX) {
      for (const pod of objectsOf(await renderingOf(values)).flatMap((object) => podOf(object) ?? [])) {
        expect(pod.spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
        for (const container of containersOf(pod).filter((each) => each.name !== 'wait')) {
          expect({ name, container: container.name, ...container.securityContext }).toMatchObject({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
          if (pod.metadata.labels['k8s-app'] === 'clustermesh-apiserver')
            expect({ name, container: container.name, ...container.resources?.limits }).toHaveProperty('memory');
        }
      }
    }
  });

  const silent = { kvstoremesh: { reports: { events: false, statusConfigMap: '' } } };

  test.each([
    ['apiserver,kvstoremesh', {}],
    ['apiserver', silent],
    ['kvstoremesh', { ...silent, combined: { enabled: true } }],
  ])('only the containers that ask Kubernetes have a token: %s', async (containers, values) => {
    const pod = meshPod(objectsOf(await helm.template(values)));
    expect(pod.spec.automountServiceAccountToken).toBe(false);
    const path = '/var/run/secrets/kubernetes.io/serviceaccount';
    const withToken = containersOf(pod).filter(({ volumeMounts = [] }) =>
      volumeMounts.some(({ mountPath }) => mountPath === path),
    );
    expect(withToken.map(({ name }) => name).join()).toBe(containers);
  });

  test('what a value sets to false stays false', async () => {
    const securityContext = { readOnlyRootFilesystem: false };
    const pod = meshPod(objectsOf(await helm.template({ etcd: { securityContext } })));
    const etcd = containersOf(pod).find(({ name }) => name === 'etcd');
    expect(etcd?.securityContext).toMatchObject({ readOnlyRootFilesystem: false, allowPrivilegeEscalation: false });
  });

  test('a cluster that is added changes neither the Pod nor anything else that would restart it', async () => {
    const provided = { tls: { method: 'provided' } };
    const before = objectsOf(await helm.template(provided));
    const after = objectsOf(await helm.template({ ...provided, mesh: { clusters: { west: { ips: ['192.0.2.1'] } } } }));
    const changed = after.filter((object, index) => JSON.stringify(object) !== JSON.stringify(before[index]));
    expect(changed.map(referenceOf).sort()).toEqual([
      'ConfigMap/clustermesh-remote-users',
      'Secret/cilium-clustermesh',
      'Secret/cilium-kvstoremesh',
    ]);
  });
});
