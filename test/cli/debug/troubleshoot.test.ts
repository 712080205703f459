import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { etcdForTest, proxyForTest } from '../../support/etcd/etcd-fixture.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { freePort } from '../../support/network/free-port.ts';
import { aliasLines, blockOf, clusterFile, comparable, directoryForTest, reportOn } from './mesh-directory.ts';

describe('without any etcd', () => {
  test('a directory that is not there is no error', async () => {
    const { documented } = await reportOn({}, { directory: '/nowhere/clustermesh' });
    expect(documented).toBe(
      'Unable to retrieve cluster configurations: open /nowhere/clustermesh: no such file or directory\nThis is expected when Cluster Mesh is disabled\n',
    );
  });

  test('an empty directory has no cluster and no problem', async () => {
    const { documented, verdicts } = await reportOn({ 'ca.crt': 'x', README: 'no mark' });
    expect(documented).toBe('Found 0 cluster configurations\n');
    expect(verdicts).toEqual(['no problem found']);
  });

  test('keys that make no sense are named, in a file with endpoints and in one without', async () => {
    const { verdicts } = await reportOn({
      berlin: 'Endpoints: ["http://127.0.0.1:1"] # endpoints:\ntrusted-ca-fiel: /ca\n---\nanother: document\n',
      oslo: 'endpoint:\n- http://127.0.0.1:1\n',
      rome: 'endpoint: [x] # endpoints:\n',
    });
    expect(verdicts).toContainEqual(
      expect.stringMatching(/^berlin: .*berlin:2: trusted-ca-fiel: .*did you mean trusted-ca-file\?$/),
    );
    expect(verdicts).toContainEqual(expect.stringMatching(/^oslo: the file is ignored: it does not contain "endpoints:"/));
    expect(verdicts).toContainEqual(expect.stringMatching(/^rome: .*endpoint: .*did you mean endpoints\?$/));
  });

  test('a name without a file is reported, with the existing names', async () => {
    const { documented, verdicts } = await reportOn(
      { berlin: '- endpoints: [', oslo: '- endpoints: [' },
      { clusters: ['paris', '../berlin'] },
    );
    expect(documented).toBe(
      [
        'Found 2 cluster configurations',
        'Troubleshooting filtered subset of clusters: paris, ../berlin',
        '',
        'Cluster "../berlin":',
        '❌ Configuration not found',
        '',
        'Cluster "paris":',
        '❌ Configuration not found',
        '',
      ].join('\n'),
    );
    expect(verdicts).toEqual(['../berlin: no such file; found: berlin, oslo', 'paris: no such file; found: berlin, oslo']);
  });

  test('what is not YAML ends the report below the title, what names no endpoint does not', async () => {
    const alias = clusterFile(['http://127.0.0.1:1'], {}, aliasLines('x', 'not an address'));
    expect(blockOf(await reportOn({ berlin: alias }), 'berlin')).toMatch(
      /^Cluster "berlin":\n❌ Could not parse Cilium config: .*cilium-host-aliases.*\n$/,
    );
    const report = await reportOn({ berlin: 'endpoints: [\n', oslo: 'endpoints: []\n', rome: 'x: 1 # endpoints:\n' });
    expect(blockOf(report, 'berlin')).toMatch(/^Cluster "berlin":\n❌ Could not parse Cilium config: .*\n$/);
    for (const name of ['oslo', 'rome']) {
      expect(blockOf(report, name)).toBe(
        `Cluster "${name}":
📄 Configuration path: <dir>/${name}

❌ No available endpoints

🔑 Digital certificates:
   ⚠️ Root CA unset: using system pool
   ⚠️ No available TLS client certificates

⚙️ Etcd client:
   ❌ Failed to create etcd client: etcdclient: no available endpoints
`,
      );
    }
    expect(report.verdicts).toEqual([
      expect.stringMatching(/^berlin: <dir>\/berlin cannot be read as YAML: .*; correct the file$/),
      expect.stringContaining('oslo: <dir>/oslo has no endpoint; add the URL'),
      expect.stringContaining('rome: <dir>/rome has no endpoint; add the URL'),
      'rome: <dir>/rome:1: x: unknown key, ignored',
    ]);
  });

  test('an endpoint that is none ends the report below the path', async () => {
    const report = await reportOn({ berlin: clusterFile(['ftp://x']) });
    expect(blockOf(report, 'berlin')).toMatch(
      /📄 Configuration path: .*\n❌ Cannot parse etcd configuration: .*"ftp:\/\/x" is not an endpoint; allowed: /,
    );
  });

  test('a port without a listener is reported', async () => {
    const port = await freePort();
    const report = await reportOn({ berlin: clusterFile([`http://127.0.0.1:${port}`]) });
    expect(comparable(blockOf(report, 'berlin'))).toContain(
      '   - http://127.0.0.1:<port>\n     ❌ Cannot establish TCP connection to 127.0.0.1:<port>: dial tcp 127.0.0.1:<port>: connect: connection refused\n\n',
    );
    expect(report.verdicts).toEqual([
      expect.stringContaining(`nothing listens on 127.0.0.1:${port}; check the port (a NodePort differs`),
    ]);
  });

  test('a name that does not resolve is reported once', async () => {
    const report = await reportOn({ berlin: clusterFile(['https://berlin.invalid:2379']) }, { timeoutMs: 3_000 });
    expect(blockOf(report, 'berlin')).toMatch(
      /❌ Cannot resolve hostname: lookup berlin\.invalid: .*\n.*❌ Cannot establish TCP connection to berlin\.invalid:2379: dial tcp: lookup/,
    );
    expect(report.verdicts).toEqual([expect.stringMatching(/berlin\.invalid/)]);
    expect(report.verdicts[0]).toContain('cilium-host-aliases');
  });

  test('more than four addresses of a name are cut short', async () => {
    const ips = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5'];
    const report = await reportOn({
      berlin: clusterFile([`http://berlin.test:${await freePort()}`], {}, aliasLines('berlin.test', ...ips)),
    });
    expect(blockOf(report, 'berlin')).toContain(
      '     ✅ Hostname resolved to: 127.0.0.1, 127.0.0.2, 127.0.0.3, 127.0.0.4, ...\n',
    );
  });

  test('a server of garbage is no etcd', async () => {
    const garbage = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(Buffer.alloc(100_000, 'garbage \u001b[31m'));
    });
    await once(garbage.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void garbage.close());
    const { port } = garbage.address() as AddressInfo;
    const report = await reportOn({
      berlin: clusterFile([`https://127.0.0.1:${port}`]),
      oslo: clusterFile([`http://127.0.0.1:${port}`]),
    });
    expect(blockOf(report, 'berlin')).toContain('❌ Cannot establish TLS connection');
    expect(blockOf(report, 'oslo')).toContain('❌ Failed to establish connection: context deadline exceeded');
    expect(report.verdicts.map((verdict) => verdict.split(':')[0])).toEqual(['berlin', 'oslo']);
    expect(report.documented + report.verdicts.join('\n')).not.toContain('\u001b');
  });
});

describe.skipIf(etcdVersions().length === 0)('of an etcd (needs etcd)', () => {
  let etcd: EtcdProcess;
  let writer: Etcd3;

  beforeAll(async () => {
    etcd = await startEtcd();
    writer = new Etcd3({ hosts: etcd.endpoint });
    await writer.put('cilium/cluster-config/berlin').value('{"id":7}');
  });
  afterAll(async () => {
    writer.close();
    await etcd.stop();
  });

  test('in plain text and at an IP address, the report has no lines for name and TLS, and no problems', async () => {
    const report = await reportOn({ berlin: clusterFile([etcd.endpoint]) });
    expect(comparable(blockOf(report, 'berlin'))).toBe(
      `Cluster "berlin":
📄 Configuration path: <dir>/berlin

🔌 Endpoints:
   - http://127.0.0.1:<port>
     ✅ TCP connection successfully established to 127.0.0.1:<port>

🔑 Digital certificates:
   ⚠️ Root CA unset: using system pool
   ⚠️ No available TLS client certificates

⚙️ Etcd client:
   ✅ Etcd connection successfully established
   ℹ️  Etcd cluster ID: <id>
`,
    );
    expect(report.verdicts).toEqual(['no problem found']);
  });

  test('the local etcd comes first where it is asked for', async () => {
    const directory = directoryForTest({ 'etcd.yaml': clusterFile([etcd.endpoint]) });
    const { documented, verdicts } = await reportOn({}, { localConfig: join(directory, 'etcd.yaml') });
    expect(documented).toMatch(
      /^Local etcd kvstore:\n📄 Configuration path: [\s\S]*Etcd cluster ID: [0-9a-f]+\n\n\nFound 0 cluster configurations\n$/,
    );
    expect(verdicts).toEqual(['no problem found']);
  });

  test('the entry of the local cluster, and an invalid name, are checked and reported', async () => {
    const report = await reportOn(
      { berlin: clusterFile([etcd.endpoint]), Berlin_2: clusterFile(['http://127.0.0.1:1']) },
      { ownName: 'berlin' },
    );
    expect(report.documented).toMatch(/^Found 2 cluster configurations\n\nCluster "Berlin_2":\n/);
    expect(blockOf(report, 'berlin')).toMatch(
      /^Cluster "berlin":\nℹ️ {2}This entry corresponds to the local cluster\n📄 Configuration path: [\s\S]*✅ Etcd connection/,
    );
    expect(report.verdicts).toContain('berlin: the file is ignored: it has the name of the local cluster');
    expect(report.verdicts).toContainEqual(
      expect.stringMatching(/^Berlin_2: the file is ignored: .*; rename it to the name of its cluster$/),
    );
  });

  test('an etcd of another cluster than the name of the file is reported, first of all the local one', async () => {
    const files = { oslo: clusterFile([etcd.endpoint]) };
    expect((await reportOn(files)).verdicts).toEqual([
      'oslo: etcd has no cilium/cluster-config/oslo, only that of berlin; rename the file to the name of the cluster, or correct the address',
    ]);
    expect((await reportOn(files, { ownName: 'berlin' })).verdicts).toEqual([
      'oslo: this is the etcd of the local cluster berlin: it has no cilium/cluster-config/oslo; check the address, two clusters may use the same NodePort',
    ]);
  });

  test('clusters with one etcd, or with one ID, are reported together', async () => {
    const other = await etcdForTest();
    const oslo = new Etcd3({ hosts: other.endpoint });
    onTestFinished(() => oslo.close());
    await oslo.put('cilium/cluster-config/oslo').value('{"id":7}');
    await oslo.put('cilium/cluster-config/zero').value('{}');
    await oslo.put('cilium/cluster-config/torn').value('{');
    const report = await reportOn({
      berlin: clusterFile([etcd.endpoint]),
      oslo: clusterFile([other.endpoint]),
      torn: clusterFile([other.endpoint]),
      zero: clusterFile([other.endpoint]),
    });
    expect(report.verdicts).toEqual([
      'torn: the value of cilium/cluster-config/torn is invalid; check which program wrote it',
      'zero: cilium/cluster-config/zero has ID 0, which is reserved; set a unique ID for that cluster',
      'oslo and torn and zero reach the same etcd; correct the addresses, two clusters may use the same NodePort',
      'berlin and oslo have the same cluster ID; change the ID of one of them',
    ]);
  });

  test('one working endpoint is sufficient, and a failing one is reported anyway', async () => {
    const report = await reportOn({ berlin: clusterFile([`http://127.0.0.1:${await freePort()}`, etcd.endpoint]) });
    expect(blockOf(report, 'berlin')).toContain('✅ Etcd connection successfully established');
    expect(report.verdicts).toEqual([expect.stringContaining('nothing listens on')]);
  });

  test('small answers that arrive where large ones do not hint at the MTU', async () => {
    const proxy = await proxyForTest(etcd.port);
    for (let node = 0; node < 60; node += 1)
      await writer.put(`cilium/state/nodes/v1/berlin/node-${node}`).value('x'.repeat(20_000));
    proxy.throttle(5_000);
    const report = await reportOn({ berlin: clusterFile([proxy.endpoint]) }, { timeoutMs: 2_000 });
    expect(blockOf(report, 'berlin')).toContain('✅ Etcd connection successfully established');
    expect(report.verdicts).toEqual([expect.stringContaining('full-size packets may be lost; check the MTU')]);
  });

  test('many clusters are checked side by side and reported in their order', async () => {
    const proxy = await proxyForTest(etcd.port);
    proxy.blackHole();
    const names = Array.from({ length: 20 }, (_, index) => `c${String(index).padStart(2, '0')}`);
    const files = Object.fromEntries(
      names.map((name, index) => [name, clusterFile([index % 2 === 0 ? proxy.endpoint : etcd.endpoint])]),
    );
    const report = await reportOn(files, { timeoutMs: 500 });
    expect([...report.documented.matchAll(/^Cluster "(.*)":$/gm)].map(([, name]) => name)).toEqual(names);
    expect(report.verdicts.filter((verdict) => verdict.startsWith('c00: '))).toHaveLength(1);
  });
});
