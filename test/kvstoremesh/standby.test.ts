/** Two daemons over one etcd, each a process of its own, and what happens to them. */

import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { RemoteClusterStatus } from '../../src/kvstoremesh/status/status.ts';
import { KVSTOREMESH_LOCKS } from '../../src/shared/etcd/keyspace.ts';
import { type KeyValue, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { history } from '../support/etcd/etcd-client.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { ConfigDirectory, harborFlags } from '../support/kvstoremesh/config-directory.ts';
import { type Remote, type Store, startFullRemote, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { freePort } from '../support/network/free-port.ts';
import { type Daemon, quickProgram, startDaemon } from '../support/processes/daemon.ts';
import { until, within } from '../support/until.ts';

const SHORT_TTL_SECONDS = 3;
/** Events while the lease is alive cannot have waited for its end. */
const LONG_TTL_SECONDS = 600;

interface Replica extends Daemon {
  clusters(): Promise<RemoteClusterStatus[]>;
  leads(): Promise<boolean>;
}

let directory: ConfigDirectory;

beforeEach(() => {
  directory = new ConfigDirectory();
});

async function start(local: Store, ttlSeconds: number): Promise<Replica> {
  const [api, metrics] = [await freePort(), await freePort()];
  const daemon = await startDaemon(
    'kvstoremesh',
    [...harborFlags(local, directory), `--api-serve-addr=127.0.0.1:${api}`, `--prometheus-serve-addr=127.0.0.1:${metrics}`],
    quickProgram({ lockTtlSeconds: ttlSeconds }),
  );
  onTestFinished(() => daemon.kill());
  await daemon.ready();
  const get = async (url: string) => (await fetch(url)).text();
  return Object.assign(daemon, {
    clusters: async () => JSON.parse(await get(`http://127.0.0.1:${api}/v1/cluster`)),
    leads: async () =>
      (await get(`http://127.0.0.1:${metrics}/metrics`)).includes('leader_election_master_status{name="kvstoremesh"} 1\n'),
  });
}

async function untilLeading(replica: Replica): Promise<void> {
  const probe = async () => (await replica.leads()) && (await replica.clusters())[0]?.ready;
  await until('it leads and mirrors', probe, { withinMs: 45_000, status: () => replica.log.slice(-3000) });
}

async function untilStandby(replica: Replica): Promise<void> {
  const probe = async () => !(await replica.leads()) && (await replica.clusters()).length === 0;
  await until('it stands by', probe, { withinMs: 45_000, status: () => replica.log.slice(-3000) });
}

/** The first leads, the second stands by. */
async function startPair(local: Store, remote: Remote, ttlSeconds: number): Promise<[Replica, Replica]> {
  directory.add(remote);
  const first = await start(local, ttlSeconds);
  await untilLeading(first);
  const second = await start(local, ttlSeconds);
  await untilStandby(second);
  return [first, second];
}

const locks = async (local: Store) => Object.keys(await local.dump(KVSTOREMESH_LOCKS));

async function locksByAge(local: Store): Promise<KeyValue[]> {
  const found: KeyValue[] = [];
  for await (const { keyValues } of local.client.list(KVSTOREMESH_LOCKS, { signal: AbortSignal.timeout(60_000) }))
    found.push(...keyValues);
  return found.sort((a, b) => a.modRevision - b.modRevision);
}

/** What agents act upon, of what was written or deleted since then. */
async function changes(local: Store, since: number): Promise<string[]> {
  const events = await history(local.client, since);
  return events.map(({ type, key }) => `${type} ${key}`).filter((event) => !/cilium\/(synced|kvstoremesh-lock)\//.test(event));
}

describe.skipIf(etcdVersions().length === 0)('of two daemons over one etcd', () => {
  test('rule 59: one mirrors; the other is ready with nothing, and mirrors once the first one was killed', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const [first, second] = await startPair(local, berlin, SHORT_TTL_SECONDS);
    expect((await locks(local)).length).toBe(2);
    expect(await second.clusters()).toEqual([]);
    expect(second.log).toContain('another replica leads; standing by');
    expect(second.log).not.toContain('connected to the remote cluster');
    const since = await local.revision();
    await first.kill();
    await untilLeading(second);
    expect(await changes(local, since)).toEqual([]);
    await berlin.fill('2');
    const mirrored = Object.keys(berlin.keys('2', 'cache'));
    await until('it mirrors', async () => {
      const keys = Object.keys(await local.dump('cilium/cache/'));
      return mirrored.every((key) => keys.includes(key));
    });
    expect((await locks(local)).length).toBe(1);
  });

  test('rule 58: the other takes over at once when the first one is stopped', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const [first, second] = await startPair(local, berlin, LONG_TTL_SECONDS);
    const since = await local.revision();
    first.send('SIGTERM');
    expect(await within('it stops', first.ended(), 5_000)).toBe(0);
    await untilLeading(second);
    expect(await changes(local, since)).toEqual([]);
    expect((await locks(local)).length).toBe(1);
  });

  test('a daemon that was killed and is started again leads at once, although the lease of its lock lives on', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    directory.add(berlin);
    const killed = await start(local, LONG_TTL_SECONDS);
    await untilLeading(killed);
    const [before] = await locks(local);
    await killed.kill();
    const since = await local.revision();
    const again = await start(local, LONG_TTL_SECONDS);
    await untilLeading(again);
    expect(again.log).toContain('released the leader lock of an earlier process');
    expect(await changes(local, since)).toEqual([]);
    expect(await locks(local)).toEqual([expect.not.stringContaining(before ?? '')]);
  });

  test('after a kill and a restart the other one leads immediately, and the restarted one stands by behind it', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const [first, second] = await startPair(local, berlin, LONG_TTL_SECONDS);
    await first.kill();
    const again = await start(local, LONG_TTL_SECONDS);
    await untilLeading(second);
    await untilStandby(again);
    expect((await locks(local)).length).toBe(2);
  });

  test('one that is only suspended keeps its place, however often the other is killed and started again', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const [first, second] = await startPair(local, berlin, LONG_TTL_SECONDS);
    const [held] = await locksByAge(local);
    first.send('SIGSTOP');
    await second.kill();
    for (let i = 0; i < 2; i += 1) {
      const again = await start(local, LONG_TTL_SECONDS);
      await untilStandby(again);
      await until('two are in the queue', async () => (await locks(local)).length === 2);
      expect((await locksByAge(local))[0]?.key).toBe(held?.key);
      await again.kill();
    }
    first.send('SIGCONT');
    await untilLeading(first);
    expect(first.log).not.toContain('leader lock lost');
  });

  test('a leader stops in time although its etcd does not answer', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    directory.add(berlin);
    const daemon = await start(local, LONG_TTL_SECONDS);
    await untilLeading(daemon);
    local.process.pause();
    onTestFinished(() => local.process.resume());
    await berlin.fill('2');
    daemon.send('SIGTERM');
    expect(await within('it stops', daemon.ended(), 5_000)).toBe(0);
    local.process.resume();
  });

  test('rule 59: fault 18: a leader that was suspended for longer than its lease stands by when it resumes, and writes nothing', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const [first, second] = await startPair(local, berlin, SHORT_TTL_SECONDS);
    first.send('SIGSTOP');
    await untilLeading(second);
    // Of these the suspended one learns late, and would undo the last.
    await berlin.fill('2');
    await berlin.delete(...Object.keys(berlin.keys('1', 'state')));
    await until('it is mirrored', async () => {
      const held = await local.dump('cilium/cache/');
      return JSON.stringify(Object.entries(held).sort()) === JSON.stringify(Object.entries(berlin.keys('2', 'cache')).sort());
    });
    const since = await local.revision();
    first.send('SIGCONT');
    await untilStandby(first);
    await until('it waits for the other one', async () => (await locks(local)).length === 2);
    expect(await changes(local, since)).toEqual([]);
    expect(first.isRunning).toBe(true);
    expect(await second.leads()).toBe(true);
    second.send('SIGTERM');
    await untilLeading(first);
    expect(await changes(local, since)).toEqual([]);
  });

  test('a leader whose lock lease is revoked hands over, without a process that ends or a key that changes', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const [first, second] = await startPair(local, berlin, LONG_TTL_SECONDS);
    const since = await local.revision();
    const revokeFirst = async () => {
      const [oldest] = await locksByAge(local);
      await local.client.revokeLease(oldest?.lease ?? NO_LEASE, { signal: AbortSignal.timeout(60_000) });
    };
    await revokeFirst();
    await untilLeading(second);
    await untilStandby(first);
    expect(first.log).toContain('leader lock lost');
    await until('both are in the queue', async () => (await locks(local)).length === 2);
    await revokeFirst();
    await untilLeading(first);
    await untilStandby(second);
    expect(first.isRunning && second.isRunning).toBe(true);
    expect(await changes(local, since)).toEqual([]);
  });

  test('rule 53: one fills an etcd that came back empty, canaries last, and neither ends', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const [first, second] = await startPair(local, berlin, LONG_TTL_SECONDS);
    const wanted = Object.keys(await local.dump('cilium/'))
      .filter((key) => !key.startsWith(KVSTOREMESH_LOCKS))
      .sort();
    await local.process.restart({ wipe: true });
    const written = async () =>
      Object.keys(await local.dump('cilium/'))
        .filter((key) => !key.startsWith(KVSTOREMESH_LOCKS))
        .sort();
    await until('all of it is there', async () => JSON.stringify(await written()) === JSON.stringify(wanted), {
      withinMs: 75_000,
      status: () => first.log.slice(-2000) + second.log.slice(-2000),
    });
    await until('both are in the queue', async () => (await locks(local)).length === 2, { withinMs: 75_000 });
    const puts = (await history(local.client, 1)).filter(({ type }) => type === 'put');
    const firstPut = (key: string) => puts.find((event) => event.key === key)?.modRevision ?? 0;
    for (const key of wanted.filter((each) => each.startsWith('cilium/cache/'))) {
      const scope = key.split('/')[2] ?? '';
      const canary = wanted.find((each) => each.startsWith('cilium/synced/') && each.includes(`/${scope}/`));
      expect(firstPut(canary ?? ''), `the canary of ${key}`).toBeGreaterThan(firstPut(key));
    }
    expect([await first.leads(), await second.leads()].filter(Boolean).length).toBe(1);
    expect(first.isRunning && second.isRunning).toBe(true);
  });
});
