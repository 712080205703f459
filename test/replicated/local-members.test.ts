/** A kvstoremesh over a local etcd of three members, under load, and what an agent reads there while members fail. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connect, history } from '../support/etcd/etcd-client.ts';
import { EtcdCluster, etcdClusterMissing } from '../support/etcd/etcd-cluster.ts';
import { proxyForTest } from '../support/etcd/etcd-fixture.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { ConfigDirectory, harborFlags } from '../support/kvstoremesh/config-directory.ts';
import { startFullRemote } from '../support/kvstoremesh/mesh-fixture.ts';
import { observe } from '../support/kvstoremesh/oracle.ts';
import type { TcpProxy } from '../support/network/tcp-proxy.ts';
import { startDaemon } from '../support/processes/daemon.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { AgentReader } from './agent-reader.ts';
import { lagOf, SteadyLoad } from './steady-load.ts';

const LEADER_MOVES = 50;
/** A member that hangs is noticed in 3 s; etcd's default closes connections that ping so often. */
const PINGS = ['--grpc-keepalive-min-time=1s'];
const KEEPALIVE = ',etcd.keepaliveHeartbeat=2s,etcd.keepaliveTimeout=1s';

/** What stands between the daemon and its etcd of several members. */
class Rig {
  readonly etcd: EtcdCluster;
  readonly proxies: readonly TcpProxy[];
  /** The member through which the oracle looks, never one that fails. */
  readonly view: TcpProxy;

  private constructor(etcd: EtcdCluster, proxies: readonly TcpProxy[], view: TcpProxy) {
    this.etcd = etcd;
    this.proxies = proxies;
    this.view = view;
  }

  static async start(version: string): Promise<Rig> {
    const etcd = await EtcdCluster.start({ version, args: PINGS });
    onTestFinished(() => etcd[Symbol.asyncDispose]());
    const proxies = await Promise.all(etcd.members.map(({ port }) => proxyForTest(port)));
    return new Rig(etcd, proxies, await proxyForTest(etcd.member(1).port));
  }

  /** The place of the member that the daemon is connected to. */
  used(): Promise<number> {
    const used = () => this.proxies.findIndex(({ connections }) => connections > 0) + 1;
    return until('the daemon is connected', used).then((place) => place - 1);
  }

  /** The oracle looks through another member than the one at `index`, whose place is returned. */
  lookPast(index: number): number {
    const other = (index + 1) % 3;
    this.view.retarget(this.etcd.member(other).port);
    this.view.cut();
    return other;
  }
}

interface Fault {
  readonly happens: (rig: Rig) => Promise<unknown>;
  readonly ends?: (rig: Rig) => Promise<unknown> | void;
}

const killed = (index: number): Fault => ({
  happens: ({ etcd }) => etcd.member(index).kill(),
  ends: ({ etcd }) => etcd.member(index).restart(),
});

const FAULTS: Readonly<Record<string, (used: number, leader: number) => Fault>> = {
  'member a is killed': () => killed(0),
  'member b is killed': () => killed(1),
  'member c is killed': () => killed(2),
  'the leader is killed': (_, leader) => killed(leader),
  'the member of the daemon is cut off from the others': (used) => ({
    happens: async ({ etcd }) => etcd.isolate(used),
    ends: ({ etcd }) => etcd.heal(),
  }),
  'the member of the daemon hangs': (used) => ({
    happens: async ({ etcd }) => etcd.member(used).pause(),
    ends: ({ etcd }) => etcd.member(used).resume(),
  }),
  'the connection of the daemon drops all packets': (used) => ({
    happens: async ({ proxies }) => proxies[used]?.blackHole(),
    ends: ({ proxies }) => proxies[used]?.heal(),
  }),
  'the connection of the daemon is slow': (used) => ({
    happens: async ({ proxies }) => proxies[used]?.delay(200, 'stalls'),
    ends: ({ proxies }) => proxies[used]?.heal(),
  }),
};

const missing = etcdClusterMissing();
/** Older ones have no flag for a token of members that join, and leave the chart's range. */
const versions = etcdVersions().filter(({ minor }) => ['3.6', '3.7'].includes(minor));

describe.skipIf(missing !== undefined).each(versions)(
  `over three members of etcd $version${missing === undefined ? '' : ` (${missing})`}`,
  { timeout: 240_000 },
  ({ version }) => {
    test('an agent gets each event once under load, and lists nothing again, while every member fails, leads, joins or leaves', async () => {
      const rig = await Rig.start(version);
      const { etcd } = rig;
      await using berlin = await startFullRemote('berlin', 7);
      await using oracle = await observe({ process: rig.view }, [berlin]);
      const config = join(temporaryDirectory('etcd'), 'etcd-config.yaml');
      writeFileSync(config, `endpoints: ${JSON.stringify(rig.proxies.map(({ endpoint }) => endpoint))}\n`);
      const directory = new ConfigDirectory();
      directory.add(berlin);
      const flags = harborFlags(`etcd.config=${config}${KEEPALIVE}`, directory);
      await using daemon = await startDaemon('kvstoremesh', [...flags, '--api-serve-addr=', '--prometheus-serve-addr=']);
      await daemon.ready();
      const endpoints = etcd.members.map(({ endpoint }) => endpoint);
      const readers = [await AgentReader.start(endpoints), await AgentReader.start(endpoints.toReversed())];
      const load = SteadyLoad.start(berlin);
      const arrives = (ms: number) => Promise.all(readers.map((reader) => reader.untilWritten(ms)));
      const lags: Record<string, number> = {};
      const during = async (name: string, body: () => Promise<unknown>) => {
        const sinceMs = Date.now();
        await arrives(sinceMs);
        await body();
        await arrives(Date.now());
        const puts = readers.flatMap(({ events }) => events.filter(({ type, atMs }) => type === 'put' && atMs >= sinceMs));
        lags[name] = puts.reduce((most, put) => Math.max(most, lagOf(put)), 0);
      };
      await during('nothing fails', () => arrives(Date.now() + 500));
      for (const [name, make] of Object.entries(FAULTS)) {
        const [used, leader] = [await rig.used(), await etcd.leader(1)];
        const fault = make(used, leader);
        const failing = name === 'the leader is killed' ? leader : /member ([abc])/.test(name) ? 'abc'.indexOf(name[7] ?? '') : used;
        rig.lookPast(failing);
        await during(name, async () => {
          await fault.happens(rig);
          await arrives(Date.now() + 500);
          await fault.ends?.(rig);
        });
      }
      await during(`the leader moves ${LEADER_MOVES} times`, async () => {
        for (let move = 0; move < LEADER_MOVES; move += 1) await etcd.moveLeader(move % 3);
      });
      await during('a member joins', () => etcd.add(0));
      const leader = await etcd.leader(0);
      const removed = leader > 2 ? 0 : leader;
      const other = rig.lookPast(removed);
      await during('the leader leaves', () => etcd.remove(removed, other));
      await load.stop();
      await oracle.converged();
      const log = daemon.log;
      const written = (await history(connect(etcd.member(other).endpoint), Math.min(...readers.map(({ since }) => since))))
        .filter(({ key }) => key.startsWith('cilium/cache/'))
        .map(({ type, key, modRevision }) => `${modRevision} ${type} ${key}`);
      for (const { events, relistings, since } of readers) {
        const expected = written.filter((line) => Number.parseInt(line, 10) > since);
        await until('the last event arrives', () => events.length >= expected.length);
        expect(events.map(({ type, key, revision }) => `${revision} ${type} ${key}`)).toEqual(expected);
        expect(relistings).toEqual([]);
      }
      expect(log).not.toMatch(/was replaced|emptied or restored|relisting/);
      const table = Object.entries(lags).map(([name, ms]) => `${name}: lag ${(ms / 1000).toFixed(1)} s`);
      const load_ = `${load.rate} changes a second, ${written.length} events, resumed ${readers.map(({ resumed }) => resumed).join(' and ')} times`;
      process.stdout.write(`etcd ${version}: ${load_}\n  ${table.join('\n  ')}\n`);
    });
  },
);
