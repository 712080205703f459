/** The daemon with a selector of endpoints, on an embedded and on a real Kubernetes API, over a real etcd; and its plan of exports. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { apiserverFlagTable } from '../../../src/apiserver/flags.ts';
import type { EtcdClient, KeyValue } from '../../../src/shared/etcd/types.ts';
import { parseFlags } from '../../../src/shared/flags/parse.ts';
import { history, listAll, openClient, revisionOf } from '../../support/etcd/etcd-client.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { ClustermeshRun, EAST } from '../../support/kubernetes/clustermesh-run.ts';
import {
  type KubernetesProvider,
  type Manifest,
  type ProviderName,
  providerMissing,
  startKubernetes,
} from '../../support/kubernetes/kubernetes-provider.ts';
import { runChild } from '../../support/processes/child.ts';
import { type LogLine, recordingLogger } from '../../support/recording-logger.ts';
import { until } from '../../support/until.ts';

type Labels = Readonly<Record<string, string>>;

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const SYNC = 'clustermesh.cilium.io/sync';
const YES: Labels = { [SYNC]: 'true' };
const STATE = 'cilium/state/';
const idKey = (id: number) => `${STATE}identities/v1/id/${id}`;
const ipKey = (last: number) => `${STATE}ip/v1/default/10.9.0.${last}`;

const namespace = (name: string): Manifest => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

function identity(id: number, labels: Labels = {}): Manifest {
  const own = Object.fromEntries(Object.entries(labels).map(([name, value]) => [`k8s:${name}`, value]));
  const security = { ...own, 'k8s:io.kubernetes.pod.namespace': 'shop' };
  return { apiVersion: 'cilium.io/v2', kind: 'CiliumIdentity', metadata: { name: `${id}` }, 'security-labels': security };
}

function endpoint(name: string, last: number, id: number, labels: Labels = {}): Manifest {
  const networking = { addressing: [{ ipv4: `10.9.0.${last}` }], node: '172.16.0.1' };
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumEndpoint',
    metadata: { name, namespace: 'shop', labels },
    status: { id: last, identity: { id }, networking },
  };
}

function slice(name: string, ...pods: readonly (readonly [name: string, last: number, id: number])[]): Manifest {
  const endpoints = pods.map(([pod, last, id]) => ({
    name: pod,
    id,
    networking: { addressing: [{ ipv4: `10.9.0.${last}` }], node: '172.16.0.1' },
  }));
  return { apiVersion: 'cilium.io/v2alpha1', kind: 'CiliumEndpointSlice', metadata: { name }, namespace: 'shop', endpoints };
}

test('a selector that is none is refused, and the message names flag, place and what is allowed', () => {
  const parse = () => parseFlags(apiserverFlagTable, [`--export-endpoint-selector=${SYNC}=true,tier in x`], {});
  expect(parse).toThrow(
    `flag --export-endpoint-selector: "${SYNC}=true,tier in x" is not a label selector: unexpected "x" at character 41; allowed: (`,
  );
});

test('export-plan names why it cannot read the objects', async () => {
  const { status, stderr } = await runChild(process.execPath, [
    MAIN,
    'clustermesh-dbg',
    'export-plan',
    '--k8s-api-server-urls=http://127.0.0.1:9',
  ]);
  expect({ status, stderr }).toMatchObject({ status: 255, stderr: expect.stringContaining('list namespaces') });
});

const PROVIDERS: readonly ProviderName[] = ['embedded', 'real'];

describe.each(PROVIDERS)('%s Kubernetes', (name) => {
  const missing = providerMissing(name) ?? (etcdVersions().length === 0 ? 'no etcd' : undefined);

  describe.skipIf(missing !== undefined)(`endpoints by label${missing === undefined ? '' : ` (${missing})`}`, () => {
    let kubernetes: KubernetesProvider;

    beforeAll(async () => {
      kubernetes = await startKubernetes(name);
    }, 180_000);
    beforeEach(() => kubernetes.clean());
    afterAll(() => kubernetes?.stop(), 30_000);

    async function apply(...objects: readonly Manifest[]): Promise<void> {
      for (const object of objects) await kubernetes.applyObject(object);
    }

    test('each restart with another selector touches the keys concerned alone, identities first and last', async () => {
      await using rig = await Rig.start(kubernetes);
      await apply(namespace('shop'), identity(1001), identity(1002), identity(1003));
      await apply(endpoint('cart', 1, 1001, YES), endpoint('db', 2, 1002), endpoint('job', 3, 1003, { tier: 'batch' }));
      await rig.daemon(`--export-endpoint-selector=${SYNC}=true`);
      await rig.holds(idKey(1001), ipKey(1));
      expect(rig.lines).toContainEqual(expect.objectContaining({ msg: 'endpoints selected', exported: 1, heldBack: 2 }));
      expect(await rig.metrics()).toContain('test_export_endpoints{decision="held_back"} 2');

      const kept = await rig.state();
      const toBoth = await rig.changesOf(async () => {
        await rig.daemon(`--export-endpoint-selector=tier notin (backend),!internal`);
        await rig.holds(idKey(1001), idKey(1002), idKey(1003), ipKey(1), ipKey(2), ipKey(3));
      });
      expect(toBoth.slice(0, 2).sort()).toEqual([`put ${idKey(1002)}`, `put ${idKey(1003)}`]);
      expect(toBoth.slice(2).sort()).toEqual([`put ${ipKey(2)}`, `put ${ipKey(3)}`]);
      expect(await rig.state()).toEqual(expect.arrayContaining(kept));

      const toOne = await rig.changesOf(async () => {
        await rig.daemon('--export-endpoint-selector=tier');
        await rig.holds(idKey(1003), ipKey(3));
      });
      expect(toOne.slice(0, 2).sort()).toEqual([1, 2].map((last) => `delete ${ipKey(last)}`));
      expect(toOne.slice(2).sort()).toEqual([1001, 1002].map((id) => `delete ${idKey(id)}`));

      const without = await rig.changesOf(async () => {
        await rig.daemon();
        await rig.holds(idKey(1001), idKey(1002), idKey(1003), ipKey(1), ipKey(2), ipKey(3));
      });
      expect(without.toSorted()).toEqual([idKey(1001), idKey(1002), ipKey(1), ipKey(2)].map((key) => `put ${key}`));
      expect(await rig.metrics()).not.toContain('export_endpoints');
    });

    test('a label that comes and goes takes the keys of its Pod along, and touches no others', async () => {
      await using rig = await Rig.start(kubernetes);
      await apply(namespace('shop'), identity(1001), identity(1002), endpoint('cart', 1, 1001, YES), endpoint('db', 2, 1002));
      await rig.daemon(`--export-endpoint-selector=${SYNC}=true`);
      await rig.holds(idKey(1001), ipKey(1));
      const changes = await rig.changesOf(async () => {
        await apply(endpoint('db', 2, 1002, YES));
        await rig.holds(idKey(1001), idKey(1002), ipKey(1), ipKey(2));
        await apply(endpoint('db', 2, 1002, { [SYNC]: 'no' }));
        await rig.holds(idKey(1001), ipKey(1));
      });
      const [id, ip] = [idKey(1002), ipKey(2)];
      expect(changes).toEqual([`put ${id}`, `put ${ip}`, `delete ${ip}`, `delete ${id}`]);
    });

    test('changes while etcd does not answer are in order afterwards', async () => {
      await using rig = await Rig.start(kubernetes);
      await apply(namespace('shop'), identity(1001), identity(1002), endpoint('cart', 1, 1001, YES), endpoint('db', 2, 1002));
      await rig.daemon(`--export-endpoint-selector=${SYNC}=true`);
      await rig.holds(idKey(1001), ipKey(1));
      const changes = await rig.changesOf(async () => {
        rig.etcd.pause();
        await apply(endpoint('db', 2, 1002, YES), endpoint('cart', 1, 1001, { [SYNC]: 'no' }));
        const waiting = 'test_export_endpoints{decision="held_back"} 2';
        await until('both changes to be known', async () => (await rig.metrics()).includes(waiting));
        rig.etcd.resume();
        await rig.holds(idKey(1002), ipKey(2));
      });
      expect(changes.toSorted()).toEqual([
        `delete ${idKey(1001)}`,
        `delete ${ipKey(1)}`,
        `put ${idKey(1002)}`,
        `put ${ipKey(2)}`,
      ]);
      expect(changes.indexOf(`put ${idKey(1002)}`)).toBeLessThan(changes.indexOf(`put ${ipKey(2)}`));
      expect(changes.indexOf(`delete ${ipKey(1)}`)).toBeLessThan(changes.indexOf(`delete ${idKey(1001)}`));
    });

    test('entries of CiliumEndpointSlices follow the labels of their identities', async () => {
      await using rig = await Rig.start(kubernetes);
      await apply(namespace('shop'), identity(1001, YES), identity(1002), slice('ces-a', ['cart', 1, 1001], ['db', 2, 1002]));
      await rig.daemon(`--export-endpoint-selector=${SYNC}=true`, '--enable-cilium-endpoint-slice');
      await rig.holds(idKey(1001), ipKey(1));
      expect(
        await rig.changesOf(async () => {
          await apply(identity(1003, YES), slice('ces-a', ['cart', 1, 1001], ['db', 2, 1003]));
          await rig.holds(idKey(1001), idKey(1003), ipKey(1), ipKey(2));
          await kubernetes.delete('CiliumIdentity/1003');
          await rig.holds(idKey(1001), ipKey(1));
        }),
      ).toEqual([`put ${idKey(1003)}`, `put ${ipKey(2)}`, `delete ${ipKey(2)}`, `delete ${idKey(1003)}`]);
    });

    test.each([
      ['CiliumEndpoints', []],
      ['CiliumEndpointSlices', ['--enable-cilium-endpoint-slice']],
    ])('export-plan of %s is what the daemon then does, and writes nothing', async (kind, flags) => {
      await using rig = await Rig.start(kubernetes);
      await apply(namespace('shop'), namespace('bank'), identity(1001, YES), identity(1002), identity(1003, YES));
      if (kind === 'CiliumEndpoints') {
        await apply(
          endpoint('cart', 1, 1001, YES),
          endpoint('db', 2, 1002),
          endpoint('job', 3, 1002),
          endpoint('web', 4, 1003, YES),
        );
      } else {
        await apply(
          slice('a', ['cart', 1, 1001], ['db', 2, 1002], ['job', 3, 1002]),
          slice('b', ['web', 4, 1003], ['odd', 5, 4711]),
        );
      }
      const before = await kubernetes.list('CiliumEndpoint');
      const plan = JSON.parse(await rig.plan(`--selector=${SYNC}=true`, '--examples=1', '-o', 'json', ...flags)) as Plan;
      expect(await kubernetes.list('CiliumEndpoint')).toEqual(before);
      expect(await rig.state()).toEqual([]);
      expect(plan.endpoints).toMatchObject({ planned: 2, added: 0, withdrawn: kind === 'CiliumEndpoints' ? 2 : 3 });
      expect(plan.identities).toEqual({ present: 3, planned: 2, added: 0, withdrawn: 1 });
      expect(plan.namespaces.map(({ namespace: ns, examples }) => [ns, examples])).toEqual([
        ['shop', { added: [], withdrawn: ['db (10.9.0.2)'] }],
      ]);
      expect(plan.unknownLabels).toBe(kind === 'CiliumEndpoints' ? 0 : 1);

      const isAddress = (key: string) => key.includes('/ip/');
      await rig.daemon(...flags);
      const present = await rig.stateNames();
      expect([present.filter(isAddress).length, present.length]).toEqual([
        plan.addresses.present,
        plan.addresses.present + plan.identities.present,
      ]);
      await rig.daemon(`--export-endpoint-selector=${SYNC}=true`, ...flags);
      const { planned } = plan.addresses;
      await rig.holds(idKey(1001), idKey(1003), ipKey(1), ipKey(4));
      expect([planned, plan.identities.planned]).toEqual([2, 2]);

      const back = JSON.parse(await rig.plan(`--export-endpoint-selector=${SYNC}=true`, '-o', 'json', ...flags)) as Plan;
      expect(back.addresses).toEqual({
        present: 2,
        planned: plan.addresses.present,
        added: plan.addresses.withdrawn,
        withdrawn: 0,
      });
      expect(back.identities).toEqual({ present: 2, planned: 3, added: 1, withdrawn: 0 });
      const text = await rig.plan(`--selector=${SYNC}=true`, '--examples=1', ...flags);
      expect(text).toContain(`planned selector: ${SYNC}=true\n`);
      expect(text).toMatch(/\nshop +[45] +[45] +2 +0 +[23]\n/);
      expect(text).toMatch(/withdrawn in shop:\n {2}db \(10\.9\.0\.2\)\n {2}and [12] more\n/);
    });
  });
});

interface Counts {
  readonly present: number;
  readonly planned: number;
  readonly added: number;
  readonly withdrawn: number;
}

interface Plan extends Readonly<Record<'endpoints' | 'addresses' | 'identities', Counts>> {
  readonly unknownLabels: number;
  readonly namespaces: readonly { readonly namespace: string; readonly examples: object }[];
}

/** An etcd, and one daemon after the other. */
class Rig implements AsyncDisposable {
  readonly etcd: EtcdProcess;
  readonly #kubernetes: KubernetesProvider;
  readonly #client: EtcdClient;
  #daemon: ClustermeshRun | undefined;
  lines: readonly LogLine[] = [];

  private constructor(kubernetes: KubernetesProvider, etcd: EtcdProcess) {
    this.#kubernetes = kubernetes;
    this.etcd = etcd;
    this.#client = openClient(etcd.endpoint);
  }

  static async start(kubernetes: KubernetesProvider): Promise<Rig> {
    return new Rig(kubernetes, await startEtcd());
  }

  /** One that is ready, instead of the one before. */
  async daemon(...flags: readonly string[]): Promise<void> {
    await this.#daemon?.stop();
    const { log, lines } = recordingLogger();
    this.lines = lines;
    const connection = [
      `--kvstore-opt=etcd.address=${this.etcd.endpoint}`,
      `--k8s-kubeconfig-path=${this.#kubernetes.kubeconfigFile}`,
    ];
    const daemon = await ClustermeshRun.start([...EAST, ...connection, ...flags], { log });
    this.#daemon = daemon;
    await until('the daemon to be ready', async () => (await daemon.readiness()) === 'Ready');
  }

  /** What `export-plan` prints. */
  async plan(...flags: readonly string[]): Promise<string> {
    const connection = `--k8s-kubeconfig-path=${this.#kubernetes.kubeconfigFile}`;
    const argv = [MAIN, 'clustermesh-dbg', 'export-plan', connection, ...flags];
    const { status, stdout, stderr } = await runChild(process.execPath, argv);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return stdout;
  }

  state(): Promise<KeyValue[]> {
    return listAll(this.#client, STATE);
  }

  async stateNames(): Promise<string[]> {
    return (await this.state()).map(({ key }) => key as string);
  }

  async holds(...keys: readonly string[]): Promise<void> {
    const expected = keys.toSorted();
    let names: readonly string[] = [];
    const isHeld = async () => {
      names = await this.stateNames();
      return names.toSorted().join() === expected.join();
    };
    await until(`exactly ${expected.join(', ')}`, isHeld, { status: () => names });
  }

  /** Every change of state that `work` leads to, in the order of etcd. */
  async changesOf(work: () => Promise<void>): Promise<string[]> {
    const since = await revisionOf(this.#client);
    await work();
    const events = await history(this.#client, Number(since));
    return events.filter(({ key }) => key.startsWith(STATE)).map(({ type, key }) => `${type} ${key}`);
  }

  async metrics(): Promise<string> {
    return (await this.#daemon?.metrics.metrics()) ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon?.stop();
    this.#client.close();
    await this.etcd.stop();
  }
}
