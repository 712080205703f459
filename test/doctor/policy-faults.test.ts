/** Faults of the import policy and of the selector of endpoints, each with the finding that names it. */
import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { selectorFindings } from '../../src/apiserver/plan/selector-findings.ts';
import type { Finding } from '../../src/shared/diagnosis/finding.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { ConfigDirectory } from '../support/kvstoremesh/config-directory.ts';
import { KvstoremeshRun } from '../support/kvstoremesh/kvstoremesh-run.ts';
import { type Remote, type Store, startLocal, startRemote } from '../support/kvstoremesh/mesh-fixture.ts';
import { freePort } from '../support/network/free-port.ts';
import { runChild } from '../support/processes/child.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const RANGE = 7 * 65_536;

interface PolicyFault {
  readonly name: string;
  /** Undefined for no file. */
  readonly policy: string | undefined;
  readonly finding: string;
  readonly says: RegExp;
}

const FAULTS: readonly PolicyFault[] = [
  {
    name: 'a wrong file',
    policy: 'clusters: [{match: berlin, kinds: [endpoint]}]',
    finding: 'import-policy-file error FILE',
    says: /policy\.yaml:1:36: clusters.*the policy before stays in force → correct the file.*import-plan FILE; run: kubectl/,
  },
  {
    name: 'a rule for a cluster that does not exist',
    policy: 'clusters: [{match: "eu-*", kinds: [nodes]}]',
    finding: 'import-policy-rule warning rule "eu-*"',
    says: /matches none of the 1 remote clusters → correct its match/,
  },
  {
    name: 'a rule behind one that matches all of its clusters',
    policy: 'clusters: [{match: "b*"}, {match: "ber*", kinds: [nodes]}]',
    finding: 'import-policy-rule warning rule "ber*"',
    says: /never counts: rule "b\*" before it matches all of its clusters → put it before that rule/,
  },
  {
    name: 'a rule behind others that match its clusters',
    policy: 'clusters: [{match: "b*"}, {match: "*in", kinds: [nodes]}]',
    finding: 'import-policy-rule warning rule "*in"',
    says: /counts for no cluster: rules before it match berlin/,
  },
  {
    name: 'a cluster of which nothing is imported',
    policy: 'clusters: [{match: berlin, namespaces: {allow: [shopp]}}]',
    finding: 'import-policy-empty warning berlin',
    says: /0 of 1 identities, 0 of 1 endpoints imported by policy, rule "berlin" → correct namespaces/,
  },
  {
    name: 'an address outside',
    policy: 'clusters: [{match: berlin, nodeCIDRs: [172.17.0.0/16], kinds: [nodes, identities, endpoints]}]',
    finding: 'import-policy-addresses warning berlin',
    says: /1 key has an address outside of rule "berlin", such as cilium\/cache\/nodes\/v1\/berlin\/n1: 172\.16\.0\.1 is not in nodeCIDRs; 0 of 1 nodes imported by policy/,
  },
  {
    name: 'a quota that is reached',
    policy: 'clusters: [{match: berlin, quota: {keys: 2}}]',
    finding: 'remote-quota error berlin',
    says: /more than 2 keys.*raise quota\.keys in the import policy/,
  },
];

describe.skipIf(etcdVersions().length === 0)('kvstoremesh-dbg doctor names', { timeout: 60_000 }, () => {
  const directory = new ConfigDirectory();
  const file = join(temporaryDirectory('policy'), 'policy.yaml');
  const localConfig = join(temporaryDirectory('local'), 'etcd.yaml');
  let local: Store;
  let berlin: Remote;
  let daemon: KvstoremeshRun;

  beforeAll(async () => {
    [local, berlin] = await Promise.all([startLocal(), startRemote('berlin')]);
    await berlin.configure(7);
    await berlin.put({
      'cilium/state/nodes/v1/berlin/n1': '{"IPAddresses":[{"Type":"InternalIP","IP":"172.16.0.1"}]}',
      [`cilium/state/identities/v1/id/${RANGE + 1}`]: 'k8s:io.kubernetes.pod.namespace=shop;',
      'cilium/state/ip/v1/default/10.8.0.1': JSON.stringify({ IP: '10.8.0.1', ID: RANGE + 1, K8sNamespace: 'shop' }),
    });
    await berlin.announce();
    directory.add(berlin);
    writeFileSync(localConfig, `endpoints: ["${local.process.endpoint}"]\n`);
    daemon = await KvstoremeshRun.start(local, directory, { flags: [`--import-policy=${file}`] });
    await daemon.ready();
  });
  afterAll(async () => {
    await daemon?.stop();
    await berlin?.[Symbol.asyncDispose]();
    await local?.[Symbol.asyncDispose]();
  });

  const doctor = async (api = `127.0.0.1:${daemon.ports.api}`) => {
    const flags = [`--etcd-config=${localConfig}`, `--clustermesh-config=${directory.path}`, '--cluster-name=harbor'];
    const { stdout } = await runChild('node', [main, 'kvstoremesh-dbg', 'doctor', ...flags, `--host=${api}`, '-o', 'json']);
    const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] };
    return findings.filter(({ check }) => check.startsWith('import-policy') || check === 'remote-quota');
  };
  const named = async () => {
    const report = JSON.parse((await daemon.get('api', '/v1/import-policy')).body) as { problems: readonly Finding[] };
    return shown(report.problems);
  };
  const shown = (findings: readonly Finding[]) =>
    findings.map(({ check, verdict, subject }) => `${check} ${verdict} ${subject.replace(file, 'FILE')}`);
  const isNamed = (finding: string) =>
    until(`${finding} is named`, async () => (await named()).join() === finding, { withinMs: 30_000, status: named });

  test('a file that does not exist', async () => {
    await isNamed('import-policy-file warning FILE');
    const [found] = await doctor();
    expect(`${found?.evidence} → ${found?.remedy}`).toMatch(
      /does not exist; everything is imported until .* → write or mount the file/,
    );
  });

  test.each(FAULTS)('$name, and nothing else', async ({ policy, finding, says }) => {
    writeFileSync(file, 'clusters: []');
    await until('the policy is in force', async () => (await named()).length === 0, { withinMs: 30_000, status: named });
    writeFileSync(file, policy ?? '');
    await isNamed(finding);
    const findings = await doctor();
    expect(shown(findings)).toEqual([finding]);
    expect(`${findings[0]?.evidence} → ${findings[0]?.remedy}`).toMatch(says);
  });

  test('that the checks of the policy could not be made, where the daemon does not answer', async () => {
    const api = `127.0.0.1:${await freePort()}`;
    expect(await doctor(api)).toEqual([
      {
        check: 'import-policy-file',
        group: 'Configuration',
        verdict: 'unknown',
        subject: api,
        evidence: `is KVStoreMesh running and serving the API on ${api}? The import policy and the limits of remote clusters are not checked`,
        remedy: expect.stringMatching(/^start kvstoremesh, or set --host; run: kubectl/),
      },
    ]);
  });

  test('nothing of a daemon that has no import policy, and that the answer of another server cannot be read', async () => {
    let status = 404;
    const server = createServer((_, answer) => {
      answer.statusCode = status;
      answer.end('{"code": 404}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const api = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await doctor(api)).toEqual([]);
    status = 200;
    const [found] = await doctor(api);
    server.close();
    expect(found).toMatchObject({ check: 'import-policy-file', verdict: 'unknown', subject: api });
    expect(found?.evidence).toMatch(/^its answer is not that of kvstoremesh/);
  });

  test('a file that goes, while the policy before stays in force', async () => {
    writeFileSync(file, 'clusters: [{match: berlin}]');
    await until('the policy is in force', async () => (await named()).length === 0, { withinMs: 30_000, status: named });
    rmSync(file);
    await isNamed('import-policy-file error FILE');
    expect((await doctor())[0]?.evidence).toMatch(/does not exist; the policy before stays in force/);
  });
});

describe('clustermesh-dbg doctor names', () => {
  const counts = (exported: number, heldBack: number) =>
    [
      '# TYPE cilium_clustermesh_apiserver_export_endpoints gauge',
      `cilium_clustermesh_apiserver_export_endpoints{decision="exported"} ${exported}`,
      `cilium_clustermesh_apiserver_export_endpoints{decision="held_back"} ${heldBack}`,
      '',
    ].join('\n');

  test('a selector that is invalid, with the character', () => {
    const [found] = selectorFindings({ selector: 'a in (', metrics: undefined });
    expect(found).toMatchObject({ check: 'export-selector', verdict: 'error', subject: '--export-endpoint-selector' });
    expect(found?.evidence).toMatch(/character 7|position 7|at 7/);
  });

  test('one that matches no endpoint, from the metrics of the daemon', async () => {
    const server = createServer((_, answer) => answer.end(counts(0, 1204)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const flags = [`--daemon-metrics=http://127.0.0.1:${port}/metrics`, '--etcd-config=/nowhere', '-o', 'json'];
    const { stdout } = await runChild('node', [main, 'clustermesh-dbg', 'doctor', ...flags]);
    server.close();
    const [found] = (JSON.parse(stdout) as { findings: readonly Finding[] }).findings;
    expect(found).toMatchObject({
      check: 'export-selector',
      evidence: 'it matches none of 1,204 endpoints: no address of a Pod is exported',
      remedy: expect.stringContaining('export-plan'),
    });
  });

  test('neither where some are exported, nor where there are none, nor without a selector', () => {
    for (const metrics of [counts(1, 1204), counts(0, 0), '', undefined])
      expect(selectorFindings({ selector: 'a=b', metrics })).toEqual([]);
  });
});
