/** docs/install.md, followed word by word on two real clusters. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RealClusters } from '../support/cluster/clusters.ts';
import { clusterMissing } from '../support/cluster/node-programs.ts';
import type { RealCluster } from '../support/cluster/real-cluster.ts';
import { listAll } from '../support/etcd/etcd-client.ts';
import { until } from '../support/until.ts';
import { createConfiguration, createGlobalService, installDefinitions, NAMESPACE } from './cilium.ts';
import { Guide } from './guide.ts';
import { meshClient } from './mesh-client.ts';

const IMAGE = 'registry.example.org/clustermesh-apiserver:0.1.0';
const DOCUMENT = 'docs/install.md';
const PORTS = { east: 32_379, west: 32_380 };
/** A kubelet pulls nothing, starts four containers, and probes each of them. */
const READY = { withinMs: 120_000 };

const missing = clusterMissing();

describe.skipIf(missing !== undefined)(`docs/install.md on two clusters${missing === undefined ? '' : ` (${missing})`}`, () => {
  let clusters: RealClusters;
  let by: Readonly<Record<'east' | 'west', RealCluster>>;
  let guide: Guide;
  let before: readonly string[];

  beforeAll(async () => {
    ({ clusters, by } = await RealClusters.start(['east', 'west'], IMAGE));
    for (const cluster of [by.east, by.west]) {
      await installDefinitions(cluster);
      await createConfiguration(cluster);
    }
    guide = new Guide(clusters.directory, clusters.kubeconfigFile, {
      '192.0.2.21, 192.0.2.22': by.west.nodeAddress,
      '192.0.2.11, 192.0.2.12': by.east.nodeAddress,
    });
    before = await inventory();
  }, 1_200_000);

  afterAll(async () => {
    await clusters?.[Symbol.asyncDispose]();
  }, 60_000);

  /** What is in the namespace of the chart, and what the chart makes outside of it. */
  async function inventory(): Promise<readonly string[]> {
    const kinds = 'all,secrets,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,pdb,pvc';
    const lists = await Promise.all(
      ['east', 'west'].map(async (name) => {
        const get = (...args: string[]) =>
          by[name as 'east'].kubectl.run('get', '--output=name', '--ignore-not-found', ...args).then((text) => text.split('\n'));
        const lines = [...(await get(`--namespace=${NAMESPACE}`, kinds)), ...(await get('clusterroles,clusterrolebindings'))];
        return lines.filter(Boolean).map((line) => `${name}: ${line}`);
      }),
    );
    return lists.flat().sort();
  }

  async function keysOf(name: 'east' | 'west', user: 'local' | 'remote', prefix: string): Promise<readonly string[]> {
    const client = await meshClient(by[name], { user, port: PORTS[name], directory: clusters.directory });
    try {
      return (await listAll(client, prefix)).map(({ key }) => String(key));
    } finally {
      client.close();
    }
  }

  /** The global Service of the other cluster is in the etcd of this one, for its agents. */
  async function joined(name: 'east' | 'west'): Promise<void> {
    const key = `cilium/cache/services/v1/${name === 'east' ? 'west/default/shop' : 'east/default/cart'}`;
    await until(`${key} is in the etcd of ${name}`, async () => (await keysOf(name, 'local', key)).includes(key), READY);
  }

  test('its commands join the clusters: a global Service of each is in the etcd of the other', { timeout: 600_000 }, async () => {
    await createGlobalService(by.east, 'cart', '10.1.0.1');
    await createGlobalService(by.west, 'shop', '10.2.0.1');
    for (const block of guide.blocks(DOCUMENT)) {
      if (!/^[1-4]\. /.test(block.heading)) continue;
      await guide.follow(block);
    }
    await joined('east');
    await joined('west');
    const status = await guide.run(
      `kubectl --context east --namespace ${NAMESPACE} exec deployment/clustermesh-apiserver --container kvstoremesh -- \\
        clustermesh-apiserver kvstoremesh-dbg status`,
    );
    expect(status).toContain('1/1 remote clusters ready');
  });

  test('upgrade and rollback keep the mesh, and what is left after the last command is what was there before', {
    timeout: 600_000,
  }, async () => {
    for (const block of guide.blocks(DOCUMENT)) {
      if (!block.heading.startsWith('5. ')) continue;
      await guide.follow(block, async (command) => {
        if (!/helm (?:upgrade|rollback)/.test(command)) return;
        await guide.run(
          `kubectl --context east --namespace ${NAMESPACE} rollout status deployment/clustermesh-apiserver --timeout=120s`,
        );
        await joined('east');
        await joined('west');
      });
    }
    await until(
      'nothing is left',
      async () => {
        const left = await inventory();
        expect(left).toEqual(before);
        return true;
      },
      READY,
    );
  });
});
