/** Agents of Cilium 1.15 as clients of an etcd that etcdinit has prepared: what they read first, and what they get. */

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createEtcdClient, type EtcdAdminClient } from '../../src/shared/etcd/client.ts';
import { PermissionDeniedError } from '../../src/shared/etcd/errors.ts';
import { keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { soon } from '../support/etcd/etcd-client.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../support/etcd/etcd-process.ts';
import { ConfigDirectory } from '../support/kvstoremesh/config-directory.ts';
import { KvstoremeshRun } from '../support/kvstoremesh/kvstoremesh-run.ts';
import { startFullRemote } from '../support/kvstoremesh/mesh-fixture.ts';
import { InitRig } from '../support/processes/etcdinit-process.ts';
import { type Authority, CertificateDirectory, canMakeCertificates } from '../support/tls/certificates.ts';
import { until } from '../support/until.ts';

const MARKER = keyOf('cilium/.has-cluster-config');
const binary = etcdVersions().at(-1);

describe.skipIf(binary === undefined || !canMakeCertificates())('an etcd that etcdinit has prepared (needs openssl 3)', () => {
  const init = new InitRig(binary);
  const directory = new CertificateDirectory();
  let authority: Authority;
  let etcd: EtcdProcess;

  const configOf = (user: string) => ({
    endpoints: [etcd.endpoint],
    caFile: authority.caFile,
    ...authority.issue({ name: user }),
  });
  const connect = (user: string): EtcdAdminClient => {
    const client = createEtcdClient({ config: configOf(user), name: user, log: silentLogger, clock: systemClock });
    onTestFinished(() => client.close());
    return client;
  };

  beforeAll(async () => {
    const { status, stderr } = await init.run();
    if (status !== 0) throw new Error(stderr);
    authority = directory.authority('mesh');
    const server = authority.issue({ name: 'server', alternatives: ['IP:127.0.0.1'] });
    const tls = { ...server, clientCaFile: authority.caFile };
    etcd = await startEtcd({ version: binary?.version ?? '', dataDir: init.dataDir, tls });
  });

  afterAll(async () => {
    await etcd?.stop();
    init[Symbol.dispose]();
  });

  async function startMesh(): Promise<void> {
    const berlin = await startFullRemote('berlin', 7);
    onTestFinished(() => berlin[Symbol.asyncDispose]());
    const files = new ConfigDirectory();
    files.add(berlin);
    const { certFile, keyFile } = authority.issue({ name: 'admin-harbor' });
    const lines = [`endpoints: ["${etcd.endpoint}"]`, `trusted-ca-file: ${authority.caFile}`];
    const settings = new ConfigDirectory();
    settings.write('local.yaml', [...lines, `cert-file: ${certFile}`, `key-file: ${keyFile}`, ''].join('\n'));
    const daemon = await KvstoremeshRun.start(`etcd.config=${settings.path}/local.yaml`, files);
    onTestFinished(() => daemon[Symbol.asyncDispose]());
    await daemon.ready();
  }

  test('an agent of the same cluster finds the marker, then what it promises: cluster config, canaries and data', async () => {
    const agent = connect('local-harbor');
    const marker = await agent.get(MARKER, soon());
    expect(marker).toMatchObject({ lease: NO_LEASE });
    expect(marker?.value.toString()).toBe('true');
    await startMesh();
    const config = await until('there is a cluster config', () => agent.get(keyOf('cilium/cluster-config/berlin'), soon()));
    expect(JSON.parse(config.value.toString())).toMatchObject({ id: 7, capabilities: { syncedCanaries: true, cached: true } });
    const keys = async (prefix: string) => {
      let count = 0;
      for await (const page of agent.list(keyOf(prefix), soon())) count += page.keyValues.length;
      return count;
    };
    await until('there are the canaries', async () => (await keys('cilium/synced/berlin/')) === 6);
    expect(await keys('cilium/cache/')).toBeGreaterThan(0);
    expect((await agent.get(MARKER, soon()))?.modRevision).toBe(marker?.modRevision);
  });

  test('an agent of another cluster may read it as well', async () => {
    expect((await connect('remote').get(MARKER, soon()))?.value.toString()).toBe('true');
  });

  test('one whose roles were made by another etcdinit refuses the agent, and is mirrored into all the same', async () => {
    const root = connect('root');
    await root.auth.revokePermission('local', { key: MARKER }, soon());
    await root.txn([{ type: 'delete', key: MARKER }], soon());
    await startMesh();
    const written = await until('the daemon has written the marker', () => root.get(MARKER, soon()));
    expect(written.value.toString()).toBe('true');
    expect(written.lease).not.toBe(NO_LEASE);
    const agent = connect('local-harbor');
    await expect(agent.get(MARKER, soon())).rejects.toThrow(PermissionDeniedError);
    await until('the mirror is complete', () => agent.get(keyOf('cilium/synced/berlin/cilium/cache/nodes/v1'), soon()));
    await root.auth.grantPermission('local', { access: 'read', key: MARKER }, soon());
    expect((await agent.get(MARKER, soon()))?.value.toString()).toBe('true');
  });
});
