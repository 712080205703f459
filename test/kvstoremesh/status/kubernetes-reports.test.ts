/** What the leader reports to a real kube-apiserver: Events about its Pod, and the status ConfigMap. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { type KubeApiserver, kubeApiserverMissing, startKubeApiserver } from '../../support/kubernetes/kube-apiserver.ts';
import { kubectl, kubectlMissing } from '../../support/kubernetes/kubectl.ts';
import { ConfigDirectory, harborFlags } from '../../support/kvstoremesh/config-directory.ts';
import { FULL, type Store, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { freePort } from '../../support/network/free-port.ts';
import { startTcpProxy, type TcpProxy } from '../../support/network/tcp-proxy.ts';
import { type Daemon, quickProgram, startDaemon } from '../../support/processes/daemon.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

interface Event {
  readonly reason: string;
  readonly type: string;
  readonly note: string;
  readonly reportingInstance: string;
  readonly regarding: object;
  readonly series?: { readonly count: number };
}

type Data = Readonly<Record<string, string>>;

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const NAME = 'mesh-state';

const missing = kubeApiserverMissing();
const noKubectl = kubectlMissing();

describe.skipIf(missing !== undefined)(`reports to Kubernetes${missing === undefined ? '' : ` (${missing})`}`, () => {
  let server: KubeApiserver;
  /** The way of the daemons to the server. */
  let way: TcpProxy;
  let directory: ConfigDirectory;
  let namespace: string;
  let namespaces = 0;
  const files = temporaryDirectory('reports');

  beforeAll(async () => {
    server = await startKubeApiserver();
    way = await startTcpProxy(Number(new URL(server.url).port));
  }, 120_000);

  afterAll(async () => {
    await way?.stop();
    await server?.stop();
  }, 30_000);

  beforeEach(async () => {
    namespaces += 1;
    namespace = `reports-${namespaces}`;
    directory = new ConfigDirectory();
    await way.heal();
    await server.requests.create('/api/v1/namespaces', { metadata: { name: namespace } });
  });

  /** A kubeconfig that leads through `way`, with the token of the administrator or another one. */
  function kubeconfig(token?: string): string {
    const config = parse(server.kubeconfig) as { clusters: { cluster: { server: string } }[]; users: { user: object }[] };
    for (const { cluster } of config.clusters) cluster.server = `https://127.0.0.1:${way.port}`;
    if (token !== undefined) for (const user of config.users) user.user = { token };
    const file = join(files, `${namespace}${token === undefined ? '' : '-account'}`);
    writeFileSync(file, stringify(config), { mode: 0o600 });
    return file;
  }

  async function start(local: Store, pod: string, ...more: readonly string[]): Promise<Daemon & { series(): Promise<string> }> {
    const metrics = await freePort();
    const daemon = await startDaemon(
      'kvstoremesh',
      [
        ...harborFlags(local, directory),
        '--api-serve-addr=',
        `--prometheus-serve-addr=127.0.0.1:${metrics}`,
        `--k8s-kubeconfig-path=${kubeconfig()}`,
        `--k8s-namespace=${namespace}`,
        `--k8s-pod-name=${pod}`,
        `--k8s-pod-uid=uid-of-${pod}`,
        '--k8s-events',
        `--k8s-status-configmap=${NAME}`,
        ...more,
      ],
      quickProgram({ drainGraceMs: 500 }),
    );
    onTestFinished(() => daemon.kill());
    const series = async () => (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
    return Object.assign(daemon, { series });
  }

  async function events(): Promise<readonly Event[]> {
    const list = await server.requests.get(`/apis/events.k8s.io/v1/namespaces/${namespace}/events`);
    return (list as { items: readonly Event[] }).items;
  }

  const eventOf = (reason: string, cluster: string) =>
    until(`an Event ${reason} of ${cluster}`, async () =>
      (await events()).find((event) => event.reason === reason && event.note.includes(`remote cluster ${cluster}`)),
    );

  async function data(): Promise<Data> {
    const found = await server.requests.get(`/api/v1/namespaces/${namespace}/configmaps/${NAME}`);
    return (found as { data?: Data } | undefined)?.data ?? {};
  }

  const untilData = (expected: Data) =>
    until(`the ConfigMap has ${JSON.stringify(expected)}`, async () => {
      const found = await data();
      return Object.entries(expected).every(([key, value]) => found[key] === value) && found;
    });

  test('each change of a remote is an Event about the Pod, and the ConfigMap has its state', { timeout: 120_000 }, async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 8);
    directory.add(berlin);
    directory.add(oslo);
    await start(local, 'mesh-0');

    expect(await eventOf('RemoteClusterConnected', 'berlin')).toMatchObject({
      type: 'Normal',
      note: 'connected to remote cluster berlin with ID 7; it is mirrored',
      regarding: { kind: 'Pod', namespace, name: 'mesh-0', uid: 'uid-of-mesh-0' },
      reportingInstance: 'mesh-0',
    });
    const ready = await untilData({ ready: 'true', clusters: '2', 'clusters-ready': '2', leader: 'mesh-0' });
    expect(ready).toMatchObject({ berlin_ready: 'true', berlin_connected: 'true', oslo_state: 'mirroring' });
    expect(ready.observed).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);

    await berlin.proxy.disconnect();
    const lost = await eventOf('RemoteClusterDisconnected', 'berlin');
    expect(lost).toMatchObject({ type: 'Warning', note: expect.stringMatching(/its last known state is kept: \S/) });
    const away = await untilData({ ready: 'false', berlin_ready: 'false', berlin_connected: 'false', oslo_ready: 'true' });
    expect(away.berlin_reason).toMatch(/\S/);
    await berlin.proxy.heal();
    const again = await untilData({ ready: 'true' });
    expect(again.berlin_reason).toBeUndefined();
    const repeated = async () => (await eventOf('RemoteClusterConnected', 'berlin')).series?.count;
    await until('the same Event counts both', async () => (await repeated()) === 2);

    await oslo.configure(7, FULL);
    const refused = await eventOf('RemoteClusterRefused', 'oslo');
    expect(refused).toMatchObject({ type: 'Warning', note: expect.stringContaining('cluster ID 7') });
    await untilData({ ready: 'false', oslo_state: 'refused', 'clusters-ready': '1' });

    directory.remove('oslo');
    await eventOf('RemoteClusterRemoved', 'oslo');
    await eventOf('RemoteClusterDrained', 'oslo');
    const left = await untilData({ ready: 'true', clusters: '1' });
    expect(Object.keys(left).filter((key) => key.startsWith('oslo'))).toEqual([]);
  });

  test('a remote beyond its limits is told, until a replica with other limits mirrors it', { timeout: 120_000 }, async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await berlin.fill('2');
    directory.add(berlin);
    const daemon = await start(local, 'mesh-0', '--remote-max-keys=6');
    expect((await eventOf('RemoteClusterStopped', 'berlin')).note).toMatch(/its last valid state is kept: .*6/);
    await untilData({ ready: 'false', berlin_state: 'stopped' });
    await daemon.kill();
    const next = await start(local, 'mesh-1', '--remote-max-keys=100');
    await untilData({ ready: 'true', leader: 'mesh-1' });
    expect(next.log).not.toContain('cannot write');
  });

  test('of two replicas only the leader reports', { timeout: 120_000 }, async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    directory.add(berlin);
    const first = await start(local, 'mesh-0');
    await untilData({ leader: 'mesh-0', ready: 'true' });
    const second = await start(local, 'mesh-1');
    await until('the second stands by', () => second.log.includes('standing by'));
    await berlin.proxy.disconnect();
    await eventOf('RemoteClusterDisconnected', 'berlin');
    expect((await events()).map(({ reportingInstance }) => reportingInstance)).not.toContain('mesh-1');
    await berlin.proxy.heal();
    await first.kill();
    await untilData({ leader: 'mesh-1', ready: 'true' });
  });

  test('without permission one line names the remedy, and everything is mirrored', { timeout: 120_000 }, async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    directory.add(berlin);
    await server.requests.create(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'mesh' } });
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } };
    const { status } = (await server.requests.create(`/api/v1/namespaces/${namespace}/serviceaccounts/mesh/token`, request)) as {
      status: { token: string };
    };
    const daemon = await start(local, 'mesh-0', `--k8s-kubeconfig-path=${kubeconfig(status.token)}`);
    await daemon.ready();
    const denied = (object: string) =>
      until(`${object} is counted as forbidden twice`, async () => {
        const pattern = new RegExp(`kubernetes_reports_total\\{object="${object}",outcome="forbidden"\\} ([2-9])`);
        return pattern.test(await daemon.series());
      });
    await denied('event');
    await denied('configmap');
    const lines = daemon.log.split('\n').filter((line) => line.includes('cannot write'));
    expect(lines).toHaveLength(2);
    expect(lines.join('\n')).toContain('allow create and patch of events in API group \\"events.k8s.io\\"');
    expect(lines.join('\n')).toContain(`allow patch of ConfigMap ${NAME} in namespace ${namespace}`);

    const rules = [
      { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
      { apiGroups: [''], resources: ['configmaps'], verbs: ['create', 'patch'] },
    ];
    const scope = `${RBAC}/namespaces/${namespace}`;
    await server.requests.create(`${scope}/roles`, { metadata: { name: 'mesh' }, rules });
    await server.requests.create(`${scope}/rolebindings`, {
      metadata: { name: 'mesh' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'mesh' },
      subjects: [{ kind: 'ServiceAccount', name: 'mesh', namespace }],
    });
    await eventOf('RemoteClusterConnected', 'berlin');
    await untilData({ ready: 'true' });
    expect(daemon.log).toContain('Events can be written again');
  });

  test('without an API server everything is mirrored, and what happened is reported later', { timeout: 120_000 }, async () => {
    await way.disconnect();
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    directory.add(berlin);
    const daemon = await start(local, 'mesh-0');
    await daemon.ready();
    expect(Object.keys(await local.dump('cilium/cache/'))).toHaveLength(6);
    await until('the log says it', () => daemon.log.includes('cannot write Events; nothing else is affected'));
    await way.heal();
    await eventOf('RemoteClusterConnected', 'berlin');
    await untilData({ ready: 'true' });
  });

  test('a namespace or a name that Kubernetes does not have is refused at the start', async () => {
    await using local = await startLocal();
    const daemon = await start(local, 'mesh-0', '--k8s-status-configmap=Not_A_Name');
    expect((await daemon.whenEnded()).code).not.toBe(0);
    expect(daemon.log).toContain('--k8s-status-configmap');
  });

  test.skipIf(noKubectl !== undefined)(
    `kubectl wait ends when all clusters are ready${noKubectl === undefined ? '' : ` (${noKubectl})`}`,
    { timeout: 120_000 },
    async () => {
      await using local = await startLocal();
      await using berlin = await startFullRemote('berlin', 7);
      await berlin.proxy.disconnect();
      directory.add(berlin);
      await start(local, 'mesh-0');
      await untilData({ ready: 'false' });
      using client = kubectl(kubeconfig());
      const wait = (timeout: string) =>
        client.run(
          'wait',
          `--namespace=${namespace}`,
          '--for=jsonpath={.data.ready}=true',
          `--timeout=${timeout}`,
          `configmap/${NAME}`,
        );
      await expect(wait('1s')).rejects.toThrow(/timed out/);
      const waiting = wait('60s');
      await berlin.proxy.heal();
      expect(await waiting).toContain('condition met');
    },
  );
});
