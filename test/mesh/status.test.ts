import { createServer, type Server } from 'node:http';
import { type AddressInfo, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { statusFlagTable } from '../../src/mesh/flags.ts';
import { type StatusReport, status } from '../../src/mesh/status/read.ts';
import { statusText } from '../../src/mesh/status/text.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { providerMissing } from '../support/kubernetes/kubernetes-provider.ts';
import { KvstoremeshProcess } from '../support/kvstoremesh/kvstoremesh-process.ts';
import { startFullRemote, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { freePort } from '../support/network/free-port.ts';
import { runChild, startChild } from '../support/processes/child.ts';
import { until } from '../support/until.ts';
import { type Mesh, meshFixture } from './mesh-fixture.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** The API server connects to no Pod with a loopback address. */
const ADDRESS = Object.values(networkInterfaces())
  .flat()
  .find((each) => each !== undefined && !each.internal && isIPv4(each.address))?.address;

const missing = providerMissing('real') ?? (ADDRESS === undefined ? 'no address other than loopback' : undefined);

const servers: Server[] = [];

/** The metrics of an agent, as Cilium 1.19 writes them. */
async function agent(remotes: Readonly<Record<string, 0 | 1>>): Promise<number> {
  const lines = Object.entries(remotes).flatMap(([name, ready]) => [
    `cilium_clustermesh_remote_cluster_readiness_status{target_cluster="${name}"} ${ready}`,
    `cilium_clustermesh_remote_cluster_failures{target_cluster="${name}"} ${ready === 1 ? 0 : 3}`,
    `cilium_clustermesh_remote_cluster_last_failure_ts{target_cluster="${name}"} ${ready === 1 ? 0 : 1_790_000_000}`,
  ]);
  return metrics(lines);
}

async function metrics(lines: readonly string[]): Promise<number> {
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/metrics' ? 200 : 404;
    response.end(`${lines.join('\n')}\n`);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  return (server.address() as AddressInfo).port;
}

async function pod(mesh: Mesh, name: string, app: string, container: string, port?: { name: string; containerPort: number }) {
  const image =
    container === 'cilium-agent' ? 'example.org/cilium/cilium:v1.19.5' : `example.org/mesh:v0.1.0@sha256:${'0'.repeat(64)}`;
  const containers = [{ name: container, image, ports: port === undefined ? [] : [port] }];
  await mesh.create('east', 'pods', {
    metadata: { name, labels: { 'k8s-app': app } },
    spec: { nodeName: 'east-0', containers },
  });
  const state = { phase: 'Running', podIP: ADDRESS, podIPs: [{ ip: ADDRESS }] };
  await mesh.servers.east.requests.patch(mesh.path('pods', `${name}/status`), 'merge-patch', { status: state });
}

async function deployed(mesh: Mesh): Promise<void> {
  const path = `/apis/apps/v1/namespaces/${mesh.namespace}/deployments/clustermesh-apiserver/status`;
  await mesh.servers.east.requests.patch(path, 'merge-patch', { status: { replicas: 1, readyReplicas: 1 } });
}

async function read(mesh: Mesh, ...argv: readonly string[]): Promise<{ report: StatusReport; text: string; waits: string[] }> {
  const parsed = parseFlags(statusFlagTable, [...mesh.argv(), ...argv], {});
  if (parsed === 'help') throw new Error('it was not asked for help');
  const waits: string[] = [];
  const onWait = (_: number, problems: readonly string[]) => void waits.push(problems.join(', '));
  const report = await status(parsed.values, { clock: systemClock, signal: AbortSignal.timeout(50_000), onWait });
  const text = statusText(report, { namespace: mesh.namespace, wide: parsed.values.output === 'wide' })
    .replaceAll(/10\.\d+\.\d+\.\d+/g, 'CLUSTER-IP')
    .replaceAll(mesh.namespace, 'NAMESPACE')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:]+Z/g, 'TIME')
    .replaceAll(/at most \d+\.\d s/g, 'at most N s');
  return { report, text, waits };
}

describe.skipIf(missing !== undefined)(`status${missing === undefined ? '' : ` (${missing})`}`, { timeout: 60_000 }, () => {
  const meshes = meshFixture();
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  test('a cluster without Pods is not ready, and says what is missing', async () => {
    const mesh = await meshes.installed();
    const { report, text } = await read(mesh);
    expect(report).toMatchObject({ ready: false, problems: ['clustermesh-apiserver is not ready'] });
    expect(text.split('\n')).toEqual([
      '✅ Service "clustermesh-apiserver" of type "ClusterIP" found',
      '✅ Cluster access information is available:',
      '  - CLUSTER-IP:2379',
      '❌ Deployment clustermesh-apiserver is not ready: 0 of 1 Pods',
      'ℹ️  KVStoreMesh is enabled',
      '✅ Certificates are valid until TIME',
      '',
      '🔌 No cluster connected',
      '',
    ]);
  });

  test('agents and a running kvstoremesh are read through the API server, in the layout of Cilium', async () => {
    const mesh = await meshes.installed();
    await mesh.connect();
    await deployed(mesh);
    await using local = await startLocal();
    await using west = await startFullRemote('west', 2);
    const port = await freePort();
    const endpoint = local.process.endpoint;
    await using process = await KvstoremeshProcess.prepare({ endpoint, flags: [`--prometheus-serve-addr=:${port}`] });
    process.add(west);
    await process.start();
    await process.until('west is mirrored', 'west', ({ ready }) => ready);
    await pod(mesh, 'clustermesh-apiserver-0', 'clustermesh-apiserver', 'kvstoremesh', {
      name: 'kvmesh-metrics',
      containerPort: port,
    });
    const good = await agent({ west: 1 });
    await pod(mesh, 'cilium-good', 'cilium', 'cilium-agent', { name: 'prometheus', containerPort: good });
    const first = await read(mesh);
    expect(first.report).toMatchObject({ ready: true, problems: [] });
    expect(first.text.split('\n').slice(-10)).toEqual([
      '✅ Certificates are valid until TIME',
      'ℹ️  Versions: cilium-agent v1.19.5; clustermesh-apiserver v0.1.0',
      '',
      '✅ All 1 nodes are connected to all clusters [min:1 / avg:1.0 / max:1]',
      '✅ All 1 KVStoreMesh replicas are connected to all clusters [min:1 / avg:1.0 / max:1]',
      'ℹ️  KVStoreMesh leader: clustermesh-apiserver-0',
      '',
      '🔌 Cluster Connections:',
      '  - west: 1/1 configured, 1/1 connected - KVStoreMesh: 1/1 configured, 1/1 connected, at most N s old',
      '',
    ]);

    const bad = await agent({ west: 0 });
    await pod(mesh, 'cilium-bad', 'cilium', 'cilium-agent', { name: 'prometheus', containerPort: bad });
    await pod(mesh, 'cilium-silent', 'cilium', 'cilium-agent');
    const { text: wide } = await read(mesh, '-o=wide');
    expect(wide).toContain('\n  - clustermesh-apiserver-remote-cert: until TIME\n');
    expect(wide).toContain('\nℹ️  cilium-silent: connections not known: no port prometheus\n');
    const second = await read(mesh);
    expect(second.report).toMatchObject({ ready: false, problems: ['1 nodes are not ready'] });
    expect(second.text.split('\n').slice(8)).toEqual([
      '⚠️  1/2 nodes are not connected to all clusters [min:0 / avg:0.5 / max:1]',
      'ℹ️  Connections of 1 nodes are not known: enable prometheus.enabled of Cilium',
      '✅ All 1 KVStoreMesh replicas are connected to all clusters [min:1 / avg:1.0 / max:1]',
      'ℹ️  KVStoreMesh leader: clustermesh-apiserver-0',
      '',
      '🔌 Cluster Connections:',
      '  - west: 2/2 configured, 1/2 connected - KVStoreMesh: 1/1 configured, 1/1 connected, at most N s old',
      '',
      '❌ 1 Errors:',
      '  ❌ cilium-bad is not connected to cluster west: not ready, 3 failures, the last at TIME',
      "     💡 Run 'kubectl exec -it -n NAMESPACE cilium-bad -c cilium-agent -- cilium-dbg troubleshoot clustermesh west' to investigate the cause",
      '',
    ]);
  });

  test('a Pod that does not answer is an error, and one that does not have a cluster yet too', async () => {
    const mesh = await meshes.installed();
    await mesh.connect();
    await deployed(mesh);
    const closed = { name: 'kvmesh-metrics', containerPort: await freePort() };
    await pod(mesh, 'clustermesh-apiserver-0', 'clustermesh-apiserver', 'kvstoremesh', closed);
    await pod(mesh, 'cilium-new', 'cilium', 'cilium-agent', { name: 'prometheus', containerPort: await agent({}) });
    const { report, text } = await read(mesh);
    expect(report.problems).toEqual(['1 nodes are not ready', '1 KVStoreMesh replicas are not ready']);
    expect(text).toContain('❌ 2 Errors:\n');
    expect(text).toContain(
      '❌ cilium-new is not connected to cluster west: the Pod does not have the cluster in its configuration yet\n',
    );
    expect(text).toMatch(/❌ clustermesh-apiserver-0: status unknown: context east: cannot get metrics of Pod .*refused/);
  });

  test('clusters that kvstoremesh rejects or no longer mirrors are named with the reason, with what its policy imports, and removed ones are counted', async () => {
    const mesh = await meshes.installed();
    await mesh.connect();
    await deployed(mesh);
    const of = (series: string, name: string, value: number) =>
      `cilium_kvstoremesh_remote_cluster_${series}{target_cluster="${name}"} ${value}`;
    const port = await metrics([
      ...['west', 'north'].map((name) => of('readiness_status', name, 0)),
      of('rejected', 'west', 1),
      of('stopped', 'west', 0),
      of('rejected', 'north', 0),
      of('stopped', 'north', 1),
      'cilium_kvstoremesh_import_policy_excluded_keys{target_cluster="west",kind="nodes"} 0',
      'cilium_kvstoremesh_import_policy_excluded_keys{target_cluster="west",kind="endpoints"} 468000',
      'cilium_kvstoremesh_publisher_section_keys{scope="ip/v1",source_cluster="west"} 12000',
      'cilium_kvstoremesh_publisher_section_keys{scope="nodes/v1",source_cluster="west"} 40',
      'cilium_kvstoremesh_publisher_section_keys{scope="ip/v1",source_cluster="north"} 5',
      'cilium_kvstoremesh_remote_clusters_draining 2',
    ]);
    const named = { name: 'kvmesh-metrics', containerPort: port };
    await pod(mesh, 'clustermesh-apiserver-0', 'clustermesh-apiserver', 'kvstoremesh', named);
    const { report, text } = await read(mesh);
    expect(report.kvstoremesh.status).toMatchObject({ draining: 2, not_ready: 1 });
    expect(text).toContain(
      'clustermesh-apiserver-0 is not connected to cluster west: rejected, because of its cluster ID for example\n',
    );
    expect(text).toContain('clustermesh-apiserver-0 is not connected to cluster north: mirroring stopped: it exceeds a limit\n');
    expect(report.kvstoremesh.status.import_policy).toEqual({ west: '12,000 of 480,000 endpoints imported by policy' });
    expect(text).toMatch(/^ {2}- west: .*0\/1 connected, 12,000 of 480,000 endpoints imported by policy$/m);
    expect(text).toMatch(/^ {2}- north: .*0\/1 connected$/m);
    expect(text).toContain('ℹ️  Keys of 2 removed clusters are about to be removed\n');
  });

  test('waiting ends when the cluster is ready, and after its duration', async () => {
    const mesh = await meshes.installed();
    const late = await read(mesh, '--wait', '--wait-duration=1ms');
    expect(late).toMatchObject({ report: { ready: false }, waits: [] });
    const waiting = parseFlags(statusFlagTable, [...mesh.argv(), '--wait', '--wait-duration=40s'], {});
    if (waiting === 'help') throw new Error('it was not asked for help');
    const waits: (readonly string[])[] = [];
    const onWait = (_: number, problems: readonly string[]) => {
      if (waits.push(problems) === 1) void deployed(mesh);
    };
    const signal = AbortSignal.timeout(50_000);
    expect((await status(waiting.values, { clock: systemClock, signal, onWait })).ready).toBe(true);
    expect(waits[0]).toEqual(['clustermesh-apiserver is not ready']);
  });

  test('--watch reports again and again until it is interrupted', async () => {
    const mesh = await meshes.installed();
    await using watching = startChild(process.execPath, [MAIN, 'status', ...mesh.argv('--watch')]);
    const reports = () => watching.stdoutSoFar.split('Service "clustermesh-apiserver" of type').length - 1;
    await until('there are two reports', () => reports() >= 2);
    watching.kill('SIGINT');
    expect(await watching.outcome).toMatchObject({ status: 1, stderr: '' });
  });

  test('certificates that expire are named', async () => {
    const mesh = meshes.empty();
    await mesh.install('east');
    await mesh.certificates('east', undefined, '--cert-validity-duration=48h');
    expect((await read(mesh)).text).toContain('⚠️  Certificate of Secret clustermesh-apiserver-server-cert expires TIME\n');
  });

  test('the report for programs has the members of Cilium’s, and never a key; the status is 1 if something is not ready', async () => {
    const mesh = await meshes.installed();
    const { stdout, status: exit } = await runChild(process.execPath, [MAIN, 'status', ...mesh.argv('-o=json')]);
    expect(exit).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      access_information: { service_type: 'ClusterIP', service_port: 2379, cluster_id: 1, cluster_name: 'east' },
      connectivity: { connected: { min: 0, avg: 0, max: 0 }, clusters: {}, total: 0, not_ready: 0, errors: [] },
      kvstoremesh: { enabled: true, status: { total: 0 } },
    });
    expect(stdout).not.toMatch(/PRIVATE|BEGIN|client_key/);
    await deployed(mesh);
    expect((await runChild(process.execPath, [MAIN, 'status', ...mesh.argv()])).status).toBe(0);
  });
});
