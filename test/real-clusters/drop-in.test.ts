/**
 * The image in the place of the original, in Pods of Cilium's own charts of two releases, on two real clusters.
 *
 * `ROLLS=20` repeats each rollout and each loss of a Pod 20 times, and prints how long the other cluster took to reconnect.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CertificateIssuer } from '../support/cilium-chart/certificates.ts';
import { ciliumChartObjects } from '../support/cilium-chart/chart.ts';
import type { CiliumVersion } from '../support/cilium-chart/versions.ts';
import { clusterMissing } from '../support/cluster/node-programs.ts';
import { until } from '../support/until.ts';
import type { Changes, ServiceReader } from './changes.ts';
import { IMAGE, JoinedClusters, NAMES, type Name, NODE_PORT, READY } from './joined-clusters.ts';

const VERSIONS: Readonly<Record<Name, CiliumVersion>> = { east: '1.19', west: '1.20' };
const ROLLS = Number(process.env.ROLLS ?? 2);
/** With the default of 1.15 the Pod may not read its keys: see docs/install.md. */
const UPGRADES: readonly CiliumVersion[] = ['1.16', '1.17', '1.18', '1.19', '1.20'];
const POLL_MS = 20;
const API_PORT = 9889;

interface RemoteStatus {
  readonly ready: boolean;
  readonly connected: boolean;
  readonly status: string;
}

const missing = clusterMissing();

describe.skipIf(missing !== undefined)(`Cilium's charts with the image${missing === undefined ? '' : ` (${missing})`}`, () => {
  let joined: JoinedClusters;
  let changes: Changes;
  let reader: ServiceReader;
  let issuer: CertificateIssuer;

  beforeAll(async () => {
    issuer = new CertificateIssuer();
    joined = await JoinedClusters.start(installCiliumCharts);
    ({ changes, reader } = await joined.underChanges());
  }, 1_500_000);

  afterAll(() => joined?.[Symbol.asyncDispose](), 60_000);

  async function installCiliumCharts(clusters: JoinedClusters): Promise<void> {
    for (const name of NAMES) await applyChart(clusters, name, VERSIONS[name]);
  }

  async function applyChart(clusters: JoinedClusters, name: Name, version: CiliumVersion): Promise<void> {
    const peer = NAMES.find((each) => each !== name) as Name;
    const objects = ciliumChartObjects({
      version,
      image: IMAGE,
      clusterName: name,
      clusterId: clusters.by[name].number,
      issuer,
      service: { type: 'NodePort', nodePort: NODE_PORT },
      peers: [{ name: peer, ips: [clusters.by[peer].nodeAddress], port: NODE_PORT }],
    });
    const list = { apiVersion: 'v1', kind: 'List', items: objects.map(withApi) };
    writeFileSync(join(clusters.directory, 'objects.json'), JSON.stringify(list));
    await clusters.kubectl(name, 'apply --server-side --force-conflicts --filename objects.json');
  }

  /** The status API is for the Pod alone unless a flag says otherwise. */
  function withApi(object: unknown): unknown {
    const text = JSON.stringify(object);
    return JSON.parse(text.replace('"--clustermesh-config=', `"--api-serve-addr=:${API_PORT}","--clustermesh-config=`));
  }

  /** What the kvstoremesh of west says of east. */
  async function statusOfEast(): Promise<RemoteStatus> {
    const [status] = JSON.parse(await joined.fetch('west', API_PORT, '/v1/cluster')) as readonly RemoteStatus[];
    if (status === undefined) throw new Error('no remote cluster');
    return status;
  }

  /** The canaries, which make a cluster ready, are written after the keys. */
  const isJoined = () =>
    until(
      'east is mirrored',
      async () => {
        const { ready, connected } = await statusOfEast();
        return ready && connected;
      },
      READY,
    );

  const storeIn = ({ status }: RemoteStatus) => /ID: (\w+)/.exec(status)?.[1] ?? '';

  /** The milliseconds from the readiness of the new Pod of east until west mirrors its etcd. */
  async function reconnection(replace: () => Promise<unknown>): Promise<number> {
    const [old] = await joined.pods('east');
    const store = storeIn(await statusOfEast());
    await replace();
    await until('the new Pod is ready', () => isReplaced(old?.metadata.name ?? ''), READY);
    const readyMs = performance.now();
    const isBack = async () => {
      const status = await statusOfEast();
      return status.ready && status.connected && ![store, ''].includes(storeIn(status));
    };
    await until('west mirrors the new etcd of east', isBack, READY);
    const tookMs = performance.now() - readyMs;
    await joined.rolledOut(['east']);
    await reader.hasAll(changes);
    return tookMs;
  }

  async function isReplaced(old: string): Promise<boolean> {
    await pause(POLL_MS);
    const pods = await joined.pods('east');
    return pods.some(({ metadata, status }) => {
      const isReady = status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True');
      return metadata.name !== old && isReady === true;
    });
  }

  async function repeated(title: string, replace: () => Promise<unknown>): Promise<void> {
    const times: number[] = [];
    for (let i = 0; i < ROLLS; i += 1) times.push(Math.round(await reconnection(replace)));
    if (ROLLS > 2) process.stdout.write(`${title}: reconnected after ${times.toSorted((a, b) => a - b).join(', ')} ms\n`);
    expect(reader.deletions).toEqual([]);
  }

  test('are ready, and a global Service of one is in the etcd of the other', async () => {
    await reader.hasAll(changes);
    await isJoined();
  });

  test('after a rollout the other cluster mirrors the new etcd, and loses nothing', { timeout: ROLLS * 120_000 }, async () => {
    await repeated('rolled', () => joined.kubectl('east', 'rollout restart deployment/clustermesh-apiserver'));
  });

  test('after the loss of a Pod the other cluster mirrors the new etcd, and loses nothing', {
    timeout: ROLLS * 120_000,
  }, async () => {
    await repeated('deleted', async () => {
      const [pod] = await joined.pods('east');
      await joined.kubectl('east', `delete pod ${pod?.metadata.name} --wait=false`);
    });
  });

  test('after upgrades of one chart, release by release, the clusters are joined as before', { timeout: 600_000 }, async () => {
    for (const version of UPGRADES) {
      await applyChart(joined, 'east', version);
      await joined.rolledOut(['east']);
      await reader.hasAll(changes);
      await isJoined();
    }
    expect(reader.deletions).toEqual([]);
  });
});
