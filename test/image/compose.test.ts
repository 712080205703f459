/**
 * The compose file, read as Docker reads it, and its containers started by podman: the same options, commands and files. Only
 * the network is made by hand, so that no rule of the kernel is touched, and the image of the Kubernetes API is not built:
 * its one file more is mounted.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Container, engineOrReason, type ImageEngine } from '../support/containers/image-engine.ts';
import { onNetworkOf, requestOnNetworkOf } from '../support/containers/pod-network.ts';
import { runChild } from '../support/processes/child.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const ROOT = join(import.meta.dirname, '../..');
const COMPOSE = join(ROOT, 'docker/compose');
const KUBERNETES_FILE = '/usr/lib/clustermesh-apiserver/embedded-kubernetes.js';
const CLUSTERS = ['east', 'west'] as const;
const ADDRESSES = { east: '192.0.2.1', west: '192.0.2.2' } as const;

interface Service {
  readonly image: string;
  readonly build: { readonly context: string; readonly dockerfile: string; readonly target?: string };
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly tmpfs?: readonly string[];
  readonly volumes?: readonly string[];
  readonly network_mode?: string;
  readonly networks?: Readonly<Record<string, { readonly aliases: readonly string[] }>>;
  readonly ports?: readonly string[];
}

const KEYS = [
  'image',
  'build',
  'read_only',
  'cap_drop',
  'security_opt',
  'entrypoint',
  'command',
  'environment',
  'tmpfs',
  'volumes',
  'network_mode',
  'networks',
  'ports',
];

const { services } = parse(readFileSync(join(COMPOSE, 'compose.yaml'), 'utf8'), { merge: true }) as {
  services: Readonly<Record<string, Service>>;
};
const directory = temporaryDirectory('compose');
let engine: ImageEngine | undefined;
let reason: string | undefined;

beforeAll(async () => {
  ({ engine, reason } = await engineOrReason());
}, 600_000);

afterAll(() => engine?.[Symbol.asyncDispose]());

/** What podman is told for what compose is told. */
function podmanOptions({
  read_only,
  cap_drop = [],
  security_opt = [],
  entrypoint,
  environment = {},
  tmpfs = [],
  volumes = [],
}: Service): string[] {
  return [
    ...(read_only === true ? ['--read-only', '--read-only-tmpfs=false'] : []),
    ...cap_drop.map((name) => `--cap-drop=${name}`),
    ...security_opt.map((option) => `--security-opt=${option.replace(/:true$/, '')}`),
    ...(entrypoint === undefined ? [] : [`--entrypoint=${JSON.stringify(entrypoint)}`]),
    ...Object.entries(environment).map(([name, value]) => `--env=${name}=${value}`),
    ...tmpfs.map((mount) => `--tmpfs=${mount.replace(/,uid=\d+,gid=\d+/, ',U')}`),
    ...volumes.map((volume) => `--volume=${resolve(COMPOSE, volume)}`),
  ];
}

test('the compose file uses only what its test understands, and names files and stages that exist', () => {
  const dockerfile = readFileSync(join(ROOT, 'docker/Dockerfile'), 'utf8');
  for (const [name, service] of Object.entries(services)) {
    expect([name, Object.keys(service).filter((key) => !KEYS.includes(key))]).toEqual([name, []]);
    const { context, dockerfile: file, target = 'image' } = service.build;
    expect([name, resolve(COMPOSE, context, file)]).toEqual([name, join(ROOT, 'docker/Dockerfile')]);
    expect(dockerfile).toMatch(new RegExp(`^FROM \\S+ AS ${target}$`, 'm'));
    for (const volume of service.volumes ?? [])
      expect([volume, existsSync(resolve(COMPOSE, volume.split(':')[0] ?? ''))]).toEqual([volume, true]);
    // Nothing is reached from another machine: whoever reaches these ports may do everything.
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  }
  const published = Object.values(services).flatMap(({ ports = [] }) => ports.map((port) => port.split(':')[1]));
  expect(new Set(published).size).toBe(published.length);
});

test('its containers are a mesh: a global service of one cluster is in the etcd of the other', {
  timeout: 240_000,
}, async (context) => {
  context.skip(reason !== undefined, reason);
  if (engine === undefined) throw new TypeError('no engine, and no reason');
  const started = engine;
  const kubernetesFile = join(directory, 'embedded-kubernetes.js');
  expect(await runChild(process.execPath, [join(ROOT, 'scripts/build-demo.ts'), kubernetesFile])).toMatchObject({ status: 0 });
  const [, entrypoint = ''] =
    /AS demo[\s\S]*?^ENTRYPOINT (\[.*\])$/m.exec(readFileSync(join(ROOT, 'docker/Dockerfile'), 'utf8')) ?? [];
  const hostsFile = join(directory, 'hosts');
  writeFileSync(hostsFile, ['127.0.0.1 localhost', ...CLUSTERS.map((name) => `${ADDRESSES[name]} ${name}`), ''].join('\n'));

  const containers = new Map<string, Container>();
  const start = async (name: string, service: Service, ...more: readonly string[]) => {
    containers.set(
      name,
      await started.start([...podmanOptions(service), `--volume=${hostsFile}:/etc/hosts:ro`, ...more], service.command ?? []),
    );
  };
  const demo = [`--volume=${kubernetesFile}:${KUBERNETES_FILE}:ro`, `--entrypoint=${entrypoint}`, '--network=none'];
  for (const [name, service] of Object.entries(services))
    if (service.build.target === 'demo') await start(name, service, ...demo);
  const pids = new Map<string, number>();
  for (const [name, { networks }] of Object.entries(services))
    for (const alias of networks?.mesh?.aliases ?? []) pids.set(alias, (await containers.get(name)?.pid()) ?? 0);
  await connect(pids);
  for (const [name, service] of Object.entries(services)) {
    const owner = containers.get(/^service:(.+)$/.exec(service.network_mode ?? '')?.[1] ?? '');
    if (owner !== undefined) await start(name, service, `--network=container:${owner.name}`);
  }
  expect([...containers.keys()].toSorted()).toEqual(Object.keys(services).toSorted());

  const logs = async () =>
    (
      await Promise.all([...containers].map(async ([name, container]) => `${name}: ${(await container.logs()).slice(-1_500)}`))
    ).join('\n');
  const answers = async (pid: number, url: string) => (await requestOnNetworkOf(pid, 'GET', url)).startsWith('200 ');
  const told = async (error: Error) => {
    throw new Error(`${error.message}\n${await logs()}`);
  };
  for (const [cluster, pid] of pids)
    for (const port of [9880, 9881])
      await until(`port ${port} of ${cluster} is ready`, () => answers(pid, `http://127.0.0.1:${port}/readyz`), {
        withinMs: 90_000,
      }).catch(told);

  const { items } = parse(readFileSync(join(COMPOSE, 'rebel-base.yaml'), 'utf8')) as { items: readonly { kind: string }[] };
  const paths: Readonly<Record<string, string>> = {
    Service: '/api/v1/namespaces/default/services',
    EndpointSlice: '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices',
  };
  for (const item of items)
    expect(await requestOnNetworkOf(pids.get('east') ?? 0, 'POST', `http://127.0.0.1:6443${paths[item.kind]}`, item)).toMatch(
      /^201 /,
    );
  const west = containers.get('west-etcd');
  const get = ['--endpoints=http://127.0.0.1:2379', 'get', 'cilium/cache/services/v1/east/default/rebel-base'];
  const seen = async () => (await started.podman('exec', west?.name ?? '', 'etcdctl', ...get)).includes('10.1.0.12');
  await until('west sees the service of east', seen).catch(told);
});

/** A cable between both networks. It is gone with the first of them. */
async function connect(pids: ReadonlyMap<string, number>): Promise<void> {
  const ip = async (...args: readonly string[]) => expect(await runChild('ip', args)).toMatchObject({ status: 0, stderr: '' });
  const [east, west] = CLUSTERS.map((name) => pids.get(name) ?? 0);
  await ip('link', 'add', 'mesh', 'netns', String(east), 'type', 'veth', 'peer', 'name', 'mesh', 'netns', String(west));
  for (const cluster of CLUSTERS) {
    const inside = async (...args: readonly string[]) =>
      expect(await runChild(...onNetworkOf(pids.get(cluster) ?? 0, 'ip', ...args))).toMatchObject({ status: 0, stderr: '' });
    await inside('address', 'add', `${ADDRESSES[cluster]}/24`, 'dev', 'mesh');
    await inside('link', 'set', 'mesh', 'up');
  }
}
