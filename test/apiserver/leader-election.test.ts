/** Replicas of clustermesh that share an etcd: what a standby does, and what a term ends with. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { meshDefinitions } from '../../demo/kubernetes/mesh-definitions.ts';
import { CLUSTERMESH_LOCKS } from '../../src/shared/etcd/keyspace.ts';
import { NO_LEASE } from '../../src/shared/etcd/types.ts';
import { history, openClient, revisionOf, soon } from '../support/etcd/etcd-client.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import type { ClustermeshRun } from '../support/kubernetes/clustermesh-run.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { until } from '../support/until.ts';
import type { Manifest } from './cluster-model.ts';
import { DaemonRig } from './clustermesh-fixture.ts';

const nodeOf = (name: string) =>
  ({
    kind: 'CiliumNode',
    metadata: { name },
    spec: { addresses: [{ type: 'InternalIP', ip: '192.0.2.1' }] },
  }) as Manifest;
const nodeKey = (name: string) => `cilium/state/nodes/v1/east/${name}`;

const QUICK_STANDBY = { timing: { standbyMs: 50 } };

const ready = (daemon: ClustermeshRun) => until('the daemon is ready', async () => (await daemon.readiness()) === 'Ready');

async function series(daemon: ClustermeshRun, name: string): Promise<string[]> {
  return (await daemon.metrics.metrics()).split('\n').filter((line) => line.startsWith(`test_${name}`));
}

async function leads(daemon: ClustermeshRun): Promise<boolean> {
  return (
    (await series(daemon, 'leader_election_master_status')).join() === 'test_leader_election_master_status{name="clustermesh"} 1'
  );
}

const untilLeading = (daemon: ClustermeshRun) => until('the daemon leads', () => leads(daemon));

async function crds(rig: DaemonRig): Promise<string[]> {
  const path = 'apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const answer = (await (await fetch(`${rig.kubernetes.url}/${path}`)).json()) as { items: { metadata: { name: string } }[] };
  return answer.items.map(({ metadata }) => metadata.name).filter((name) => name.endsWith('x-k8s.io'));
}

describe.skipIf(etcdVersions().length === 0)('clustermesh with --leader-election (needs an etcd)', { timeout: 90_000 }, () => {
  test('exports while it leads; a standby is ready, follows no kinds of Kubernetes, and writes only its place in the queue', async () => {
    await using rig = await DaemonRig.start({
      definitions: meshDefinitions.filter(({ metadata }) => metadata.name.includes('cilium')),
    });
    await rig.create(nodeOf('a'));
    const leader = await rig.daemon('--leader-election');
    await ready(leader);
    expect(await leads(leader)).toBe(true);
    expect(await rig.keyNames('cilium/state/')).toEqual([nodeKey('a')]);

    const since = await revisionOf(rig.client);
    const users = join(rig.directory, 'users.yaml');
    writeFileSync(users, 'users:\n- name: remote-west\n  role: remote\n');
    const admin = openClient(rig.etcd.endpoint);
    await admin.auth.addRole('remote', soon());
    const { log, lines } = recordingLogger();
    const standby = await rig.daemonWith(
      { ...QUICK_STANDBY, log },
      ...['--leader-election', '--cluster-users-enabled', `--cluster-users-config-path=${users}`, '--clustermesh-enable-mcs-api'],
    );
    await ready(standby);
    await until('it has read the queue', () => lines.some(({ msg }) => msg === 'another replica leads; standing by'));
    expect(await leads(standby)).toBe(false);
    expect(await series(standby, 'kubernetes_reflector_state')).toEqual([]);
    expect(await series(standby, 'kvstore_sync_queue_size')).toEqual([]);
    await rig.create(nodeOf('b'));
    await until('the leader exports it', () => rig.value(nodeKey('b')));
    const written = (await history(rig.client, since)).map(({ type, key }) => `${type} ${key}`);
    expect(written.filter((each) => !each.includes(CLUSTERMESH_LOCKS))).toEqual([`put ${nodeKey('b')}`]);
    expect(written.length).toBe(2);
    expect(await admin.auth.users(soon())).toEqual([]);
    expect(await crds(rig)).toEqual([]);

    const before = await revisionOf(rig.client);
    await leader.stop();
    await untilLeading(standby);
    await until('its users are there', async () => (await admin.auth.users(soon())).join() === 'remote-west');
    await until('its CRDs are there', async () => (await crds(rig)).length === 2);
    await rig.delete('CiliumNode', 'a');
    await until('it exports the change', async () => (await rig.value(nodeKey('a'))) === undefined);
    const later = (await history(rig.client, before)).map(({ type, key }) => `${type} ${key}`);
    expect(later.filter((each) => / cilium\/state\//.test(each))).toEqual([`delete ${nodeKey('a')}`]);
    expect(lines.map(({ msg }) => msg)).toContain('this replica is the leader');
    admin.close();
  });

  test('leads on a lease of the duration of the flag', async () => {
    await using rig = await DaemonRig.start();
    await rig.daemon('--leader-election', '--leader-election-lease-duration=7.5s');
    const lease = await until('it is in the queue', async () => (await rig.keys(CLUSTERMESH_LOCKS))[0]?.lease);
    expect((await rig.client.leaseTimeToLive(lease, soon()))?.grantedTtl).toBe(7);
  });

  test('leads another term of the same process after it lost the lock, and no key changes', async () => {
    await using rig = await DaemonRig.start();
    await rig.create(nodeOf('a'));
    const { log, lines } = recordingLogger();
    const users = join(rig.directory, 'users.yaml');
    writeFileSync(users, 'users: []\n');
    const flags = ['--leader-election', '--cluster-users-enabled', `--cluster-users-config-path=${users}`];
    const daemon = await rig.daemonWith({ log }, ...flags);
    await ready(daemon);
    const since = await revisionOf(rig.client);
    const [lock] = await rig.keys(CLUSTERMESH_LOCKS);
    await rig.client.revokeLease(lock?.lease ?? NO_LEASE, soon());
    await until('it leads again', () => lines.filter(({ msg }) => msg === 'this replica is the leader').length === 2);
    await until('it is complete again', () => lines.filter(({ msg }) => msg === 'ready').length === 2);
    expect(lines.map(({ msg }) => msg)).toContain('leader lock lost; standing by');
    expect(await leads(daemon)).toBe(true);
    await rig.create(nodeOf('b'));
    await until('it exports', () => rig.value(nodeKey('b')));
    const written = (await history(rig.client, since)).map(({ type, key }) => `${type} ${key}`);
    const isRoutine = /cilium\/(synced\/|clustermesh-lock\/|\.heartbeat)/;
    expect(written.filter((each) => !isRoutine.test(each))).toEqual([`put ${nodeKey('b')}`]);
    const watching = await series(daemon, 'kubernetes_reflector_state{resource="ciliumnodes.cilium.io",state="watching"}');
    expect(watching.join()).toMatch(/ 1$/);
    expect((await series(daemon, 'kvstore_initial_sync_completed')).some((line) => line.endsWith(' 1'))).toBe(true);
    const health = await (await fetch(`http://127.0.0.1:${daemon.healthPort}/healthz`)).text();
    expect(health).toBe('ok');
  });
});
