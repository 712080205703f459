/** The dashboard of the chart, and the series that it and the alerts read: those of a mesh that Prometheus scrapes. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { FULL } from '../../support/kvstoremesh/mesh-fixture.ts';
import { type ScrapedDaemons, startScrapedDaemons } from '../../support/processes/scraped-daemons.ts';
import { PROMTOOL, type Prometheus, prometheusMissing, startPrometheus } from '../../support/prometheus.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { CHART, HELM, Helm, helmMissing, objectsOf } from '../rendered/helm.ts';
import { renderedGroups, rulesOf, seriesOf } from './rules.ts';

const ROOT = join(CHART, '../..');
const DASHBOARD = readFileSync(join(CHART, 'files/dashboards/clustermesh-apiserver.json'), 'utf8');

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets: readonly { readonly expr: string }[];
}

const PANELS = (JSON.parse(DASHBOARD) as { panels: readonly Panel[] }).panels.filter(({ type }) => type !== 'row');
const noProgram = helmMissing() ?? prometheusMissing();
const missing = noProgram ?? (etcdVersions().length === 0 ? 'no etcd was found' : undefined);

/** As Grafana asks it with all values of the variables. */
const asked = (expr: string) => expr.replaceAll(/\$(cluster|job)\b/g, '.*').replaceAll('$__rate_interval', '10s');

describe.skipIf(noProgram !== undefined)(`of the chart${noProgram === undefined ? '' : ` (${noProgram})`}`, () => {
  const helm = new Helm();
  afterAll(() => helm[Symbol.dispose]());

  test('the sidecar of Grafana finds the dashboard by its label', async () => {
    const dashboards = async (grafanaDashboard: object) =>
      objectsOf(await helm.template({ tls: { method: 'provided' }, metrics: { grafanaDashboard } })).filter(
        ({ metadata }) => metadata.name === 'clustermesh-apiserver-dashboard',
      );
    expect(await dashboards({})).toEqual([]);
    const [configMap] = await dashboards({ enabled: true, namespace: 'monitoring', annotations: { folder: 'Cilium' } });
    expect(configMap?.metadata).toMatchObject({
      namespace: 'monitoring',
      labels: { grafana_dashboard: '1' },
      annotations: { folder: 'Cilium' },
    });
    expect(configMap?.data?.['clustermesh-apiserver.json']).toBe(DASHBOARD);
  });

  test('the command of docs/operate.md for users of Cilium’s chart applies the alerts and the dashboard', async () => {
    const command = /^```sh\n(helm template .*?)^```$/ms.exec(readFileSync(join(ROOT, 'docs/operate.md'), 'utf8'))?.[1] ?? '';
    mkdirSync(join(helm.directory, 'bin'));
    symlinkSync(HELM, join(helm.directory, 'bin/helm'));
    symlinkSync(join(ROOT, 'charts'), join(helm.directory, 'charts'));
    // Shows what it is given.
    writeFileSync(join(helm.directory, 'bin/kubectl'), '#!/bin/sh\n[ "$*" = "apply --filename -" ] && exec cat\n', {
      mode: 0o755,
    });
    const PATH = `${helm.directory}/bin:${process.env.PATH ?? ''}`;
    const { status, stdout, stderr } = await helm.call('sh', ['-euc', command], { PATH });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(objectsOf(stdout).map(({ kind, metadata }) => `${metadata.namespace}/${kind}`)).toEqual([
      'kube-system/PrometheusRule',
      'kube-system/ConfigMap',
    ]);
  });

  test('the dashboard has the panels that docs/operate.md names', () => {
    const lines = readFileSync(join(ROOT, 'docs/operate.md'), 'utf8').match(/^.*\bpanels? \*.*$/gm) ?? [];
    const names = lines.flatMap((line) => [...line.matchAll(/(?<!\*)\*([A-Z][^*]+)\*(?!\*)/g)].map(([, name]) => name));
    expect(names.length).toBeGreaterThan(5);
    const titles = PANELS.map(({ title }) => title);
    expect(names.filter((name) => !titles.includes(name ?? ''))).toEqual([]);
  });

  test('promtool parses every query', () => {
    const directory = temporaryDirectory('dashboard');
    const queries = PANELS.flatMap(({ targets }) => targets.map(({ expr }) => asked(expr)));
    const rules = queries.map((expr, index) => ({ record: `query:${index}`, expr }));
    writeFileSync(join(directory, 'rules.json'), JSON.stringify({ groups: [{ name: 'queries', rules }] }));
    const { status, stderr } = spawnSync(PROMTOOL, ['check', 'rules', 'rules.json'], { cwd: directory, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});

describe.skipIf(missing !== undefined)(`with a mesh${missing === undefined ? '' : ` (${missing})`}`, { timeout: 180_000 }, () => {
  const helm = new Helm();
  let daemons: ScrapedDaemons;
  let prometheus: Prometheus;

  beforeAll(async () => {
    const policy = join(temporaryDirectory('policy'), 'import-policy.yaml');
    // The second rule matches no cluster, which is a problem for the panel of them.
    writeFileSync(policy, 'clusters: [{match: berlin, namespaces: {deny: [scratch]}}, {match: "eu-*", kinds: [nodes]}]');
    daemons = await startScrapedDaemons(`--import-policy=${policy}`);
    await daemons.remote.put({ 'cilium/state/services/v1/berlin/scratch/cart': '{}' });
    const rules = join(temporaryDirectory('rules'), 'rules.json');
    writeFileSync(rules, JSON.stringify({ groups: await renderedGroups(helm) }));
    const targets = [
      `127.0.0.1:${daemons.clustermesh.metricsPort}`,
      `127.0.0.1:${daemons.kvstoremesh.metricsPort}`,
      new URL(daemons.local.process.endpoint).host,
    ];
    prometheus = await startPrometheus({ job: 'clustermesh-apiserver-metrics', targets, ruleFiles: [rules] });
  }, 180_000);
  afterAll(async () => {
    await prometheus?.[Symbol.asyncDispose]();
    await daemons?.[Symbol.asyncDispose]();
    helm[Symbol.dispose]();
  });

  test('every series that an alert or a panel reads is exported', async () => {
    const etcd = async () => (await fetch(`${daemons.local.process.endpoint}/metrics`)).text();
    const scrapes = await Promise.all([daemons.clustermesh.scrape(), daemons.kvstoremesh.scrape(), etcd()]);
    const exported = new Set(
      scrapes.flatMap((scrape) =>
        [...scrape.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
          type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
        ),
      ),
    );
    const exprs = [...rulesOf(await renderedGroups(helm)), ...PANELS.flatMap(({ targets }) => targets)].map(({ expr }) => expr);
    const read = new Set(exprs.flatMap(seriesOf));
    expect(read.size).toBeGreaterThan(40);
    // `clustermesh` elects a leader only with --leader-election.
    read.delete('cilium_clustermesh_apiserver_leader_election_master_status');
    expect([...read].filter((name) => !exported.has(name))).toEqual([]);
    const recorded = rulesOf(await renderedGroups(helm)).map(({ record }) => record);
    const names = exprs.flatMap((expr) => expr.match(/\bclustermesh:\w+:\w+/g) ?? []);
    expect(names.filter((name) => !recorded.includes(name))).toEqual([]);
  });

  test('the labels by which alerts select series have these values', async () => {
    const lines = (await Promise.all([daemons.clustermesh.scrape(), daemons.kvstoremesh.scrape()])).flatMap((text) =>
      text.split('\n'),
    );
    const exprs = rulesOf(await renderedGroups(helm)).map(({ expr }) => expr);
    const selected = exprs.flatMap((expr) =>
      [...expr.matchAll(/\b(cilium_\w+)\{(check|state|bound|reason)!?=~?"([^"]+)"\}/g)].flatMap(
        ([, name = '', label = '', values = '']) => values.split('|').map((value) => ({ name, text: `${label}="${value}"` })),
      ),
    );
    expect(selected.length).toBeGreaterThan(10);
    const isExported = ({ name, text }: { name: string; text: string }) =>
      lines.some((line) => line.startsWith(`${name}{`) && line.includes(text));
    expect(selected.filter((each) => !isExported(each))).toEqual([]);
  });

  test('every panel has data', async () => {
    // The etcds of this mesh have no TLS.
    const withoutData = ['Days until certificates expire'];
    const isEmpty = async ({ targets }: Panel) => {
      const results = await Promise.all(targets.map(({ expr }) => prometheus.query(asked(expr))));
      return results.some((samples) => samples.length === 0);
    };
    const empty = async () => {
      const are = await Promise.all(PANELS.map(isEmpty));
      return PANELS.filter((_, index) => are[index]).map(({ title }) => title);
    };
    let last: readonly string[] = [];
    await until(
      'only one panel is empty',
      async () => {
        last = await empty();
        return last.join() === withoutData.join();
      },
      { status: () => last },
    );
  });

  test('every rule can be evaluated, no alert fires, and one about a remote cluster is pending once its ID is invalid', async () => {
    const rules = await until('all rules are evaluated', async () => {
      const all = await prometheus.rules();
      return all.every(({ health }) => health !== 'unknown') && all;
    });
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
    expect(rules.filter(({ state }) => state === 'firing')).toEqual([]);
    const stateOf = async (alert: string) => (await prometheus.rules()).find(({ name }) => name === alert)?.state;
    expect(await stateOf('ClusterMeshRemoteRejected')).toBe('inactive');
    await daemons.remote.configure(0, FULL);
    await until('the alert is pending', async () => (await stateOf('ClusterMeshRemoteRejected')) === 'pending');
    await daemons.remote.configure(7, FULL);
    await until('the alert is over', async () => (await stateOf('ClusterMeshRemoteRejected')) === 'inactive');
  });
});
