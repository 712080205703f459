import { renameSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { UnavailableError } from '../../src/shared/etcd/errors.ts';
import { addEtcdChecks } from '../../src/shared/etcd/health.ts';
import type { EtcdConnectionState } from '../../src/shared/etcd/types.ts';
import { Health } from '../../src/shared/http/health.ts';
import { Registry } from '../../src/shared/http/metrics.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { ConfigDirectory, harborFlags } from '../support/kvstoremesh/config-directory.ts';
import { type Store, startFullRemote, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { type Daemon, startDaemon } from '../support/processes/daemon.ts';
import { until } from '../support/until.ts';

const DAY_MS = 24 * 3_600_000;

test('an etcd is judged by its connection, its writes, and the certificates in use', () => {
  const nowMs = Date.UTC(2026, 1, 3);
  let state: EtcdConnectionState | undefined;
  let writeError: Error | undefined;
  const certificates = new Map([['/ca.crt', nowMs + 8 * DAY_MS]]);
  const health = new Health(new Registry('t_'));
  const clock = { ...systemClock, nowMs: () => nowMs };
  addEtcdChecks(health, { connection: () => state, writeError: () => writeError, certificates: () => certificates, clock });
  expect(health.problems()).toEqual(['local etcd: waiting for its configuration']);
  state = { connected: false, clusterId: undefined, lastContactMs: undefined, lastError: undefined };
  expect(health.problems()).toEqual(['local etcd: not connected yet']);
  state = { ...state, lastError: new UnavailableError('no answer') };
  expect(health.problems()).toEqual([`local etcd: ETCD_UNAVAILABLE: ${state.lastError?.message}`]);
  state = { ...state, connected: true };
  expect(health.problems()).toEqual([]);
  writeError = new UnavailableError('no space');
  certificates.set('/tls.crt', nowMs + 6 * DAY_MS).set('/old.crt', nowMs);
  expect(health.problems()).toEqual([
    `writes to the local etcd: ETCD_UNAVAILABLE: ${writeError.message}`,
    'certificates: /tls.crt ends at 2026-02-09T00:00:00.000Z; renew it',
    'certificates: /old.crt has ended at 2026-02-03T00:00:00.000Z; renew it',
  ]);
});

describe.skipIf(etcdVersions().length === 0)('/healthz of kvstoremesh', () => {
  const startMesh = (directory: ConfigDirectory, local: Store, ...more: string[]) =>
    startDaemon('kvstoremesh', [...harborFlags(local, directory), '--api-serve-addr=', ...more]);
  const healthz = async ({ healthPort }: Daemon) => (await fetch(`http://127.0.0.1:${healthPort}/healthz`)).text();

  test('names a configuration directory that cannot be read, until it can', async () => {
    const directory = new ConfigDirectory();
    await using local = await startLocal();
    await using daemon = await startMesh(directory, local);
    const shows = (text: RegExp) => until(`${text} is shown`, async () => text.test(await healthz(daemon)), { withinMs: 45_000 });
    await daemon.ready();
    expect(await healthz(daemon)).toBe('ok');
    renameSync(directory.path, `${directory.path}.away`);
    await shows(/^configuration directory: ENOENT: .*; all clusters are kept until it can be read$/m);
    const livez = await fetch(`http://127.0.0.1:${daemon.healthPort}/livez`);
    expect([livez.status, await livez.text()]).toEqual([200, expect.stringContaining('configuration directory: ')]);
    renameSync(`${directory.path}.away`, directory.path);
    await shows(/^ok$/);
  });

  test('names remotes that are refused or stopped, a remote that is away, and a local etcd without space', async () => {
    const directory = new ConfigDirectory();
    await using local = await startLocal({ args: ['--quota-backend-bytes=8388608'] });
    await using twin = await startFullRemote('twin', 200);
    await using large = await startFullRemote('large', 8);
    await using berlin = await startFullRemote('berlin', 7);
    await large.put(Object.fromEntries([1, 2, 3, 4].map((index) => [`cilium/state/nodes/v1/large/${index}`, 'x'])));
    for (const remote of [twin, large, berlin]) directory.add(remote);
    await using daemon = await startMesh(directory, local, '--remote-max-keys=8');
    const shows = (text: RegExp) => until(`${text} is shown`, async () => text.test(await healthz(daemon)), { withinMs: 45_000 });
    await shows(/^remote clusters: twin is refused: .*ID/m);
    await shows(/^remote clusters: large is stopped: the remote has more than 8 keys/m);
    await berlin.process.kill();
    await shows(/^tcp-closed: berlin: .*; check load balancers and their backends; run: /m);
    const fill = async () => {
      for (;;) await local.put({ 'other/large': Buffer.alloc(1024 * 1024, 'x') });
    };
    await expect(fill()).rejects.toThrow(/quota|space/);
    // Mirrored keys are removed externally and must be written again.
    await local.delete('cilium/cluster-config/large');
    await shows(/^writes to the local etcd: ETCD_NO_SPACE: /m);
  });
});
