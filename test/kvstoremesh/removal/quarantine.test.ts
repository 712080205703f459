/** A mirror that an operator has frozen or withdrawn, on real etcds. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { ConfigDirectory } from '../../../src/kvstoremesh/configuration/config-directory.ts';
import { parseQuarantine, type Quarantine, QuarantineFiles } from '../../../src/kvstoremesh/configuration/quarantine.ts';
import { DRAIN_GRACE_MS } from '../../../src/kvstoremesh/removal/drain.ts';
import type { WatchEvent } from '../../../src/shared/etcd/types.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { ManualClock } from '../../support/clocks.ts';
import { history, soon } from '../../support/etcd/etcd-client.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { Mesh, type Store, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

vi.setConfig({ maxConcurrency: 3 });

const CONFIG = 'cilium/cluster-config/berlin';
const FROZEN: Quarantine = { mode: 'freeze', reason: 'odd endpoints', since: '2026-11-30T12:00:00Z' };
const WITHDRAWN: Quarantine = { ...FROZEN, mode: 'withdraw' };

function quarantine(mesh: Mesh, of: Quarantine | undefined): void {
  mesh.remotes.apply({ kind: 'quarantine', cluster: 'berlin', quarantine: of });
}

async function eventsSince(local: Store, since: number): Promise<readonly (readonly [WatchEvent['type'], string])[]> {
  return (await history(local.client, since)).map(({ type, key }) => [type, key]);
}

describe.skipIf(etcdVersions().length === 0).concurrent('a frozen mirror', () => {
  test('takes no changes, says so, and after the release only the differences are written', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 8);
    await using mesh = await Mesh.mirroring(local, [berlin, oslo]);
    const since = await local.revision();
    quarantine(mesh, FROZEN);
    await mesh.until('it is disconnected', 'berlin', ({ connected }) => !connected);
    expect(mesh.status('berlin')).toMatchObject({
      status: 'In quarantine: the mirror is frozen',
      quarantine: FROZEN,
      reason: expect.stringContaining('since 2026-11-30T12:00:00Z (odd endpoints)'),
      'num-nodes': 1,
    });
    await berlin.fill('2');
    await berlin.delete('cilium/state/services/v1/berlin/shop/1');
    // Written later, and by then those of berlin would have been, too.
    await oslo.fill('2');
    await mesh.holds({ ...berlin.keys('1', 'cache'), ...oslo.keys('1', 'cache'), ...oslo.keys('2', 'cache') });
    expect((await eventsSince(local, since)).filter(([, key]) => key.includes('berlin'))).toEqual([]);

    quarantine(mesh, undefined);
    await mesh.synced('berlin');
    const { 'cilium/cache/services/v1/berlin/shop/1': _, ...left } = berlin.keys('1', 'cache');
    await mesh.holds({ ...left, ...berlin.keys('2', 'cache'), ...oslo.keys('1', 'cache'), ...oslo.keys('2', 'cache') });
    expect(mesh.status('berlin')).not.toHaveProperty('quarantine');
    const own = (await eventsSince(local, since)).filter(([, key]) => key.includes('berlin'));
    expect([...own].sort()).toEqual(
      [
        ...Object.keys(berlin.keys('2', 'cache')).map((key) => ['put', key]),
        ['delete', 'cilium/cache/services/v1/berlin/shop/1'],
      ].sort(),
    );
  });

  test('outlives the daemon: the next one, or another leader, writes nothing and keeps the leases alive', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 8);
    await using first = await Mesh.mirroring(local, [berlin, oslo]);
    await first.stop();
    await berlin.fill('2');
    const keys = [CONFIG, 'cilium/synced/berlin/cilium/cache/nodes/v1', ...Object.keys(berlin.keys('1', 'cache'))];
    const leases = new Set(await Promise.all(keys.map((key) => leaseOf(local, key))));
    const left = async () => {
      const kept = await Promise.all([...leases].map((lease) => local.client.leaseTimeToLive(lease, soon())));
      return kept.map((each) => each?.ttl ?? 0);
    };
    await until('the leases have lost time', async () => (await left()).every((ttl) => ttl < 899));
    const since = await local.revision();
    await using second = new Mesh(local);
    quarantine(second, FROZEN);
    second.add(berlin);
    second.add(oslo);
    await second.synced('oslo');
    await oslo.fill('2');
    await second.holds({ ...berlin.keys('1', 'cache'), ...oslo.keys('1', 'cache'), ...oslo.keys('2', 'cache') });
    expect((await eventsSince(local, since)).filter(([, key]) => key.includes('berlin'))).toEqual([]);
    await until('the leases are renewed', async () => (await left()).every((ttl) => ttl >= 899));
  });

  test('keeps its services beyond the time to live of the cache', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const clock = new ManualClock();
    await using mesh = await Mesh.mirroring(local, [berlin], { clock, cacheTtlMs: 60_000 });
    quarantine(mesh, FROZEN);
    await mesh.until('it is disconnected', 'berlin', ({ connected }) => !connected);
    await clock.advance(3_600_000);
    expect(mesh.find('berlin')?.revocations).toBe(0);
    await mesh.holds(berlin.keys('1', 'cache'));
  });
});

describe.skipIf(etcdVersions().length === 0).concurrent('a withdrawn mirror', () => {
  test('goes in the order of a removal, stays listed, and returns after the release', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const clock = new ManualClock();
    await using mesh = await Mesh.mirroring(local, [berlin], { clock, graceMs: DRAIN_GRACE_MS });
    const since = await local.revision();
    quarantine(mesh, WITHDRAWN);
    await until('the cluster config is gone', async () => !(CONFIG in (await local.dump())));
    await clock.advance(DRAIN_GRACE_MS - 1);
    expect(await eventsSince(local, since)).toEqual([['delete', CONFIG]]);
    await clock.advance(1);
    await mesh.holds({});
    const kinds = (await eventsSince(local, since)).map(([, key]) =>
      key.startsWith('cilium/cache/') ? key.split('/')[2] : key.split('/')[1],
    );
    const order = ['cluster-config', 'synced', 'endpointslices', 'ip', 'identities', 'nodes', 'serviceexports', 'services'];
    expect([...new Set(kinds)]).toEqual(order);
    expect(mesh.status('berlin')).toMatchObject({ status: 'In quarantine: the mirror is withdrawn', quarantine: WITHDRAWN });
    quarantine(mesh, undefined);
    await mesh.synced('berlin');
    await mesh.holds(berlin.keys('1', 'cache'));
    expect(CONFIG in (await local.dump())).toBe(true);
    expect(Object.keys(await local.dump('cilium/synced/berlin/')).length).toBe(6);
  });

  test('that is released within the grace is withdrawn completely before it returns', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const clock = new ManualClock();
    await using mesh = await Mesh.mirroring(local, [berlin], { clock, graceMs: DRAIN_GRACE_MS });
    const since = await local.revision();
    quarantine(mesh, WITHDRAWN);
    await until('the cluster config is gone', async () => !(CONFIG in (await local.dump())));
    quarantine(mesh, undefined);
    await clock.advance(DRAIN_GRACE_MS);
    await mesh.synced('berlin');
    const events = await eventsSince(local, since);
    for (const key of Object.keys(berlin.keys('1', 'cache')))
      expect(events.filter(([, name]) => name === key).map(([type]) => type)).toEqual(['delete', 'put']);
  });
});

async function leaseOf(local: Store, key: string) {
  for await (const { keyValues } of local.client.list(key as never, { ...soon(), exact: true }))
    if (keyValues[0] !== undefined) return keyValues[0].lease;
  throw new Error(`no ${key}`);
}

describe('the file of a quarantine', () => {
  test('in the configuration directory precedes its cluster, and is followed', async () => {
    const path = temporaryDirectory('quarantine');
    const file = join(path, 'west.quarantine');
    writeFileSync(join(path, 'west'), 'endpoints: [https://west:2379]');
    writeFileSync(file, JSON.stringify(FROZEN));
    const stop = new AbortController();
    const timing = { quietMs: 1, goneMs: 50, pollMs: 50 };
    const directory = new ConfigDirectory({
      path,
      ownName: 'east',
      clock: systemClock,
      log: silentLogger,
      signal: stop.signal,
      timing,
    });
    const changes = directory.changes();
    const frozen = { kind: 'quarantine', cluster: 'west', quarantine: FROZEN };
    expect((await changes.next()).value).toEqual([frozen, { kind: 'added', cluster: 'west', path: join(path, 'west') }]);
    writeFileSync(`${file}.new`, JSON.stringify(WITHDRAWN));
    renameSync(`${file}.new`, file);
    expect((await changes.next()).value).toEqual([{ ...frozen, quarantine: WITHDRAWN }]);
    rmSync(file);
    expect((await changes.next()).value).toEqual([{ ...frozen, quarantine: undefined }]);
    stop.abort(new Error('the test is over'));
  });

  test('that is not valid freezes the mirror', () => {
    expect(parseQuarantine('{"mode":"withdraw","reason":"a\\u001bb","since":"x"}')).toEqual({
      mode: 'withdraw',
      reason: 'a b',
      since: 'x',
    });
    for (const text of ['', '{', '[]', '{"mode":"thaw"}'])
      expect(parseQuarantine(text)).toEqual({ mode: 'freeze', reason: expect.stringContaining('not valid'), since: '' });
  });

  test('counts as removed when it is missing twice; one that cannot be read counts as before', async () => {
    const files = new QuarantineFiles(1_000);
    const read = async () => Buffer.from(JSON.stringify(FROZEN));
    const scan = (names: readonly string[], nowMs: number, how: () => Promise<Buffer> = read) => files.changes(names, how, nowMs);
    expect(await scan(['west', 'west.quarantine', 'UP.quarantine'], 0)).toEqual([
      { kind: 'quarantine', cluster: 'west', quarantine: FROZEN },
    ]);
    expect(await scan(['west.quarantine'], 1)).toEqual([]);
    expect(await scan(['west.quarantine'], 2, () => Promise.reject(new Error('EACCES')))).toEqual([]);
    expect(await scan([], 10)).toEqual([]);
    expect(files.isWaiting).toBe(true);
    expect(await scan([], 1_010)).toEqual([{ kind: 'quarantine', cluster: 'west', quarantine: undefined }]);
    expect(files.isWaiting).toBe(false);
    const unreadable = await scan(['west.quarantine'], 2_000, () => Promise.reject(new Error('EACCES')));
    expect(unreadable).toMatchObject([{ quarantine: { mode: 'freeze', reason: 'the file cannot be read: EACCES' } }]);
  });
});
