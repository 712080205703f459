/** The alerts of the chart: which series let them fire, and what they say. Judged by promtool. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROMTOOL, prometheusMissing } from '../../support/prometheus.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { CHART, Helm, helmMissing } from '../rendered/helm.ts';
import { type AlertCase, CASES, type InputSeries } from './cases.ts';
import { type Group, renderedGroups, rulesOf } from './rules.ts';

const missing = helmMissing() ?? prometheusMissing();
const FILES = ['clustermesh', 'etcd', 'kvstoremesh', 'objectives', 'targets'];
const RUNBOOK = readFileSync(join(CHART, '../../docs/operate.md'), 'utf8');

describe.skipIf(missing !== undefined)(`the alerts of the chart${missing === undefined ? '' : ` (${missing})`}`, () => {
  const helm = new Helm();
  const directory = temporaryDirectory('alerts');
  let groups: readonly Group[];

  beforeAll(async () => {
    groups = await renderedGroups(helm);
    writeFileSync(join(directory, 'rules.json'), JSON.stringify({ groups }));
  });
  afterAll(() => helm[Symbol.dispose]());

  function promtool(...args: readonly string[]): void {
    const { status, stdout, stderr } = spawnSync(PROMTOOL, args, { cwd: directory, encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: expect.any(String), stderr: '' });
  }

  /** Lets promtool compare the alerts that fire. */
  function testRules(cases: readonly object[], externalLabels: InputSeries = {}): void {
    const tests = cases.map((each) => ({ interval: '1m', external_labels: externalLabels, ...each }));
    writeFileSync(
      join(directory, 'tests.json'),
      JSON.stringify({ rule_files: ['rules.json'], evaluation_interval: '1m', tests }),
    );
    promtool('test', 'rules', 'tests.json');
  }

  const inputOf = (series: InputSeries) => Object.entries(series).map(([name, values]) => ({ series: name, values }));
  const expected = ({ alert, labels, summary }: AlertCase, cluster = 'east') => ({
    exp_labels: labels,
    exp_annotations: { summary: `${cluster}: ${summary}`, runbook_url: `docs/operate.md#${alert.toLowerCase()}` },
  });
  /** The one of the other daemon fires too: its series are not there either. */
  const isAbsent = ({ alert, fires }: AlertCase) => alert === 'ClusterMeshDaemonAbsent' && Object.keys(fires).length === 0;

  test('promtool has no complaints about the rules of the chart, nor about the files', () => {
    promtool('check', 'rules', 'rules.json');
    promtool('check', 'rules', ...FILES.map((name) => join(CHART, `files/rules/${name}.yaml`)));
  });

  test('every alert has its case', () => {
    const alerts = rulesOf(groups).flatMap(({ alert }) => alert ?? []);
    expect([...new Set(CASES.map(({ alert }) => alert))].sort()).toEqual([...new Set(alerts)].sort());
  });

  test.each(CASES)('$alert fires if it should, and only then ($summary)', (each) => {
    const absent = CASES.filter((other) => other.alert === each.alert && isAbsent(other));
    const others = isAbsent(each) ? absent.filter((other) => other !== each) : [];
    const alertsOf = (alerts: readonly AlertCase[]) => [
      { eval_time: each.at, alertname: each.alert, exp_alerts: alerts.map((alert) => expected(alert)) },
    ];
    testRules([
      { input_series: inputOf(each.fires), alert_rule_test: alertsOf([each, ...others]) },
      { input_series: inputOf(each.isQuiet), alert_rule_test: alertsOf(others) },
    ]);
  });

  test('an alert names the cluster of the series, or of the Prometheus, before that of the chart', () => {
    const [each] = CASES as readonly [AlertCase];
    const alertsOf = (labels: object, cluster: string) => [
      {
        eval_time: each.at,
        alertname: each.alert,
        exp_alerts: [{ ...expected(each, cluster), exp_labels: { ...each.labels, ...labels } }],
      },
    ];
    const labelled = Object.fromEntries(
      Object.entries(each.fires).map(([name, values]) => [name.replace('{', '{cluster="oslo", '), values]),
    );
    testRules(
      [
        { input_series: inputOf(labelled), alert_rule_test: alertsOf({ cluster: 'oslo' }, 'oslo') },
        { input_series: inputOf(each.fires), alert_rule_test: alertsOf({}, 'rome') },
      ],
      { cluster: 'rome' },
    );
  });

  test('every alert has a severity, a summary and a section of the runbook, and the runbook has no other sections', () => {
    const alerts = rulesOf(groups).filter(({ alert }) => alert !== undefined);
    for (const { alert = '', labels, annotations } of alerts) {
      expect(labels?.severity, alert).toMatch(/^(warning|critical)$/);
      expect(annotations?.summary, alert).not.toMatch(/\n|this cluster/);
      expect(annotations?.runbook_url).toBe(`docs/operate.md#${alert.toLowerCase()}`);
    }
    const sections = [...RUNBOOK.matchAll(/^### (ClusterMesh\w+)\n/gm)].map(([, name]) => name);
    expect(sections.sort()).toEqual([...new Set(alerts.map(({ alert }) => alert))].sort());
  });

  test('every section says what the alert means, what users notice, how to check and what to do', () => {
    const sections = RUNBOOK.split(/^### /m).filter((section) => section.startsWith('ClusterMesh'));
    const lacking = sections.flatMap((section) =>
      ['**Meaning.**', '**Effect.**', '**Check.**', '**Remedy.**'].flatMap((part) =>
        section.includes(part) ? [] : [`${section.split('\n', 1)[0]} lacks ${part}`],
      ),
    );
    expect(lacking).toEqual([]);
  });

  test('the severity in the runbook is that of the rule', () => {
    for (const { alert = '', labels } of rulesOf(groups).filter((rule) => rule.alert !== undefined))
      expect(RUNBOOK, alert).toMatch(
        new RegExp(`^### ${alert}\n\n${labels?.severity === 'critical' ? 'Critical' : 'Warning'}`, 'm'),
      );
  });

  test('the runbook lists the recording rules', () => {
    for (const { record } of rulesOf(groups)) if (record !== undefined) expect(RUNBOOK).toContain(`\`${record}\``);
  });

  test('job, runbook and the components of the Pod are those of the values', async () => {
    const rule = { job: 'mesh', runbook: 'https://git.example.org/mesh/docs/operate.md' };
    const text = JSON.stringify(await renderedGroups(helm, { prometheusRule: rule }));
    expect(text).not.toContain('clustermesh-apiserver-metrics');
    expect(text).toContain('https://git.example.org/mesh/docs/operate.md#clustermeshetcdfull');
    const off = { enabled: false };
    expect((await renderedGroups(helm, { apiserver: off, kvstoremesh: off })).map(({ name }) => name)).toEqual([
      'clustermesh-etcd',
      'clustermesh-targets',
    ]);
    expect(await renderedGroups(helm, { apiserver: off, kvstoremesh: off, etcd: off })).toEqual([]);
    expect(await helm.template({})).not.toContain('PrometheusRule');
  });
});
