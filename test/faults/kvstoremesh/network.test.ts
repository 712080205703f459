import { afterAll, expect, test } from 'vitest';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { hurriedClock } from '../../support/clocks.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { FULL, Mesh, Store, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { observe } from '../../support/kvstoremesh/oracle.ts';
import { freePort } from '../../support/network/free-port.ts';
import { until } from '../../support/until.ts';
import { ADDRESSES, faultTest, putAddresses, said } from './fault-test.ts';
import { watchForLeaks } from './leaks.ts';

const LOST = 'disconnected; keeping the last known state';
const CONCURRENT = { isConcurrent: true };

const leaks = watchForLeaks();
afterAll(() => leaks.none());

faultTest(
  'fault 11: a link that drops all packets is reported as lost, and changes behind it arrive when it returns',
  CONCURRENT,
  async ({ local, berlin, mesh, oracle, lines }) => {
    await oracle.converged();
    const before = await local.revision();
    berlin.proxy.blackHole();
    await berlin.fill('2');
    await berlin.delete('cilium/state/nodes/v1/berlin/node-1');
    await mesh.until('the loss is told', 'berlin', ({ connected }) => connected === undefined);
    const status = { 'num-failures': 1, 'num-nodes': 1, reason: expect.stringContaining('no answer') };
    expect(mesh.status('berlin')).toMatchObject(status);
    expect(said(lines, LOST)).toBe(1);
    expect(await local.revision()).toBe(before);
    await berlin.proxy.heal();
    await oracle.converged();
    await mesh.until('all is well', 'berlin', ({ connected, ready, reason }) => connected && ready && reason === undefined);
  },
);

faultTest(
  'fault 13: writes that were carried out and never confirmed are repeated without another effect',
  { ...CONCURRENT, keepalive: { timeMs: 3_000, timeoutMs: 1_000 } },
  async ({ local, localProxy, berlin, mesh, oracle }) => {
    for (let round = 0; round < 5; round += 1) {
      localProxy.cutAfterBytes(1);
      await berlin.put({ 'cilium/state/nodes/v1/berlin/node-2': String(round), [`${ADDRESSES}10.0.0.${round}`]: 'x' });
      await oracle.converged();
    }
    await until('all is confirmed', () => mesh.publisher.stats.pending === 0);
    localProxy.blackHole('toClient');
    await berlin.put({ 'cilium/state/nodes/v1/berlin/node-3': 'written' });
    await until('it was written', async () => (await local.revision('cilium/cache/nodes/v1/berlin/node-3')) > 0);
    await berlin.put({ 'cilium/state/nodes/v1/berlin/node-3': 'later' });
    await until('the failure is told', () => mesh.publisher.stats.failing !== undefined, { withinMs: 45_000 });
    await berlin.put({ 'cilium/state/nodes/v1/berlin/node-3': 'latest' });
    await localProxy.heal();
    await oracle.converged();
    await until('all is well', () => mesh.publisher.stats.failing === undefined && mesh.publisher.stats.pending === 0);
  },
);

for (const [which, direction] of [
  ['hears and cannot be heard', 'toClient'],
  ['can be heard and hears nothing', 'toServer'],
] as const) {
  faultTest(`fault 13: a remote that ${which} is told as lost and resumed`, CONCURRENT, async ({ berlin, mesh }) => {
    berlin.proxy.blackHole(direction);
    await berlin.fill('2');
    await mesh.until('the loss is told', 'berlin', ({ connected }) => connected === undefined);
  });
}

faultTest(
  'fault 14: a link of a second there and back, with stalls, is no loss, and many keys pass together',
  { ...CONCURRENT, importGuard: 'off', silenceMs: 15_000, keepalive: { timeMs: 1_000, timeoutMs: 8_000 } },
  async ({ localProxy, berlin, mesh, oracle, lines }) => {
    berlin.proxy.delay(500, 'stalls');
    localProxy.delay(100, 'stalls');
    const startMs = performance.now();
    await putAddresses(berlin, 3_000, 'x');
    await oracle.converged(75_000);
    process.stdout.write(`fault 14: 3000 keys took ${((performance.now() - startMs) / 1000).toFixed(1)} s\n`);
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([]);
    expect(mesh.status('berlin')?.['num-failures']).toBeUndefined();
    // A round trip for each key would take ten minutes, and many more transactions.
    const series = await mesh.registry.metrics();
    expect(Number(series.match(/publisher_batch_operations_count (\d+)/)?.[1])).toBeLessThan(300);
  },
);

test
  .skipIf(etcdVersions().length === 0)
  .concurrent(
    'fault 16: a remote with one dead member and one without a quorum is reported as lost, and resumes with the quorum',
    async () => {
      await using members = new Members();
      const [healthy, lonely] = [await members.start(0, 1, 2), members.one(1)];
      await using local = await startLocal();
      await using berlin = new Berlin(lonely);
      await berlin.put({
        'cilium/cluster-config/berlin': JSON.stringify({ id: 7, capabilities: { ...FULL, syncedCanaries: false } }),
      });
      await berlin.put({ [`${ADDRESSES}10.0.0.1`]: '1' });
      await using oracle = await observe(local, [berlin]);
      await using mesh = new Mesh(local, { silenceMs: 1_500 });
      mesh.addFile('berlin', `endpoints: ["http://127.0.0.1:${await freePort()}", "${lonely.endpoint}"]\n`);
      await mesh.synced('berlin');
      await Promise.all([members.one(0).kill(), members.one(2).kill()]);
      await mesh.until('the loss is told', 'berlin', ({ connected, reason }) => connected === undefined && reason);
      expect(mesh.status('berlin')?.['num-endpoints']).toBe(1);
      await healthy.restart();
      await until('it takes writes', () => berlin.put({ [`${ADDRESSES}10.0.0.2`]: '2' }), { withinMs: 45_000 });
      await oracle.converged();
      await mesh.until('all is well', 'berlin', ({ connected, ready }) => connected && ready);
    },
  );

faultTest(
  'fault 12: hosts that vanish and refuse later cost one socket at a time, however often',
  {},
  async ({ berlin, mesh }) => {
    for (let round = 0; round < 20; round += 1) {
      berlin.proxy.blackHole();
      await berlin.put({ [`${ADDRESSES}10.0.0.${round}`]: 'x' });
      berlin.proxy.cut();
      await berlin.proxy.heal();
      await mesh.until('the round is mirrored', 'berlin', (status) => status['num-endpoints'] === 2 + round);
    }
    await until('one connection is left', () => berlin.proxy.connections === 1);
  },
);

faultTest(
  'fault 15: an endpoint that comes and goes leaves nothing behind and is not stormed',
  { processClock: hurriedClock(300) },
  async ({ berlin, mesh }) => {
    const attempts: number[] = [];
    let handles = 0;
    for (let round = 0; round < 12; round += 1) {
      berlin.proxy.reject();
      berlin.proxy.cut();
      const before = berlin.proxy.accepted;
      await until('it was tried twice', () => berlin.proxy.accepted >= before + 2, { withinMs: 45_000 });
      await berlin.put({ [`${ADDRESSES}10.0.0.${round}`]: 'x' });
      await berlin.proxy.heal();
      await mesh.until('the round is mirrored', 'berlin', (status) => status['num-endpoints'] === 2 + round);
      attempts.push(berlin.proxy.accepted - before);
      if (round === 3) handles = process.getActiveResourcesInfo().length;
    }
    const status = () => ({ handles, now: process.getActiveResourcesInfo() });
    await until('nothing has gathered', () => status().now.length <= handles + 2, { status });
    // A connection for each try of each of the ten calls and streams would be many more.
    expect(Math.max(...attempts)).toBeLessThanOrEqual(20);
  },
);

const jump = { ms: 0 };

faultTest(
  'fault 17: a wall clock that jumps by an hour, forth and back, changes no key and loses no lease',
  { processClock: { ...systemClock, nowMs: () => Date.now() + jump.ms }, auditIntervalMs: 50 },
  async ({ local, berlin, mesh, oracle }) => {
    await oracle.converged();
    const [before, { leases: kept }] = [await local.revision(), mesh.publisher.stats];
    for (const ms of [3_600_000, -3_600_000, 0]) {
      jump.ms = ms;
      await berlin.put({ [`${ADDRESSES}10.0.0.1`]: String(ms) });
      await oracle.converged();
    }
    expect(await local.revision()).toBe(before + 3);
    expect(mesh.publisher.stats.leases).toBe(kept);
    expect(mesh.status('berlin')?.['num-failures']).toBeUndefined();
  },
);

/** A remote of several members, each reached directly. */
class Berlin extends Store {
  readonly name = 'berlin';
}

class Members implements AsyncDisposable {
  #all: readonly EtcdProcess[] = [];

  /** Starts members of one cluster; returns the first one. */
  async start(...names: readonly number[]): Promise<EtcdProcess> {
    const peers: string[] = [];
    for (const _ of names) peers.push(`http://127.0.0.1:${await freePort()}`);
    const cluster = peers.map((peer, at) => `m${at}=${peer}`).join();
    const starting = peers.map((peer, at) =>
      startEtcd({
        clusterToken: peers.join(),
        args: [
          `--name=m${at}`,
          `--listen-peer-urls=${peer}`,
          `--initial-advertise-peer-urls=${peer}`,
          `--initial-cluster=${cluster}`,
        ],
      }),
    );
    this.#all = await Promise.all(starting);
    return this.one(0);
  }

  one(at: number): EtcdProcess {
    const member = this.#all[at];
    if (member === undefined) throw new Error(`there is no member ${at}`);
    return member;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#all.map((member) => member.stop()));
  }
}
