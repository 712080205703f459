import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isReady } from '../../src/kvstoremesh/readiness.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../support/etcd/etcd-process.ts';
import { ETCDCTL, etcdctlMissing } from '../support/etcd/etcdctl.ts';
import { FULL, Mesh, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { opensslMissing } from '../support/tls/certificates.ts';
import { CertificateAuthority } from '../support/tls/pki.ts';

/** Why the tests cannot run here; undefined where they can. */
function missing(): string | undefined {
  if (etcdVersions().length === 0) return 'no etcd';
  return etcdctlMissing() ?? opensslMissing();
}

const reason = missing();

/** What the original grants to the clients of a cluster's etcd that come from other clusters. */
const REMOTE_ROLE = [
  ['cilium/.heartbeat', 'cilium/.heartbeau'],
  ['cilium/state/', 'cilium/state0'],
  ['cilium/cluster-config/berlin'],
  ['cilium/synced/berlin/', 'cilium/synced/berlin0'],
];

/** What the etcd of the tests holds, as it is mirrored. */
const MIRRORED = {
  'cilium/cache/nodes/v1/berlin/n': 'node',
  'cilium/cache/ip/v1/berlin/10.7.0.1': 'ip',
  'cilium/cache/serviceexports/v1/berlin/shop/x': 'export',
};

describe.skipIf(reason !== undefined)(`a remote with users and roles${reason === undefined ? '' : ` (${reason})`}`, () => {
  const directory = temporaryDirectory('rights');
  let etcd: EtcdProcess;

  const file = (name: string) => join(directory, name);
  const etcdctl = (...args: string[]) =>
    execFileSync(ETCDCTL, [...args, `--endpoints=${etcd.endpoint}`, ...tls('root', 'cacert', 'cert', 'key')], {
      env: { ...process.env, ETCDCTL_API: '3' },
      stdio: 'ignore',
    });
  const tls = (user: string, caFlag: string, certFlag: string, keyFlag: string) => [
    `--${caFlag}=${file('ca.crt')}`,
    `--${certFlag}=${file(`${user}.crt`)}`,
    `--${keyFlag}=${file(`${user}.key`)}`,
  ];
  const configOf = (user: string) =>
    [
      `endpoints: ["${etcd.endpoint}"]`,
      `trusted-ca-file: ${file('ca.crt')}`,
      `cert-file: ${file(`${user}.crt`)}`,
      `key-file: ${file(`${user}.key`)}`,
      '',
    ].join('\n');
  const grant = (user: string, ranges: readonly (readonly string[])[]) => {
    etcdctl('user', 'add', user, '--no-password');
    etcdctl('role', 'add', user);
    for (const range of ranges) etcdctl('role', 'grant-permission', user, 'read', ...range);
    etcdctl('user', 'grant-role', user, user);
  };

  beforeAll(async () => {
    const ca = new CertificateAuthority();
    writeFileSync(file('ca.crt'), ca.cert);
    for (const user of ['server', 'root', 'remote', 'partly', 'unexported', 'nobody']) {
      const { cert, key } = ca.sign(user);
      writeFileSync(file(`${user}.crt`), cert);
      writeFileSync(file(`${user}.key`), key);
    }
    etcd = await startEtcd({
      tls: { certFile: file('server.crt'), keyFile: file('server.key'), clientCaFile: file('ca.crt') },
    });
    etcdctl('put', 'cilium/cluster-config/berlin', JSON.stringify({ id: 7, capabilities: { ...FULL, syncedCanaries: false } }));
    etcdctl('put', 'cilium/cluster-config/oslo', '{}');
    etcdctl('put', 'cilium/state/nodes/v1/berlin/n', 'node');
    etcdctl('put', 'cilium/state/ip/v1/default/10.7.0.1', 'ip');
    etcdctl('put', 'cilium/state/serviceexports/v1/berlin/shop/x', 'export');
    etcdctl('user', 'add', 'root', '--no-password');
    etcdctl('user', 'grant-role', 'root', 'root');
    grant('remote', REMOTE_ROLE);
    grant('partly', [
      ['cilium/.heartbeat', 'cilium/.heartbeau'],
      ['cilium/state/nodes/', 'cilium/state/nodes0'],
      ['cilium/cluster-config/berlin'],
    ]);
    grant('unexported', [
      ['cilium/.heartbeat', 'cilium/.heartbeau'],
      ['cilium/state/', 'cilium/state/serviceexports/'],
      ['cilium/state/services/', 'cilium/state0'],
      ['cilium/cluster-config/berlin'],
    ]);
    etcdctl('auth', 'enable');
  }, 60_000);

  afterAll(() => etcd?.stop());

  test('is mirrored with the rights that the original grants', async () => {
    await using local = await startLocal();
    await using mesh = new Mesh(local);
    mesh.addFile('berlin', configOf('remote'));
    await mesh.synced('berlin');
    await mesh.holds(MIRRORED);
  });

  test('may change its cluster config, which is watched and followed with these permissions', async () => {
    await using local = await startLocal();
    await using mesh = new Mesh(local, { readingsMs: 3_600_000 });
    mesh.addFile('berlin', configOf('remote'));
    await mesh.synced('berlin');
    const config = (capabilities: object) => JSON.stringify({ id: 7, capabilities: { ...FULL, ...capabilities } });
    etcdctl('put', 'cilium/cluster-config/berlin', config({ syncedCanaries: false, endpointSlicesExportMode: '' }));
    await mesh.until('the change is seen', 'berlin', (status) => status.config?.['endpoint-slices-export-mode'] === undefined);
    await mesh.synced('berlin');
    expect((await local.dump('cilium/cluster-config/'))['cilium/cluster-config/berlin']).not.toContain('endpointSlices');
    etcdctl('del', 'cilium/cluster-config/berlin');
    await mesh.until('its absence is told', 'berlin', ({ reason }) => reason?.includes('the remote has no'));
    await mesh.holds(MIRRORED);
    etcdctl('put', 'cilium/cluster-config/berlin', config({ syncedCanaries: false }));
    await mesh.synced('berlin');
  });

  test('is mirrored as far as the rights go', async () => {
    await using local = await startLocal();
    await using mesh = new Mesh(local);
    mesh.addFile('berlin', configOf('partly'));
    await mesh.until('nodes are read', 'berlin', ({ synced }) => synced.nodes);
    await mesh.holds({ 'cilium/cache/nodes/v1/berlin/n': 'node' });
    await mesh.until('the lack is told', 'berlin', (status) =>
      status.reason?.match(/^\w[\w ]*: the etcd user lacks the permission/),
    );
    expect(mesh.status('berlin')?.synced.endpoints).toBeUndefined();
    expect(mesh.status('berlin')?.ready).toBeUndefined();
  });

  test('rule 46: is mirrored but for the kind that its role lacks, holds up readiness for that, and is complete once it is granted', async () => {
    await using local = await startLocal();
    await using mesh = new Mesh(local);
    mesh.addFile('berlin', configOf('unexported'));
    await mesh.until('the lack is told', 'berlin', ({ reason }) => reason?.startsWith('service exports: the etcd user lacks'));
    const others = { 'cilium/cache/nodes/v1/berlin/n': 'node', 'cilium/cache/ip/v1/berlin/10.7.0.1': 'ip' };
    await mesh.holds(others);
    await mesh.until(
      'all others are read',
      'berlin',
      ({ synced }) => synced.nodes && synced.services && synced['endpoint-slices'],
    );
    const berlin = mesh.find('berlin');
    const progress = {
      createdMs: 0,
      hasBegun: berlin?.state.hasBegun ?? false,
      isSynced: berlin?.isSynced ?? true,
      isRemoved: false,
    };
    expect(isReady([progress], { perClusterMs: 1, globalMs: 1_000 }, 0, 999)).toBe(false);
    expect(isReady([progress], { perClusterMs: 1, globalMs: 1_000 }, 0, 1_000)).toBe(true);
    etcdctl('role', 'grant-permission', 'unexported', 'read', 'cilium/state/serviceexports/', 'cilium/state/serviceexports0');
    await mesh.synced('berlin');
    await mesh.holds({ ...others, 'cilium/cache/serviceexports/v1/berlin/shop/x': 'export' });
  });

  test('that denies its cluster config is reported with the remedy', async () => {
    await using local = await startLocal();
    await using mesh = new Mesh(local);
    mesh.addFile('oslo', configOf('remote'));
    await mesh.until('it is told', 'oslo', ({ reason }) =>
      reason?.includes('does not permit reading cilium/cluster-config/oslo'),
    );
    expect(await local.dump()).toEqual({});
  });

  test('without the user is reported as such', async () => {
    await using local = await startLocal();
    await using mesh = new Mesh(local);
    mesh.addFile('berlin', configOf('nobody'));
    await mesh.until('it is told', 'berlin', ({ reason }) => reason !== undefined);
    expect(mesh.status('berlin')?.reason).toMatch(/user|permission/);
  });
});
