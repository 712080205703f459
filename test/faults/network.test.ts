import { describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/shared/clock.ts';
import { Mesh, Store, startLocal } from '../kvstoremesh/mesh.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../support/etcd-process.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/until.ts';
import { watchForLeaks } from './leaks.ts';
import { observe } from './oracle.ts';
import { ADDRESSES, faultTest, listeningClock, putAddresses, said } from './rig.ts';

const LOST = 'the connection to the remote cluster is lost; what it told stays';

faultTest(
  'fault 11: a link that swallows everything is told as lost, and what happened behind it comes when it is back',
  {},
  async (rig) => {
    const { local, berlin, mesh, oracle, lines } = rig;
    await oracle.converged();
    const before = await local.revision();
    berlin.proxy.blackHole();
    await berlin.fill('2');
    await berlin.delete('cilium/state/nodes/v1/berlin/node-1');
    await mesh.until('the loss is told', 'berlin', ({ connected }) => connected === undefined);
    expect(mesh.status('berlin')).toMatchObject({
      'num-failures': 1,
      'num-nodes': 1,
      reason: expect.stringContaining('no answer'),
    });
    expect(said(lines, LOST)).toBe(1);
    expect(await local.revision()).toBe(before);
    await berlin.proxy.heal();
    await oracle.converged();
    await mesh.until('it is read again', 'berlin', ({ connected, ready, reason }) => connected && ready && reason === undefined);
  },
);

faultTest('fault 12: hosts that vanish and refuse later cost one socket at a time, however often', {}, async (rig) => {
  const { berlin } = rig;
  const sockets = () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
  let before = 0;
  for (let round = 0; round < 20; round += 1) {
    berlin.proxy.blackHole();
    await berlin.put({ [`${ADDRESSES}10.0.0.${round}`]: 'x' });
    berlin.proxy.cut();
    await berlin.proxy.heal();
    await until('the round is mirrored', () => rig.mesh.publisher.stats.keys >= 7 + round, { withinMs: 20_000 });
    if (round === 4) before = sockets();
  }
  await until('no socket is left over', () => sockets() <= before, { status: () => ({ before, now: sockets() }) });
  expect(berlin.proxy.connections).toBeLessThanOrEqual(2);
});

faultTest('fault 13: a write that was carried out and never confirmed is repeated without another effect', {}, async (rig) => {
  const { local, localProxy, berlin, mesh, oracle } = rig;
  await oracle.converged();
  localProxy.blackHole('toClient');
  await berlin.fill('2');
  await until('it was written', async () => (await local.revision('cilium/cache/nodes/v1/berlin/node-2')) > 0);
  await berlin.put({ 'cilium/state/nodes/v1/berlin/node-2': 'later' });
  await until('the failure is told', () => mesh.publisher.stats.failing !== undefined, { withinMs: 20_000 });
  await berlin.put({ 'cilium/state/nodes/v1/berlin/node-2': 'latest' });
  await localProxy.heal();
  await oracle.converged();
  await until('all is well', () => mesh.publisher.stats.failing === undefined && mesh.publisher.stats.pending === 0);
});

faultTest(
  'fault 13: a remote that hears and cannot be heard, or the other way round, is told as lost and resumed',
  {},
  async (rig) => {
    const { berlin, mesh, oracle } = rig;
    for (const [tag, direction] of [
      ['2', 'toClient'],
      ['3', 'toServer'],
    ] as const) {
      berlin.proxy.blackHole(direction);
      await berlin.fill(tag);
      await mesh.until('the loss is told', 'berlin', ({ connected }) => connected === undefined);
      await berlin.proxy.heal();
      await oracle.converged();
    }
  },
);

faultTest(
  'fault 15: an endpoint that comes and goes leaves nothing behind, and is asked less and less',
  { clock: listeningClock(systemClock) },
  async (rig) => {
    const { berlin, oracle } = rig;
    const attempts: number[] = [];
    let handles = 0;
    for (let round = 0; round < 12; round += 1) {
      berlin.proxy.reject();
      berlin.proxy.cut();
      const before = berlin.proxy.accepted;
      await until('it was tried three times', () => berlin.proxy.accepted >= before + 3, { withinMs: 20_000 });
      await berlin.put({ [`${ADDRESSES}10.0.0.${round}`]: 'x' });
      await berlin.proxy.heal();
      await until('the round is mirrored', () => rig.mesh.publisher.stats.keys >= 7 + round, { withinMs: 20_000 });
      attempts.push(berlin.proxy.accepted - before);
      if (round === 3) handles = process.getActiveResourcesInfo().length;
    }
    await oracle.converged();
    await until('nothing has gathered', () => process.getActiveResourcesInfo().length <= handles + 2, {
      status: () => ({ handles, now: process.getActiveResourcesInfo() }),
    });
    // Three refusals and what succeeded: a connection for each try of each of the ten calls and streams would be many more.
    expect(Math.max(...attempts)).toBeLessThanOrEqual(10);
  },
);

describe.skipIf(etcdVersions().length === 0)('a remote of three members', { timeout: 60_000 }, () => {
  test('fault 16: of which one is dead and one has no quorum is told so, serves nothing stale, and goes on with the quorum', async () => {
    const leaks = watchForLeaks();
    {
      const members = await startMembers();
      await using local = await startLocal();
      await using berlin = new Berlin(members[0]);
      await berlin.put({
        'cilium/cluster-config/berlin':
          '{"id":7,"capabilities":{"syncedCanaries":false,"maxConnectedClusters":255,"serviceExportsEnabled":true,"endpointSlicesExportMode":"services-and-endpointslices"}}',
      });
      await berlin.put({ [`${ADDRESSES}10.0.0.1`]: '1' });
      await using oracle = await observe(local, [berlin]);
      await using mesh = new Mesh(local, { silenceMs: 2_000 });
      const dead = `http://127.0.0.1:${await freePort()}`;
      mesh.addFile('berlin', `endpoints: ["${dead}", "${members[1].endpoint}", "${members[0].endpoint}"]\n`);
      await mesh.synced('berlin');
      await members[1].kill();
      await members[2].kill();
      await mesh.until('the loss is told', 'berlin', ({ connected, reason }) => connected === undefined && reason);
      expect(mesh.status('berlin')?.['num-endpoints']).toBe(1);
      await members[2].restart();
      await berlin.put({ [`${ADDRESSES}10.0.0.2`]: '2' });
      await mesh.until('it is read again', 'berlin', ({ connected, ready }) => connected && ready);
      await oracle.converged();
      await mesh.stop();
      await Promise.all(members.map((member) => member.stop()));
    }
    await leaks.none();
  });
});

const jump = { ms: 0 };

faultTest(
  'fault 17: a wall clock that jumps by an hour, forth and back, changes no key and loses no lease',
  { clock: { ...systemClock, nowMs: () => Date.now() + jump.ms }, auditIntervalMs: 50 },
  async ({ local, berlin, mesh, oracle }) => {
    await oracle.converged();
    const [before, { leases }] = [await local.revision(), mesh.publisher.stats];
    for (const ms of [3_600_000, -3_600_000, 0]) {
      jump.ms = ms;
      await berlin.put({ [`${ADDRESSES}10.0.0.1`]: String(ms) });
      await oracle.converged();
    }
    expect(await local.revision()).toBe(before + 3);
    expect(mesh.publisher.stats.leases).toBe(leases);
    expect(mesh.status('berlin')?.['num-failures']).toBeUndefined();
  },
);

class Berlin extends Store {
  readonly name = 'berlin';
}

async function startMembers(): Promise<readonly [EtcdProcess, EtcdProcess, EtcdProcess]> {
  const ports = [await freePort(), await freePort(), await freePort()];
  const peers = ports.map((port) => `http://127.0.0.1:${port}`);
  const start = (at: number) =>
    startEtcd({
      clusterToken: `three-${ports[0]}`,
      args: [
        `--name=m${at}`,
        `--listen-peer-urls=${peers[at]}`,
        `--initial-advertise-peer-urls=${peers[at]}`,
        `--initial-cluster=${peers.map((peer, index) => `m${index}=${peer}`).join()}`,
      ],
    });
  const [a, b, c] = await Promise.all([start(0), start(1), start(2)]);
  for (const member of [a, b, c]) onTestFinished(() => member.stop());
  return [a, b, c];
}
