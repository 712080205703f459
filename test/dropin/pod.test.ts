/**
 * The Pods of Cilium's charts with the image of this project, as containers of podman: each release, each way to name users,
 * both sources of addresses, both sizes of a mesh, one and two replicas, with and without the MCS API, and an external etcd.
 *
 * Releases run in pairs, as during an upgrade, each the peer of the other.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CiliumChartOptions } from '../support/cilium-chart/options.ts';
import { isFrom } from '../support/cilium-chart/versions.ts';
import { engineOrReason, type ImageEngine } from '../support/containers/image-engine.ts';
import { startEtcd } from '../support/etcd/etcd-process.ts';
import { ETCDCTL, etcdctlMissing } from '../support/etcd/etcdctl.ts';
import type { KubeObject } from '../support/kube-object.ts';
import { kubeApiserverMissing } from '../support/kubernetes/kube-apiserver.ts';
import { runChild } from '../support/processes/child.ts';
import { opensslMissing } from '../support/tls/certificates.ts';
import { until } from '../support/until.ts';
import { KINDS, MCS_API_KINDS } from './pod/exported.ts';
import { Mesh, type MeshCluster } from './pod/mesh.ts';
import type { RunningPod } from './pod/pod.ts';

const missing = kubeApiserverMissing() ?? opensslMissing() ?? etcdctlMissing();

const ADMIN = 'clustermesh-apiserver-admin-cert';
const LOCAL = 'clustermesh-apiserver-local-cert';
const REMOTE = 'clustermesh-apiserver-remote-cert';
const WEST_IP = '192.0.2.21';
const EAST_IP = '192.0.2.11';
const PEER_PORT = 32_379;
const ENDED = { kvstoremesh: 0, apiserver: 0, etcd: 0 };

type Side = Omit<CiliumChartOptions, 'image' | 'issuer' | 'clusterName' | 'clusterId' | 'peers'>;

describe.skipIf(missing !== undefined)(`the Pods of Cilium's charts${missing === undefined ? '' : ` (${missing})`}`, () => {
  let mesh: Mesh;
  let engine: ImageEngine;
  /** With the etcd that agents of 1.15 need. */
  let engineOf15: ImageEngine;
  let reason: string | undefined;
  let clusters = 0;

  beforeAll(async () => {
    const [found, older] = [await engineOrReason(), await engineOrReason('3.5')];
    reason = found.reason;
    if (found.engine === undefined || older.engine === undefined) return;
    [engine, engineOf15] = [found.engine, older.engine];
    mesh = await Mesh.start();
  }, 600_000);

  afterAll(async () => {
    await engine?.[Symbol.asyncDispose]();
    await engineOf15?.[Symbol.asyncDispose]();
    await mesh?.[Symbol.asyncDispose]();
  }, 60_000);

  /** Names that no other test uses. */
  function nextPair() {
    clusters += 2;
    return [`east-${clusters}`, `west-${clusters}`] as const;
  }

  async function keys(pod: RunningPod, prefix: string, secret = ADMIN): Promise<readonly string[]> {
    const { status, stdout, stderr } = await pod.etcdctl(secret, ['get', '--prefix', prefix, '--keys-only']);
    if (status !== 0) throw new Error(stderr);
    return stdout.split('\n').filter((line) => line !== '');
  }

  async function untilKeys(pod: RunningPod, prefixes: readonly string[], container: string): Promise<void> {
    for (const prefix of prefixes)
      await until(`there is a key below ${prefix}`, async () => (await keys(pod, prefix)).length > 0).catch(
        async (error: Error) => {
          throw new Error(`${error.message}\n${await pod.log(container)}`);
        },
      );
  }

  /** Whether the user of the certificate of `objects` may read what is below `prefix`. */
  async function mayRead(pod: RunningPod, prefix: string, secret: string, objects?: readonly KubeObject[]): Promise<boolean> {
    const { status, stderr } = await pod.etcdctl(secret, ['get', '--prefix', prefix, '--limit=1'], objects);
    if (status !== 0) expect(stderr).toContain('permission denied');
    return status === 0;
  }

  async function expectHealthy(pod: RunningPod, { version, metrics = true }: Side): Promise<void> {
    await pod.ready();
    for (const { name } of pod.spec.containers) {
      // The operator installs them.
      const log = (await pod.log(name)).replaceAll(/.*not permitted to install MCS API CRDs.*/g, '');
      expect(log, `${version}: ${name}`).not.toMatch(/forbidden|unknown flag|EACCES|permission denied/i);
    }
    const scraped = { 9962: 'cilium_clustermesh_apiserver_', 9963: 'etcd_', 9964: 'cilium_kvstoremesh_' };
    for (const [port, prefix] of Object.entries(scraped)) {
      const answer = await pod.get(Number(port), '/metrics');
      if (metrics) expect(answer, `${version}: port ${port}`).toContain(prefix);
      else expect(answer, `${version}: port ${port}`).toBe('');
    }
  }

  /** Whose certificate reads what: of the agents of this cluster, and of the other cluster. */
  async function expectUsers(pod: RunningPod, own: MeshCluster, peer: MeshCluster, side: Side): Promise<void> {
    const { version } = side;
    const { stdout } = await pod.etcdctl(ADMIN, ['user', 'list']);
    const builtin = ['root', `admin-${own.name}`, `local-${own.name}`, 'remote'];
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(builtin));
    if (side.authMode !== 'legacy')
      await until('the user of the peer is there', async () =>
        (await pod.etcdctl(ADMIN, ['user', 'list'])).stdout.split('\n').includes(`remote-${peer.name}`),
      );
    expect(await mayRead(pod, 'cilium/state/', REMOTE, peer.objects)).toBe(true);
    expect(await mayRead(pod, `cilium/synced/${own.name}/`, REMOTE, peer.objects)).toBe(true);
    expect(await mayRead(pod, 'cilium/cache/', REMOTE, peer.objects)).toBe(!isFrom(version, '1.18'));
    // Agents up to 1.16 read the mirror with that of their own cluster.
    if (!isFrom(version, '1.17')) expect(await mayRead(pod, 'cilium/cache/', REMOTE)).toBe(true);
    if (version === '1.15') return;
    expect(await mayRead(pod, 'cilium/cache/', LOCAL)).toBe(true);
    expect(await mayRead(pod, 'cilium/state/', LOCAL)).toBe(false);
  }

  const pairs: readonly (readonly [Side, Side])[] = [
    [
      // Without a user in the chart, that of the image has to be able to read the files: docs/install.md.
      { version: '1.15', authMode: 'migration', kvstoremesh: true, podSecurityContext: { fsGroup: 65_532 } },
      { version: '1.16', authMode: 'cluster', storageMedium: 'Memory' },
    ],
    [
      { version: '1.17', authMode: 'legacy', mcsapi: true, endpointSliceSync: true },
      { version: '1.18', authMode: 'migration', ciliumEndpointSlice: true, metrics: false },
    ],
    [
      { version: '1.19', authMode: 'migration', cacheTtl: '24h', debug: true, maxConnectedClusters: 511 },
      { version: '1.20', authMode: 'cluster', mcsapi: true, ciliumEndpointSlice: true, maxConnectedClusters: 511 },
    ],
  ];

  test.for(pairs.map((pair) => ({ pair, name: pair.map(({ version }) => version).join(' and ') })))(
    'of $name are ready, with the rights of their charts, and mirror each other',
    { timeout: 180_000 },
    async ({ pair: [eastSide, westSide] }, context) => {
      context.skip(reason !== undefined, reason);
      const [eastName, westName] = nextPair();
      const [east, west] = [
        await mesh.install({
          ...eastSide,
          clusterName: eastName,
          clusterId: 1,
          peers: [{ name: westName, ips: [WEST_IP], port: PEER_PORT }],
        }),
        await mesh.install({
          ...westSide,
          clusterName: westName,
          clusterId: 2,
          peers: [{ name: eastName, ips: [EAST_IP], port: PEER_PORT }],
        }),
      ];
      await using eastPod = await mesh.startPod(eastSide.version === '1.15' ? engineOf15 : engine, east, [
        mesh.reaching(westName, WEST_IP, PEER_PORT),
      ]);
      await using westPod = await mesh.startPod(engine, west, [mesh.reaching(eastName, EAST_IP, PEER_PORT)]);
      for (const [pod, own, peer, side, peerSide] of [
        [eastPod, east, west, eastSide, westSide],
        [westPod, west, east, westSide, eastSide],
      ] as const) {
        const kinds = [...KINDS, ...(side.mcsapi ? MCS_API_KINDS : [])];
        await untilKeys(
          pod,
          kinds.map((kind) => `cilium/state/${kind}/`),
          'apiserver',
        );
        const mirrored = [...KINDS, ...(peerSide.mcsapi ? MCS_API_KINDS : [])];
        await untilKeys(
          pod,
          mirrored.map((kind) => `cilium/cache/${kind}/${peer.name}/`),
          'kvstoremesh',
        );
        await expectHealthy(pod, side);
        await expectUsers(pod, own, peer, side);
      }
      const ends = await Promise.all([eastPod.stop(), westPod.stop()]);
      expect(ends).toEqual([ENDED, ENDED]);
    },
  );

  test('of 1.15 need a group that may read the certificates, which the chart mounts for root', {
    timeout: 120_000,
  }, async (context) => {
    context.skip(reason !== undefined, reason);
    const [name] = nextPair();
    const cluster = await mesh.install({ version: '1.15', clusterName: name, clusterId: 1 });
    await using pod = await mesh.startPod(engineOf15, cluster);
    await until('etcd complains', async () => /tls\.(crt|key): permission denied/.test(await pod.log('etcd')));
  });

  test('of 1.20 are independent of each other if there are two replicas', { timeout: 120_000 }, async (context) => {
    context.skip(reason !== undefined, reason);
    const [name, peer] = nextPair();
    const peers = [{ name: peer, address: 'unreachable.example.org', port: PEER_PORT }];
    const cluster = await mesh.install({
      version: '1.20',
      clusterName: name,
      clusterId: 1,
      replicas: 2,
      kvstoremesh: false,
      peers,
    });
    await using first = await mesh.startPod(engine, cluster);
    await using second = await mesh.startPod(engine, cluster);
    const ids = [];
    for (const pod of [first, second]) {
      await untilKeys(
        pod,
        KINDS.map((kind) => `cilium/state/${kind}/`),
        'apiserver',
      );
      await pod.ready();
      const { stdout } = await pod.etcdctl(ADMIN, ['endpoint', 'status', '--write-out=json']);
      ids.push(
        (
          JSON.parse(stdout.replaceAll(/"cluster_id":(\d+)/g, '"cluster_id":"$1"')) as {
            Status: { header: { cluster_id: string } };
          }[]
        )[0]?.Status.header.cluster_id,
      );
    }
    expect(new Set(ids).size).toBe(2);
  });

  test('of 1.20 with an etcd of the cluster are kvstoremesh alone, which mirrors into it', {
    timeout: 120_000,
  }, async (context) => {
    context.skip(reason !== undefined, reason);
    const [name, peerName] = nextPair();
    await using etcd = await startEtcd();
    const own = [{ name, ips: [EAST_IP], port: PEER_PORT }];
    const peer = await mesh.install({ version: '1.18', clusterName: peerName, clusterId: 2, kvstoremesh: false, peers: own });
    const peers = [{ name: peerName, ips: [WEST_IP], port: PEER_PORT }];
    const externalKvstore = `endpoints: [http://${EAST_IP}:2379]\n`;
    const cluster = await mesh.install({ version: '1.20', clusterName: name, clusterId: 1, externalKvstore, peers });
    await using source = await mesh.startPod(engine, peer);
    const reaches = [await mesh.reachingPort(etcd.port, EAST_IP), mesh.reaching(peerName, WEST_IP, PEER_PORT)];
    await using pod = await mesh.startPod(engine, cluster, reaches);
    expect(pod.spec.containers.map((container) => container.name)).toEqual(['kvstoremesh']);
    await source.ready();
    await pod.ready();
    const found = async (prefix: string) =>
      (await runChild(ETCDCTL, [`--endpoints=${etcd.endpoint}`, 'get', '--prefix', prefix, '--keys-only'])).stdout;
    for (const prefix of [...KINDS.map((kind) => `cilium/cache/${kind}/${peerName}/`), 'cilium/.heartbeat'])
      await until(`there is a key below ${prefix}`, async () => (await found(prefix)) !== '');
    expect(await pod.stop()).toEqual({ kvstoremesh: 0 });
  });
});
