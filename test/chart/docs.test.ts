/** The documentation of the chart: runs its commands, and compares its tables with the chart. */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { kubeApiserverMissing } from '../support/kubernetes/kube-apiserver.ts';
import { kubectlMissing } from '../support/kubernetes/kubectl.ts';
import { Cluster } from './cluster/cluster.ts';
import { CHART, HELM, Helm, helmMissing, objectsOf, type Values } from './rendered/helm.ts';
import { containerNamed, meshPod } from './rendered/pods.ts';
import { danglingReferences } from './rendered/references.ts';

const ROOT = join(CHART, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

interface Block {
  readonly language: string;
  readonly text: string;
}

function blocksOf(document: string): readonly Block[] {
  const found = read(document).matchAll(/^```(\w+)\n(.*?)^```$/gms);
  return [...found].map(([, language = '', text = '']) => ({ language, text }));
}

const missing = helmMissing();
const noClusters = missing ?? kubeApiserverMissing() ?? kubectlMissing();

describe.skipIf(noClusters !== undefined)(`docs/install.md${noClusters === undefined ? '' : ` (${noClusters})`}`, () => {
  let east: Cluster;
  let west: Cluster;
  let helm: Helm;

  beforeAll(async () => {
    [east, west] = await Promise.all([Cluster.start(), Cluster.start()]);
    helm = new Helm();
    writeFileSync(join(helm.directory, 'kubeconfig'), kubeconfigOf({ east, west }));
    mkdirSync(join(helm.directory, 'bin'));
    symlinkSync(HELM, join(helm.directory, 'bin/helm'));
    symlinkSync(join(ROOT, 'charts'), join(helm.directory, 'charts'));
  }, 180_000);

  afterAll(async () => {
    helm?.[Symbol.dispose]();
    await east?.[Symbol.asyncDispose]();
    await west?.[Symbol.asyncDispose]();
  }, 30_000);

  async function run(commands: string): Promise<void> {
    const env = { PATH: `${helm.directory}/bin:${process.env.PATH ?? ''}`, KUBECONFIG: join(helm.directory, 'kubeconfig') };
    const { status, stderr } = await helm.call('sh', ['-euc', commands], env);
    expect({ commands, status, stderr }).toEqual({ commands, status: 0, stderr: expect.not.stringContaining('rror') });
  }

  test('its commands, one after another, join two clusters and leave nothing of it', { timeout: 120_000 }, async () => {
    const before = [await east.inventory(), await west.inventory()];
    for (const { language, text } of blocksOf('docs/install.md')) {
      const file = /^# (\S+\.yaml)\n/.exec(text)?.[1];
      if (language === 'yaml' && file !== undefined) writeFileSync(join(helm.directory, file), text);
      if (language !== 'sh') continue;
      await run(text);
      if (text.includes('west-mesh.yaml')) await joined();
    }
    expect([await east.inventory(), await west.inventory()]).toEqual(before);
  });

  test('the commands of docs/chart.md keep the certificates when the method changes', async () => {
    await run('kubectl config use-context east >/dev/null');
    const install = 'helm install clustermesh-apiserver charts/clustermesh-apiserver --namespace kube-system --values east.yaml';
    await run(install);
    const secrets = async () => (await east.inventory()).filter((name) => /-cert$|cilium-ca$/.test(name));
    const before = await secrets();
    expect(before).toHaveLength(5);
    for (const { language, text } of blocksOf('docs/chart.md')) if (language === 'sh') await run(text);
    expect(await secrets()).toEqual(before);
    await run('helm uninstall clustermesh-apiserver --namespace kube-system');
    expect(await secrets()).toEqual(before);
  });

  async function joined(): Promise<void> {
    const [ofEast, ofWest] = await Promise.all([east, west].map((cluster) => cluster.get('Secret', 'cilium-kvstoremesh')));
    const text = (data: string | undefined) => Buffer.from(data ?? '', 'base64').toString();
    expect(text(ofEast?.data?.west)).toContain('https://west.mesh.cilium.io:32380');
    expect(text(ofWest?.data?.east)).toContain('https://east.mesh.cilium.io:32379');
    const authorities = await Promise.all(
      [east, west].map((cluster) => cluster.get('Secret', 'clustermesh-apiserver-remote-cert')),
    );
    expect(authorities[0]?.data?.['ca.crt']).toBe(authorities[1]?.data?.['ca.crt']);
  }
});

describe.skipIf(missing !== undefined)(`documents of the chart${missing === undefined ? '' : ` (${missing})`}`, () => {
  const helm = new Helm();
  afterAll(() => helm[Symbol.dispose]());

  test.each(['argocd', 'flux'])(
    'the values of examples/gitops/%s.yaml render the same twice, and refer to nothing that is missing',
    async (name) => {
      interface Example {
        readonly kind: string;
        readonly spec: { readonly values?: Values; readonly source?: { readonly helm: { readonly valuesObject: Values } } };
      }
      const objects = objectsOf(read(`examples/gitops/${name}.yaml`)) as unknown as readonly Example[];
      const { spec } = objects.find(({ kind }) => ['Application', 'HelmRelease'].includes(kind)) as Example;
      const values = spec.values ?? spec.source?.helm.valuesObject ?? {};
      const [first, second] = [await helm.template(values), await helm.template(values)];
      expect(second).toBe(first);
      expect(danglingReferences(objectsOf(first), values)).toEqual([]);
    },
  );

  test('docs/chart.md has the sizes that are rendered', async () => {
    for (const size of ['small', 'medium', 'large', 'xlarge']) {
      const row = new RegExp(`^\\| \`${size}\` \\|[^|]*\\|(.*)\\|$`, 'm').exec(read('docs/chart.md'))?.[1] ?? '';
      const rendered = async (values: Values) =>
        meshPod(objectsOf(await helm.template({ meshSize: size, tls: { method: 'provided' }, ...values })));
      const [pod, combined] = [await rendered({}), await rendered({ combined: { enabled: true } })];
      const memory = (name: string, of = pod) => {
        const { requests, limits } = containerNamed(of, name).resources ?? {};
        return [requests?.memory, limits?.memory].map((text) => Number.parseInt(text ?? '', 10));
      };
      const quota = containerNamed(pod, 'etcd').args.find((argument) => argument.startsWith('--quota-backend-bytes='));
      const inMiB = [
        ...memory('etcd'),
        Number(quota?.split('=')[1]) / 2 ** 20,
        ...memory('apiserver'),
        ...memory('kvstoremesh'),
        ...memory('kvstoremesh', combined),
      ];
      expect(row.match(/\d+/g)?.map(Number)).toEqual(inMiB);
    }
  });
});

test('docs/reference/chart-values.md lists the values as the schema describes them', async () => {
  const rows = valueRows(schemaOf(), parse(read('charts/clustermesh-apiserver/values.yaml')) as Values);
  const text = `# Values of the chart

The ${rows.length} values of the chart with their defaults, from \`values.yaml\` and \`values.schema.json\`. See also [the chart](../chart.md).

| value | default | description |
|---|---|---|
${rows.join('\n')}
`;
  await expect(text).toMatchFileSnapshot(join(ROOT, 'docs/reference/chart-values.md'));
});

test('the schema knows the values of values.yaml and no others, describes each, and closes every group', () => {
  const problems: string[] = [];
  const compare = (schema: Schema, value: unknown, path: string) => {
    if (schema.description === undefined && path !== '') problems.push(`${path} lacks a description`);
    if (schema.properties === undefined) return;
    if (schema.additionalProperties !== false) problems.push(`${path} takes any value`);
    const [known, given] = [Object.keys(schema.properties), Object.keys((value ?? {}) as object)];
    problems.push(...given.filter((name) => !known.includes(name)).map((name) => `${path}.${name} is not in the schema`));
    const isProbe = path.endsWith('Probe');
    if (isProbe) return;
    const absent = known.filter((name) => !given.includes(name) && `${path}.${name}` !== '.global');
    problems.push(...absent.map((name) => `${path}.${name} has no default`));
    for (const [name, each] of Object.entries(schema.properties))
      compare(each, (value as Values | undefined)?.[name], `${path}.${name}`);
  };
  compare(schemaOf(), parse(read('charts/clustermesh-apiserver/values.yaml')), '');
  expect(problems).toEqual([]);
});

test.each(['docs/install.md', 'docs/chart.md', 'docs/operate.md'])('every link of %s leads somewhere', (document) => {
  const targets = [...read(document).matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target);
  const broken = targets.filter((target) => {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? document : join(dirname(document), path);
    if (!existsSync(join(ROOT, file))) return true;
    return anchor !== undefined && !headingsOf(file).includes(anchor);
  });
  expect(broken).toEqual([]);
});

function headingsOf(document: string): readonly string[] {
  const headings = [...read(document).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
}

interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
}

function schemaOf(): Schema {
  return JSON.parse(read('charts/clustermesh-apiserver/values.schema.json')) as Schema;
}

/** A row for each value that is not a group of values. */
function valueRows(schema: Schema, values: unknown, path = ''): readonly string[] {
  const isGroup = schema.properties !== undefined && !path.endsWith('Probe');
  if (!isGroup && path === 'global') return [];
  if (!isGroup) {
    const shown = values === undefined ? '' : `\`${JSON.stringify(values).replaceAll('|', '\\|')}\``;
    return [`| \`${path}\` | ${shown} | ${schema.description} |`, ...entryRows(schema.additionalProperties, path)];
  }
  return Object.entries(schema.properties ?? {}).flatMap(([name, each]) =>
    valueRows(each, (values as Values | undefined)?.[name], path === '' ? name : `${path}.${name}`),
  );
}

/** Of a mapping whose names are free. */
function entryRows(entry: Schema['additionalProperties'], path: string): readonly string[] {
  return typeof entry === 'object' && entry.properties !== undefined ? valueRows(entry, undefined, `${path}.<name>`) : [];
}

/** A kubeconfig with a context for each cluster, by name. */
function kubeconfigOf(clusters: Readonly<Record<string, Cluster>>): string {
  interface Config {
    readonly clusters: readonly { readonly cluster: object }[];
    readonly users: readonly { readonly user: object }[];
  }
  const parts = Object.entries(clusters).map(([name, { kubeconfig }]) => ({ name, config: parse(kubeconfig) as Config }));
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: parts.map(({ name, config }) => ({ name, cluster: config.clusters[0]?.cluster })),
    users: parts.map(({ name, config }) => ({ name, user: config.users[0]?.user })),
    contexts: parts.map(({ name }) => ({ name, context: { cluster: name, user: name } })),
  });
}
