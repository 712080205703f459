/** Faults of the way to the remote `oslo` and of its etcd, each with the finding that names it. */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { etcdCheckTools } from '../../src/cli/debug/etcd-check-tools.ts';
import { clusterConfigKey, HEARTBEAT_KEY, STATE } from '../../src/shared/etcd/keyspace.ts';
import { keyOf, prefixEnd } from '../../src/shared/etcd/types.ts';
import { soon } from '../support/etcd/etcd-client.ts';
import { startEtcd } from '../support/etcd/etcd-process.ts';
import { freePort } from '../support/network/free-port.ts';
import { startSynBlackHole } from '../support/network/syn-black-hole.ts';
import { startTcpProxy } from '../support/network/tcp-proxy.ts';
import type { CertificateFiles } from '../support/tls/certificates.ts';
import { type Listening, startAlternator, startSmallPath, startWebServer } from './broken-servers.ts';
import type { FileOptions, Mesh } from './mesh.ts';

export interface Fault {
  readonly name: string;
  /** Check, verdict and subject. */
  readonly finding: string;
  /** What the evidence or the remedy says. */
  readonly says: RegExp;
  /** Resolves with the options that show it, where it needs any: ExamineOptions. */
  plant(mesh: Mesh): unknown;
}

const at = (port: number) => ({ endpoints: [`https://127.0.0.1:${port}`] });
const alias = (host: string) => `cilium-host-aliases: [{hostname: ${host}, ips: [127.0.0.1]}]`;

/** The file of oslo has these contents. */
const withFile = (options: (mesh: Mesh) => FileOptions) => (mesh: Mesh) => mesh.write('oslo', options(mesh));

/** The file of oslo leads to a server that is stopped at the end. */
const through = (start: (mesh: Mesh) => Promise<Listening>) => async (mesh: Mesh) => {
  const server = await start(mesh);
  mesh.onHeal(() => server.stop());
  mesh.write('oslo', at(server.port));
};

/** The file of oslo leads to an etcd with this certificate. */
const servedWith = (files: (mesh: Mesh) => CertificateFiles) => async (mesh: Mesh) => {
  const etcd = await startEtcd({ tls: files(mesh) });
  mesh.onHeal(() => etcd.stop());
  mesh.write('oslo', at(etcd.port));
};

/** The cluster config of oslo has these contents. */
const configured = (config: object, capabilities?: object) => async (mesh: Mesh) => {
  const oslo = mesh.of('oslo');
  mesh.onHeal(() => oslo.configure());
  await oslo.configure(config, capabilities);
};

export const FILE_FAULTS: readonly Fault[] = [
  {
    name: 'a file that is no YAML',
    finding: 'config-file error oslo',
    says: /oslo:3: /,
    plant: (mesh) => mesh.writeFile('oslo', 'endpoints:\n- https://127.0.0.1:1\n[: broken\n'),
  },
  {
    name: 'a file whose volume is not mounted',
    finding: 'config-file error oslo',
    says: /cannot be read: .*ENOENT/,
    plant(mesh) {
      mesh.remove('oslo');
      symlinkSync('/nowhere/oslo', join(mesh.directory, 'oslo'));
      mesh.onHeal(() => mesh.remove('oslo'));
    },
  },
  {
    name: 'a file without the name of a cluster',
    finding: 'config-name error Oslo_2',
    says: /rename it to the name of its cluster/,
    plant(mesh) {
      mesh.writeFile('Oslo_2', mesh.file('oslo'));
      mesh.onHeal(() => mesh.remove('Oslo_2'));
    },
  },
  {
    name: 'a file without endpoints',
    finding: 'config-file error oslo',
    says: /no endpoint/,
    plant: (mesh) => mesh.writeFile('oslo', 'endpoints: []\n'),
  },
  {
    name: 'a directory that does not exist',
    finding: 'config-directory error /nowhere/clustermesh',
    says: /no such file or directory/,
    plant: () => ({ directory: '/nowhere/clustermesh' }),
  },
  {
    name: 'a cluster that has no file',
    finding: 'config-name error rome',
    says: /no such file .*found: berlin, oslo/,
    plant: () => ({ clusters: ['rome'] }),
  },
];

export const WAY_FAULTS: readonly Fault[] = [
  {
    name: 'a name that does not resolve',
    finding: 'dns error oslo',
    says: /oslo\.invalid/,
    plant: withFile(() => ({ endpoints: ['https://oslo.invalid:2379'] })),
  },
  {
    name: 'a port without a listener',
    finding: 'tcp-refused error oslo',
    says: /nothing listens on .*a NodePort differs/,
    plant: async (mesh) => mesh.write('oslo', at(await freePort())),
  },
  {
    name: 'an address that drops packets',
    finding: 'tcp-silent error oslo',
    says: /does not respond .*NetworkPolicies/,
    async plant(mesh) {
      const hole = await startSynBlackHole();
      mesh.onHeal(() => hole.stop());
      mesh.write('oslo', at(hole.port));
      return { timeoutMs: 2_000 };
    },
  },
  {
    name: 'a load balancer without a backend',
    finding: 'tcp-closed error oslo',
    says: /closes connections immediately/,
    plant: through(async (mesh) => {
      const proxy = await startTcpProxy(mesh.of('oslo').process.port);
      proxy.reject();
      return proxy as unknown as Listening;
    }),
  },
  {
    name: 'a load balancer that answers nothing',
    finding: 'tls-handshake error oslo',
    says: /accepts connections but sends nothing/,
    async plant(mesh) {
      await through(async () => {
        const proxy = await startTcpProxy(mesh.of('oslo').process.port);
        proxy.blackHole();
        return proxy as unknown as Listening;
      })(mesh);
      return { timeoutMs: 2_000 };
    },
  },
  {
    name: 'a load balancer that leads to two etcds',
    finding: 'load-balancer error oslo',
    says: /connections led to 2 different etcds/,
    plant: through((mesh) => startAlternator([mesh.of('oslo').process.port, mesh.of('berlin').process.port])),
  },
  {
    name: 'a path that loses large packets',
    finding: 'mtu error oslo',
    says: /12 KiB.*check the MTU/,
    plant: through((mesh) => startSmallPath(mesh.of('oslo').process.port)),
  },
  {
    name: 'a web server',
    finding: 'not-etcd error oslo',
    says: /not etcd/,
    plant: through((mesh) => startWebServer(mesh.pki.server)),
  },
];

export const TLS_FAULTS: readonly Fault[] = [
  {
    name: 'https where the etcd has no TLS',
    finding: 'tls-mismatch error oslo',
    says: /does not use TLS/,
    async plant(mesh) {
      const etcd = await startEtcd();
      mesh.onHeal(() => etcd.stop());
      mesh.write('oslo', at(etcd.port));
    },
  },
  {
    name: 'http where the etcd has TLS',
    finding: 'tls-mismatch error oslo',
    says: /use https/,
    plant: withFile((mesh) => ({ endpoints: [`http://127.0.0.1:${mesh.of('oslo').process.port}`] })),
  },
  {
    name: 'a CA that is not trusted',
    finding: 'tls-ca error oslo',
    says: /issued by CN=mesh .*trusted is CN=stranger .*SHA-256 .*[0-9A-F:]{95}.*[0-9A-F:]{95}/,
    plant: withFile(({ pki }) => ({ caFile: pki.stranger.caFile })),
  },
  {
    name: 'a name that the certificate lacks',
    finding: 'tls-name error oslo',
    says: /other\.mesh\.test is not in the certificate .* which is for etcd\.mesh\.test, localhost/,
    plant: withFile((mesh) => ({
      endpoints: [`https://other.mesh.test:${mesh.of('oslo').process.port}`],
      more: alias('other.mesh.test'),
    })),
  },
  {
    name: 'an expired certificate of the server',
    finding: 'tls-expired error oslo',
    says: /valid from 2020-01-01 00:00 to 2020-01-02/,
    plant: servedWith(({ pki }) => pki.expiredServer()),
  },
  {
    name: 'a certificate of the server that is not valid yet',
    finding: 'tls-not-yet-valid error oslo',
    says: /is not valid yet: .*this clock is \d+ s before that.*clocks/,
    plant: servedWith(({ pki }) => pki.earlyServer()),
  },
  {
    name: 'a certificate of the server for clients',
    finding: 'tls-usage error oslo',
    says: /do not allow TLS server authentication/,
    plant: servedWith(({ pki }) => pki.serverOf({ usages: 'clientAuth' })),
  },
  {
    name: 'a client certificate of another CA',
    finding: 'tls-client error oslo',
    says: /rejects the client certificate CN=remote, issued by CN=stranger/,
    plant: withFile(({ pki }) => ({ files: pki.client('remote', pki.stranger) })),
  },
  {
    name: 'a client certificate for servers',
    finding: 'tls-client error oslo',
    says: /do not allow TLS client authentication/,
    plant: withFile(({ pki }) => ({ files: pki.serverOf({ name: 'remote', usages: 'serverAuth' }) })),
  },
  {
    name: 'no client certificate',
    finding: 'tls-client error oslo',
    says: /requires a client certificate/,
    plant: withFile(() => ({ files: undefined })),
  },
  {
    name: 'an expired client certificate',
    finding: 'certificate-expired error oslo',
    says: /client certificate CN=remote expired on 2020-01-02/,
    plant: withFile(({ pki }) => ({ files: pki.authority.issueExpired({ name: 'remote' }) })),
  },
  {
    name: 'a client certificate that expires soon',
    finding: 'certificate-expires warning oslo',
    says: /client certificate CN=remote expires on/,
    plant: withFile(({ pki }) => ({ files: pki.authority.issue({ name: 'remote', days: 20 }) })),
  },
  {
    name: 'a key of another certificate',
    finding: 'certificate-key error oslo',
    says: /private key does not match/,
    plant: withFile(({ pki }) => ({ files: { ...pki.remote, keyFile: pki.client('other').keyFile } })),
  },
  {
    name: 'a certificate file that does not exist',
    finding: 'certificate-file error oslo',
    says: /no such file/,
    plant: withFile(({ pki }) => ({ files: { ...pki.remote, certFile: '/nowhere/tls.crt' } })),
  },
];

export const CONTENT_FAULTS: readonly Fault[] = [
  {
    name: 'a user that etcd does not know',
    finding: 'permission error oslo',
    says: /the user nobody /,
    plant: withFile(({ pki }) => ({ files: pki.client('nobody') })),
  },
  {
    name: 'a role without a permission',
    finding: 'permission error oslo',
    says: /the user remote reading cilium\/state\/nodes/,
    async plant(mesh) {
      const { auth } = mesh.of('oslo').admin;
      const range = { key: STATE, end: prefixEnd(STATE) };
      mesh.onHeal(() => auth.grantPermission('remote', { access: 'read', ...range }, soon()));
      await auth.revokePermission('remote', range, soon());
    },
  },
  {
    name: 'the address of another remote',
    finding: 'wrong-cluster error oslo',
    says: /only that of berlin/,
    plant: withFile((mesh) => ({ endpoints: [mesh.of('berlin').process.endpoint] })),
  },
  {
    name: 'the address of the local etcd',
    finding: 'own-cluster error oslo',
    says: /etcd of the local cluster harbor.*NodePort/,
    plant: withFile((mesh) => ({ endpoints: [mesh.of('harbor').process.endpoint] })),
  },
  {
    name: 'a cluster config that is missing',
    finding: 'cluster-config error oslo',
    says: /etcd has no cilium\/cluster-config\/oslo/,
    async plant(mesh) {
      const oslo = mesh.of('oslo');
      mesh.onHeal(() => oslo.configure());
      await oslo.delete(clusterConfigKey('oslo'));
    },
  },
  {
    name: 'a cluster config that is not JSON',
    finding: 'cluster-config error oslo',
    says: /is invalid/,
    async plant(mesh) {
      const oslo = mesh.of('oslo');
      mesh.onHeal(() => oslo.configure());
      await oslo.put(clusterConfigKey('oslo'), '{');
    },
  },
  { name: 'ID 0', finding: 'cluster-id error oslo', says: /reserved/, plant: configured({ id: 0 }) },
  { name: 'an ID above the maximum', finding: 'cluster-id error oslo', says: /300 .*1 to 255/, plant: configured({ id: 300 }) },
  { name: 'the ID of the local cluster', finding: 'cluster-id error oslo', says: /harbor/, plant: configured({ id: 200 }) },
  {
    name: 'the ID of another remote',
    finding: 'cluster-id error berlin and oslo',
    says: /same cluster ID/,
    plant: configured({ id: 7 }),
  },
  {
    name: 'another maximum of clusters',
    finding: 'max-clusters error oslo',
    says: /511 in oslo and 255 in this cluster/,
    plant: configured({}, { syncedCanaries: true, maxConnectedClusters: 511 }),
  },
  { name: 'a missing capability', finding: 'capabilities warning oslo', says: /syncedCanaries/, plant: configured({}, {}) },
  {
    name: 'an old heartbeat',
    finding: 'heartbeat error oslo',
    says: /last written \d+ s ago.*does not run/,
    async plant(mesh) {
      mesh.onHeal(() => mesh.of('oslo').beat());
      await mesh.of('oslo').beat(Date.now() - 600_000);
    },
  },
  {
    name: 'no heartbeat',
    finding: 'heartbeat error oslo',
    says: /no heartbeat/,
    async plant(mesh) {
      mesh.onHeal(() => mesh.of('oslo').beat());
      await mesh.of('oslo').delete(keyOf(HEARTBEAT_KEY));
    },
  },
];

/** Both remotes have another time than this machine. */
export const SKEW: Fault = {
  name: 'a clock that is ten minutes ahead',
  finding: 'clock-skew warning oslo',
  says: /the clock of the remote is (?:59|60)\d s behind/,
  plant(mesh) {
    mesh.remove('berlin');
    return { tools: { ...etcdCheckTools, nowMs: () => Date.now() + 600_000 } };
  },
};
