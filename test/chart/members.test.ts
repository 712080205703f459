/** A replicated etcd: what the members need to find and to trust each other, and what is left out for them. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { freePort } from '../support/network/free-port.ts';
import { type Child, startChild } from '../support/processes/child.ts';
import { until } from '../support/until.ts';
import { Helm, helmMissing, type KubeObject, NAMESPACE, objectsOf, referenceOf, type Values } from './rendered/helm.ts';
import { type Container, containerNamed, containersOf, meshPod, type Probe, podOf } from './rendered/pods.ts';

const missing = helmMissing();

const SERVICE = `clustermesh-apiserver-peers.${NAMESPACE}.svc`;
const DOMAIN = `${SERVICE}.cluster.local`;
const NAMES = [0, 1, 2].map((ordinal) => `clustermesh-apiserver-${ordinal}`);
const RESTRICTED = { networkPolicy: { etcdFrom: [{ ipBlock: { cidr: '192.0.2.0/24' } }] } };

/** Older versions have other probes and flags. */
const etcds = etcdVersions().filter(({ version }) => version.localeCompare('3.6', 'en', { numeric: true }) >= 0);

/** An etcd cluster that has a quorum only while both members run. */
class TwoMembers implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'members-test-'));
  readonly #children: Child[] = [];
  readonly #binary: string;
  readonly #peers: Readonly<Record<string, string>>;
  /** Of the member `a`. */
  readonly metricsUrl: string;

  private constructor(binary: string, peerPorts: readonly [number, number], metricsPort: number) {
    this.#binary = binary;
    this.#peers = { a: `http://127.0.0.1:${peerPorts[0]}`, b: `http://127.0.0.1:${peerPorts[1]}` };
    this.metricsUrl = `http://127.0.0.1:${metricsPort}`;
  }

  static async create(binary: string): Promise<TwoMembers> {
    return new TwoMembers(binary, [await freePort(), await freePort()], await freePort());
  }

  start(name: 'a' | 'b'): void {
    const args = {
      name,
      'data-dir': join(this.#directory, name),
      'initial-cluster': Object.entries(this.#peers)
        .map((part) => part.join('='))
        .join(','),
      'listen-peer-urls': this.#peers[name],
      'initial-advertise-peer-urls': this.#peers[name],
      'listen-client-urls': 'http://127.0.0.1:0',
      'advertise-client-urls': 'http://localhost:2379',
      'listen-metrics-urls': name === 'a' ? this.metricsUrl : 'http://127.0.0.1:0',
    };
    this.#children.push(
      startChild(
        this.#binary,
        Object.entries(args).map(([flag, value]) => `--${flag}=${value}`),
      ),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) await child[Symbol.asyncDispose]();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

interface StatefulSetSpec {
  readonly replicas: number;
  readonly serviceName: string;
  readonly podManagementPolicy: string;
  readonly updateStrategy: object;
  readonly volumeClaimTemplates?: readonly { readonly metadata: object; readonly spec: object }[];
}

describe.skipIf(missing !== undefined)(`a replicated etcd${missing === undefined ? '' : ` (${missing})`}`, () => {
  const helm = new Helm();
  let objects: readonly KubeObject[];

  const rendered = async (values: Values = {}, etcd: Values = {}, replication: Values = {}) =>
    objectsOf(await helm.template({ ...values, etcd: { replication: { enabled: true, ...replication }, ...etcd } }));
  const find = (reference: string, of = objects) => of.find((object) => referenceOf(object) === reference);
  const specOf = (reference: string, of = objects) => find(reference, of)?.spec as never;
  const flagOf = ({ args }: Container, flag: string) =>
    args.find((argument) => argument.startsWith(`--${flag}=`))?.slice(flag.length + 3);

  beforeAll(async () => {
    objects = await rendered(RESTRICTED);
  });

  afterAll(() => helm[Symbol.dispose]());

  test('a StatefulSet replaces the Deployment; its Pods start together and are replaced one by one', () => {
    expect(find('Deployment/clustermesh-apiserver')).toBeUndefined();
    expect(specOf('StatefulSet/clustermesh-apiserver') as StatefulSetSpec).toMatchObject({
      replicas: 3,
      serviceName: 'clustermesh-apiserver-peers',
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'RollingUpdate' },
      selector: { matchLabels: { 'k8s-app': 'clustermesh-apiserver' } },
    });
    expect(specOf('PodDisruptionBudget/clustermesh-apiserver')).toMatchObject({ maxUnavailable: 1 });
  });

  test('a PodDisruptionBudget is there for members, unless a value says otherwise', async () => {
    const budgets = async (enabled: boolean | null, replication: Values) =>
      (await rendered({ podDisruptionBudget: { enabled } }, {}, replication)).filter(({ kind }) => kind === 'PodDisruptionBudget')
        .length;
    const single = { enabled: false };
    expect([await budgets(null, {}), await budgets(true, {}), await budgets(false, {})]).toEqual([1, 1, 0]);
    expect([await budgets(null, single), await budgets(true, single), await budgets(false, single)]).toEqual([0, 1, 0]);
  });

  test('the Pods have the labels and containers of those of the Deployment', async () => {
    const single = meshPod(objectsOf(await helm.template({})));
    const pod = meshPod(objects);
    expect(pod.metadata.labels).toEqual(single.metadata.labels);
    expect(containersOf(pod).map(({ name }) => name)).toEqual(containersOf(single).map(({ name }) => name));
  });

  test('members have host names before they are ready, and clients keep to no member', () => {
    expect(specOf('Service/clustermesh-apiserver-peers')).toMatchObject({
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      ports: [{ port: 2379 }, { port: 2380 }],
    });
    expect(specOf('Service/clustermesh-apiserver')).not.toHaveProperty('sessionAffinity');
  });

  test('etcd-init and etcd agree on names, addresses and certificates', () => {
    const [init, etcd] = ['etcd-init', 'etcd'].map((name) => containerNamed(meshPod(objects), name)) as [Container, Container];
    expect(flagOf(init, 'etcd-initial-cluster')?.split(',')).toEqual(
      NAMES.map((name) => `${name}=https://${name}.${DOMAIN}:2380`),
    );
    expect([flagOf(init, 'etcd-member-name'), flagOf(etcd, 'name')]).toEqual(['$(POD_NAME)', '$(POD_NAME)']);
    expect(flagOf(etcd, 'initial-advertise-peer-urls')).toBe(`https://$(POD_NAME).${DOMAIN}:2380`);
    expect(flagOf(etcd, 'advertise-client-urls')).toBe(`https://$(POD_NAME).${DOMAIN}:2379`);
    expect(etcd.args).toEqual(expect.arrayContaining(['--peer-client-cert-auth', '--peer-skip-client-san-verification']));
    expect([flagOf(init, 'etcd-peer-cert-allowed-cn'), flagOf(etcd, 'peer-cert-allowed-cn')]).toEqual(['peer-east', 'peer-east']);
    for (const file of ['cert-file', 'key-file', 'trusted-ca-file'])
      expect(flagOf(init, `etcd-peer-${file}`)).toBe(flagOf(etcd, `peer-${file}`));
    const mounted = (container: Container) => container.volumeMounts?.map(({ mountPath }) => mountPath);
    expect(mounted(init)).toEqual(expect.arrayContaining(['/var/lib/etcd-peer-secrets', '/var/lib/cilium/etcd-secrets']));
    expect(mounted(etcd)).toContain('/var/lib/etcd-peer-secrets');
  });

  test('one of several apiservers writes; a single one needs no election', async () => {
    const flags = async (values: Values) => containerNamed(meshPod(objectsOf(await helm.template(values))), 'apiserver').args;
    expect(await flags({ etcd: { replication: { enabled: true } } })).toContain('--leader-election');
    expect(await flags({ replicas: 2 })).not.toContain('--leader-election');
  });

  test.skipIf(etcds.length === 0)(
    `a member is ready only with a quorum, and is not restarted without one${etcds.length === 0 ? ' (needs etcd 3.6)' : ''}`,
    async () => {
      const { startupProbe, readinessProbe, livenessProbe } = containerNamed(meshPod(objects), 'etcd');
      for (const { path } of etcds) {
        await using members = await TwoMembers.create(path);
        const passes = async (probe: Probe | undefined) => (await fetch(`${members.metricsUrl}${probe?.httpGet.path}`)).ok;
        members.start('a');
        for (const probe of [startupProbe, livenessProbe]) await until('etcd lives', () => passes(probe));
        expect(await passes(readinessProbe)).toBe(false);
        members.start('b');
        await until('etcd is ready', () => passes(readinessProbe));
      }
    },
  );

  test('the peer port is open for members only, and the client port for them too', () => {
    const { ingress } = specOf('NetworkPolicy/clustermesh-apiserver') as {
      readonly ingress: readonly { readonly ports: readonly { readonly port: number }[]; readonly from?: readonly object[] }[];
    };
    const from = (port: number) =>
      ingress.filter(({ ports }) => ports.some((each) => each.port === port)).map((each) => each.from);
    const members = { podSelector: { matchLabels: { 'k8s-app': 'clustermesh-apiserver' } } };
    expect(from(2380)).toEqual([[members]]);
    expect(from(2379)).toEqual([[...RESTRICTED.networkPolicy.etcdFrom, members]]);
  });

  test('members are distributed over nodes, besides the constraints of other values', async () => {
    const spread = (of: readonly KubeObject[]) =>
      meshPod(of).spec.topologySpreadConstraints as { readonly topologyKey: string }[];
    expect(spread(objects).map(({ topologyKey }) => topologyKey)).toEqual([
      'kubernetes.io/hostname',
      'topology.kubernetes.io/zone',
    ]);
    const single = objectsOf(await helm.template({}));
    expect(spread(single).map(({ topologyKey }) => topologyKey)).toEqual(['topology.kubernetes.io/zone']);
  });

  test('with persistence each member has a claim, which a new version of the chart does not change', async () => {
    const persistence = { enabled: true, size: '7Gi', storageClass: 'fast' };
    const persistent = await rendered({ annotations: { a: 'b' } }, { persistence });
    expect(persistent.map(({ kind }) => kind)).not.toContain('PersistentVolumeClaim');
    const { volumeClaimTemplates } = specOf('StatefulSet/clustermesh-apiserver', persistent) as StatefulSetSpec;
    // All fields: Kubernetes refuses any change of them.
    expect(volumeClaimTemplates).toEqual([
      {
        metadata: { name: 'etcd-data-dir', labels: meshPod(persistent).metadata.labels },
        spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'fast', resources: { requests: { storage: '7Gi' } } },
      },
    ]);
  });

  test('a job defragments all members', async () => {
    const job = find(
      'CronJob/clustermesh-apiserver-defragmentation',
      await rendered({}, { defragmentation: { schedule: '@daily' } }),
    );
    const [container] = podOf(job as KubeObject)?.spec.containers ?? [];
    expect(container?.args.slice(-2)).toEqual(['defrag', '--cluster=true']);
  });

  test('the rights in Kubernetes are those of a single etcd', async () => {
    const rules = (of: readonly KubeObject[]) =>
      of.filter(({ kind }) => kind.endsWith('Role')).map(({ kind, metadata, rules: allowed }) => [kind, metadata.name, allowed]);
    expect(rules(objects)).toEqual(rules(objectsOf(await helm.template({ tls: { method: 'provided' } }))));
  });

  describe('certificates', () => {
    const hosts = NAMES.flatMap((name) => [`${name}.${SERVICE}`, `${name}.${SERVICE}.k8s.example.org`]);
    const replication = { clusterDomain: 'k8s.example.org' };

    test('of Helm: a member is server and client, and a client finds each member in the server certificate', async () => {
      const of = await rendered({}, {}, replication);
      const certificate = (name: string) =>
        new X509Certificate(
          Buffer.from(find(`Secret/clustermesh-apiserver-${name}-cert`, of)?.data?.['tls.crt'] ?? '', 'base64'),
        );
      const peer = certificate('peer');
      expect(peer.subject).toBe('CN=peer-east');
      // Server and client authentication.
      expect(peer.keyUsage).toEqual(expect.arrayContaining(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']));
      for (const host of hosts) expect([peer.checkHost(host), certificate('server').checkHost(host)]).not.toContain(undefined);
    });

    test('of cert-manager', async () => {
      const of = await rendered(
        { tls: { method: 'certmanager', certmanager: { issuerRef: { name: 'mesh' } } } },
        {},
        replication,
      );
      expect(specOf('Certificate/clustermesh-apiserver-peer-cert', of)).toMatchObject({
        secretName: 'clustermesh-apiserver-peer-cert',
        commonName: 'peer-east',
        dnsNames: [`*.${SERVICE}`, `*.${SERVICE}.k8s.example.org`],
        usages: ['digital signature', 'key encipherment', 'server auth', 'client auth'],
      });
      const usages = (name: string) =>
        (specOf(`Certificate/clustermesh-apiserver-${name}-cert`, of) as { readonly usages: readonly string[] }).usages.at(-1);
      expect([usages('server'), usages('admin')]).toEqual(['server auth', 'client auth']);
    });

    test('of the Job', async () => {
      const of = await rendered({ tls: { method: 'cronJob' } }, {}, replication);
      const job = of.find(({ kind }) => kind === 'Job') as KubeObject;
      const args = podOf(job)?.spec.containers[0]?.args;
      expect(args).toEqual(expect.arrayContaining(['--peer', '--cluster-domain=k8s.example.org']));
      const role = find('Role/clustermesh-apiserver-generate-certs', of);
      expect(role?.rules?.at(-1)?.resourceNames).toContain('clustermesh-apiserver-peer-cert');
    });

    test('not without members', async () => {
      for (const method of ['helm', 'cronJob']) expect(await helm.template({ tls: { method } })).not.toMatch(/peer-cert|--peer/);
    });
  });
});
