/**
 * Hostile objects that a real API server accepts, since the definitions of their kinds forbid nothing: those
 * beside them are exported as always, and each that is left out is named.
 */
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseJson } from '../../../src/shared/kubernetes/objects/json.ts';
import {
  projectCiliumEndpoint,
  projectCiliumIdentity,
  projectCiliumNode,
} from '../../../src/shared/kubernetes/objects/projections.ts';
import { ShapeError } from '../../../src/shared/kubernetes/objects/shape.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { EXPORTED_KINDS, ExportingCluster } from '../../support/kubernetes/exporting-cluster.ts';
import { KubeProxy } from '../../support/kubernetes/faulty-kubernetes-proxy.ts';
import { type HostileKind, hostileNamedObject } from '../../support/kubernetes/hostile-arbitraries.ts';
import { type KubeApiserver, kubeApiserverMissing, startKubeApiserver } from '../../support/kubernetes/kube-apiserver.ts';
import { until } from '../../support/until.ts';

interface Kind {
  readonly kind: HostileKind;
  readonly collection: string;
  readonly project: (raw: unknown) => unknown;
}

interface Named {
  readonly metadata: { readonly name: string };
}

const missing = kubeApiserverMissing() ?? (etcdVersions().length === 0 ? 'no etcd' : undefined);
const OF_EACH = 40;
const PREFIX = 'hostile-';

const KINDS: readonly Kind[] = [
  { kind: 'CiliumNode', collection: '/apis/cilium.io/v2/ciliumnodes', project: projectCiliumNode },
  { kind: 'CiliumIdentity', collection: '/apis/cilium.io/v2/ciliumidentities', project: projectCiliumIdentity },
  {
    kind: 'CiliumEndpoint',
    collection: '/apis/cilium.io/v2/namespaces/default/ciliumendpoints',
    project: projectCiliumEndpoint,
  },
];

/** Creates the objects that a seed stands for; what the API server refuses is none of our concern. */
async function create({ requests }: KubeApiserver, { kind, collection }: Kind, seed: number): Promise<void> {
  const objects = fc.sample(hostileNamedObject(kind, fc.constant({})), { numRuns: OF_EACH, seed });
  for (const [index, raw] of objects.entries()) {
    // Labels and annotations are what the server does look at.
    const metadata = { name: `${PREFIX}${seed}-${index}` };
    await requests.send('POST', collection, { ...(raw as object), apiVersion: 'cilium.io/v2', kind, metadata });
  }
}

/** Names of the objects that there are, of those that can be read or of the others. */
async function namesOf({ requests }: KubeApiserver, { collection, project }: Kind, isReadable: boolean): Promise<string[]> {
  // As the daemon parses it: integers beyond 2^53 are read exactly.
  const answer = await text(await requests.open('GET', collection));
  const { items } = parseJson(answer, collection) as { readonly items: readonly Named[] };
  const canBeRead = (item: Named) => {
    try {
      return project(item) !== undefined;
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(ShapeError);
      return false;
    }
  };
  const hostile = items.filter(({ metadata }) => metadata.name.startsWith(PREFIX));
  return hostile.filter((item) => canBeRead(item) === isReadable).map(({ metadata }) => metadata.name);
}

describe.skipIf(missing !== undefined)(`a real Kubernetes API${missing === undefined ? '' : ` (${missing})`}`, () => {
  let api: KubeApiserver;

  beforeAll(async () => {
    api = await startKubeApiserver();
  }, 180_000);

  afterAll(() => api?.stop(), 30_000);

  test('hostile objects, listed or watched, do not affect the export of others, and skipped ones are reported', {
    timeout: 180_000,
  }, async () => {
    const seed = Math.floor(Math.random() * 2 ** 30);
    for (const kind of KINDS) await create(api, kind, seed);
    await using proxy = await KubeProxy.start(api.kubeconfig);
    const flags = () => [`--k8s-api-server-urls=${proxy.url}`];
    await using world = await ExportingCluster.open({ requests: api.requests, flags });
    await world.create(1);
    await world.ready();
    for (const kind of KINDS) await create(api, kind, seed + 1);
    await world.create(2);

    const wrong = (await Promise.all(KINDS.map((kind) => namesOf(api, kind, false)))).flat();
    const nodes = await Promise.all(KINDS.slice(0, 1).map((kind) => namesOf(api, kind, true)));
    const wanted = [
      ...EXPORTED_KINDS.flatMap(({ key }) => [key(1), key(2)]),
      ...nodes.flat().map((name) => `cilium/state/nodes/v1/east/${name}`),
    ];
    const status = () => ({ seed, said: world.lines.slice(-8) });
    const isExported = () => wanted.every((key) => world.exported().includes(key));
    await until('all that can be read is exported', isExported, { withinMs: 60_000, status });
    const isNamed = (name: string) => world.lines.some((line) => line.name === name && String(line.reason).includes(' is not '));
    await until('all that cannot be read is named', () => wrong.every(isNamed), { withinMs: 60_000, status });
    expect(world.lines.filter(({ level }) => level === 'error')).toEqual([]);
    expect([wrong.length, wanted.length], `seed ${seed}`).toEqual([
      expect.toSatisfy((n) => n > 5),
      expect.toSatisfy((n) => n > 20),
    ]);
  });
});
