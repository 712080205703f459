/** Both daemons in one process, as an operator starts them: what they serve, and how they end. */
import { createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startEmbeddedKubernetes } from '../../demo/kubernetes/embedded-kubernetes.ts';
import { history } from '../support/etcd/etcd-client.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { KubernetesRequests } from '../support/kubernetes/kubernetes-requests.ts';
import { ConfigDirectory, harborFlags } from '../support/kvstoremesh/config-directory.ts';
import { type Store, startFullRemote, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { freePort } from '../support/network/free-port.ts';
import { Daemon, LAUNCHER } from '../support/processes/daemon.ts';
import { until, within } from '../support/until.ts';

const PORTS = [
  'clustermesh health',
  'clustermesh metrics',
  'kvstoremesh health',
  'kvstoremesh metrics',
  'kvstoremesh api',
] as const;

type Ports = Record<(typeof PORTS)[number], number>;

const NODE = {
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNode',
  metadata: { name: 'node-1' },
  spec: { addresses: [{ type: 'InternalIP', ip: '192.0.2.1' }] },
};
const NODE_KEY = 'cilium/state/nodes/v1/harbor/node-1';

interface World {
  readonly local: Store;
  readonly mirrored: readonly string[];
  readonly ports: Ports;
  start(changes?: Partial<Ports>, clustermeshFlags?: readonly string[]): Daemon;
}

/** A node of the own cluster, and a remote cluster. `hasCrds`: otherwise Cilium is not installed, and there is no node. */
async function startWorld({ hasCrds = true } = {}): Promise<World> {
  const definitions = hasCrds ? {} : { definitions: [] };
  const [local, remote, kubernetes] = await Promise.all([
    startLocal(),
    startFullRemote('berlin', 7),
    startEmbeddedKubernetes(definitions),
  ]);
  const directory = new ConfigDirectory();
  directory.add(remote);
  onTestFinished(async () => {
    await Promise.all([local[Symbol.asyncDispose](), remote[Symbol.asyncDispose](), kubernetes.stop()]);
  });
  if (hasCrds) await new KubernetesRequests({ url: kubernetes.url }).create('/apis/cilium.io/v2/ciliumnodes', NODE);
  const entries = await Promise.all(PORTS.map(async (name) => [name, await freePort()] as const));
  const ports = Object.fromEntries(entries) as Ports;
  const start = (changes: Partial<Ports> = {}, clustermeshFlags: readonly string[] = []) => {
    const used = { ...ports, ...changes };
    const common = harborFlags(local, directory);
    const words = [
      ...[...common.filter((flag) => !flag.startsWith('--clustermesh-config')), `--k8s-api-server-urls=${kubernetes.url}`],
      ...['--leader-election', `--health-port=${used['clustermesh health']}`],
      `--prometheus-serve-addr=127.0.0.1:${used['clustermesh metrics']}`,
      ...clustermeshFlags,
      '--',
      ...[...common, `--health-port=${used['kvstoremesh health']}`],
      `--prometheus-serve-addr=127.0.0.1:${used['kvstoremesh metrics']}`,
      `--api-serve-addr=127.0.0.1:${used['kvstoremesh api']}`,
    ];
    const daemon = new Daemon([LAUNCHER, 'combined', ...words], used['kvstoremesh health']);
    onTestFinished(() => daemon.kill());
    return daemon;
  };
  return { local, mirrored: Object.keys(remote.keys('1', 'cache')), ports, start };
}

const get = async (port: number, path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text();

interface Line {
  readonly daemon: string;
  readonly level: string;
  readonly msg: string;
  readonly code?: string;
}

const linesOf = ({ log }: Daemon): Line[] =>
  log
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

async function ready(daemon: Daemon, { ports }: World): Promise<void> {
  const isReady = async (port: number) => (await get(port, '/readyz')) === 'Ready';
  const both = async () => (await isReady(ports['clustermesh health'])) && (await isReady(ports['kvstoremesh health']));
  await until('both daemons are ready', both, { withinMs: 90_000, status: () => daemon.lastLines });
}

/** Series of the program, without those that any process has. */
async function families(port: number): Promise<string[]> {
  const text = await get(port, '/metrics');
  return [...text.matchAll(/^# TYPE (\S+)/gm)].flatMap(([, name = '']) => (name.startsWith('cilium_') ? [name] : []));
}

describe.skipIf(etcdVersions().length === 0)('both daemons in one process (needs an etcd)', { timeout: 120_000 }, () => {
  test('export and mirror, each with its own ports, metrics and log lines, and end with one SIGTERM', async () => {
    const world = await startWorld();
    const { local, ports } = world;
    const daemon = world.start();
    await ready(daemon, world);
    expect(Object.keys(await local.dump())).toEqual(expect.arrayContaining([NODE_KEY, ...world.mirrored]));
    expect(JSON.parse(await get(ports['kvstoremesh api'], '/v1/cluster'))).toMatchObject([{ name: 'berlin', ready: true }]);

    const [exporter, mirror] = [await families(ports['clustermesh metrics']), await families(ports['kvstoremesh metrics'])];
    expect(exporter.filter((name) => !name.startsWith('cilium_clustermesh_apiserver_'))).toEqual([]);
    expect(mirror.filter((name) => !name.startsWith('cilium_kvstoremesh_'))).toEqual([]);
    expect(exporter).toContain('cilium_clustermesh_apiserver_kubernetes_reflector_state');
    expect(mirror).toContain('cilium_kvstoremesh_remote_clusters');
    expect(await get(ports['clustermesh metrics'], '/metrics')).toMatch(/master_status\{name="clustermesh"\} 1\n/);
    expect(await get(ports['kvstoremesh metrics'], '/metrics')).toMatch(/master_status\{name="kvstoremesh"\} 1\n/);
    for (const port of [ports['clustermesh metrics'], ports['kvstoremesh metrics']])
      expect(await get(port, '/metrics')).toMatch(/^process_resident_memory_bytes \d+/m);

    daemon.send('SIGTERM');
    expect(await within('it ends', daemon.ended(), 5_000)).toBe(0);
    const lines = linesOf(daemon);
    expect(
      lines
        .filter(({ msg }) => msg === 'ready')
        .map((line) => line.daemon)
        .sort(),
    ).toEqual(['clustermesh', 'kvstoremesh']);
    expect(lines.filter(({ daemon: name }) => name === 'combined').map(({ msg }) => msg)).toEqual(['stopping', 'stopped']);
    expect(Object.keys(await local.dump())).toEqual(expect.arrayContaining([NODE_KEY, ...world.mirrored]));
    expect(Object.keys(await local.dump('cilium/')).filter((key) => key.includes('-lock/'))).toEqual([]);
  });

  test('lead again at once after a kill, and write no key that is unchanged', async () => {
    const world = await startWorld();
    const killed = world.start();
    await ready(killed, world);
    const since = await world.local.revision();
    await killed.kill();
    const again = world.start();
    await ready(again, world);
    const released = linesOf(again).filter(({ msg }) => msg.startsWith('released the leader lock'));
    expect(released.map(({ daemon }) => daemon).sort()).toEqual(['clustermesh', 'kvstoremesh']);
    const changed = (await history(world.local.client, since)).map(({ key }) => key as string);
    expect(changed.filter((key) => /^cilium\/(state|cache|cluster-config)\//.test(key))).toEqual([]);
  });

  test.for<[daemon: string, port: keyof Ports, flag: string]>([
    ['clustermesh', 'clustermesh health', 'health-port'],
    ['clustermesh', 'clustermesh metrics', 'prometheus-serve-addr'],
    ['kvstoremesh', 'kvstoremesh health', 'health-port'],
    ['kvstoremesh', 'kvstoremesh api', 'api-serve-addr'],
  ])(
    'end together when a port of one is taken, and the log names the daemon and the flag: %s, %s',
    async ([name, port, flag]) => {
      const world = await startWorld();
      const taken = createServer().listen(world.ports[port], port.endsWith('health') ? '::' : '127.0.0.1');
      onTestFinished(() => void taken.close());
      const daemon = world.start();
      expect(await within('it ends', daemon.ended(), 20_000)).toBe(255);
      const fatal = linesOf(daemon).filter(({ level }) => level === 'fatal');
      expect(fatal).toMatchObject([{ daemon: name, code: 'LISTEN_FAILED' }]);
      expect(fatal[0]?.msg).toContain(`flag --${flag}: cannot listen on`);
      expect(fatal[0]?.msg).toContain('the port is in use');
    },
  );

  test('end together when one of them cannot continue, and the log names that one', async () => {
    const world = await startWorld({ hasCrds: false });
    const daemon = world.start({}, ['--crd-wait-timeout=3s']);
    expect(await within('it ends', daemon.ended(), 20_000)).toBe(255);
    const lines = linesOf(daemon);
    expect(lines.filter(({ level }) => level === 'fatal')).toMatchObject([{ daemon: 'clustermesh', code: 'JOB_ENDED' }]);
    expect(lines.some((line) => line.daemon === 'kvstoremesh' && line.msg === 'ready')).toBe(true);
    expect(Object.keys(await world.local.dump('cilium/')).filter((key) => key.includes('-lock/'))).toEqual([]);
  });

  test('end with an error where both have the same port', async () => {
    const world = await startWorld();
    const daemon = world.start({ 'kvstoremesh health': world.ports['clustermesh health'] });
    expect(await within('it ends', daemon.ended(), 20_000)).toBe(255);
    expect(linesOf(daemon).find(({ level }) => level === 'fatal')?.msg).toContain('flag --health-port: cannot listen on');
  });
});
