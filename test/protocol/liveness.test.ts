/** Rules 35 to 49: connections that die, stall, lead elsewhere or lose history. */

import { describe, expect, test, vi } from 'vitest';
import { HEARTBEAT_KEY } from '../../src/shared/etcd/keyspace.ts';
import { type EtcdClient, keyOf } from '../../src/shared/etcd/types.ts';
import { ManualClock } from '../support/clocks.ts';
import { overriding } from '../support/etcd/etcd-client.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { Mesh, type Remote, startFullRemote, startLocal, startRemote } from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';
import { sharing, untilLater } from './clusters.ts';

vi.setConfig({ maxConcurrency: 3 });

const MINUTE_MS = 60_000;
const NODES = 'cilium/state/nodes/v1/berlin/';
const node = (index: number) => `${NODES}${index}`;

describe.skipIf(etcdVersions().length === 0).concurrent('the heartbeat of a remote', () => {
  test('rule 35: that is not written counts as a failure every two minutes, and nothing is written or reconnected', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const clock = new ManualClock();
    await using mesh = await Mesh.mirroring(local, [berlin], { clock });
    const [before, connections] = [await local.revision(), berlin.proxy.accepted];
    for (const failures of [1, 2, 3]) {
      const counted = () => mesh.status('berlin')?.['num-failures'] === failures;
      await untilLater(clock, `failure ${failures} is counted`, counted, { stepMs: 10_000, status: () => mesh.status('berlin') });
      expect(clock.monotonicMs()).toBeGreaterThanOrEqual(failures * 2 * MINUTE_MS);
    }
    expect(mesh.status('berlin')).toMatchObject({ connected: true, ready: true });
    expect(await local.revision()).toBe(before);
    expect(berlin.proxy.accepted).toBe(connections);
  });

  test('rule 36: that is written every minute keeps the connection, with any value; deleted, it counts as silence', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const clock = new ManualClock();
    await using mesh = await Mesh.mirroring(local, [berlin], { clock });
    const values = [
      '2026-02-03T04:05:06Z',
      '1999-01-01T00:00:00Z',
      '2099-01-01T00:00:00Z',
      'garbage',
      '',
      '\0',
      '-1',
      'x',
      'y',
      'z',
    ];
    for (const [minute, value] of values.entries()) {
      await berlin.put({ [HEARTBEAT_KEY]: value });
      await berlin.put({ [node(minute)]: value });
      const wanted = minute + 2;
      await mesh.until('the minute is mirrored', 'berlin', (status) => status['num-nodes'] === wanted);
      await clock.advance(MINUTE_MS);
    }
    expect(mesh.status('berlin')).toMatchObject({ connected: true, ready: true });
    expect(mesh.status('berlin')?.['num-failures']).toBeUndefined();
    await berlin.delete(HEARTBEAT_KEY);
    const counted = () => mesh.status('berlin')?.['num-failures'] === 1;
    await untilLater(clock, 'the silence is counted', counted, { stepMs: 10_000 });
  });
});

describe.skipIf(etcdVersions().length === 0).concurrent('the connection to a remote', () => {
  test('rule 38: into a black hole is reported as lost, its keys stay, and its return causes no write', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin], { silenceMs: 500 });
    const before = await local.revision();
    berlin.proxy.blackHole();
    await mesh.until('it is lost', 'berlin', ({ connected }) => connected === undefined);
    expect(mesh.status('berlin')).toMatchObject({
      status: 'Waiting for initial connection to be established',
      'num-failures': 1,
      'num-nodes': 1,
    });
    await mesh.holds(berlin.keys('1', 'cache'));
    await berlin.proxy.heal();
    await mesh.until('it is back', 'berlin', ({ ready }) => ready);
    expect(await local.revision()).toBe(before);
  });

  test('rule 41: that alternates between two etcds is replaced each time, and ends with the current content', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using twin = await startFullRemote('berlin', 7);
    // The twin's history is far ahead: a revision of the one would be a wrong place in the other.
    for (let index = 0; index < 50; index += 1) await twin.put({ 'cilium/state/nodes/v1/berlin/node-1': `${index}` });
    await twin.put({ 'cilium/state/nodes/v1/berlin/node-1': 'of the twin' });
    await twin.fill('2');
    await using mesh = await Mesh.mirroring(local, [berlin]);
    const ofBerlin = { ...berlin.keys('1', 'cache') };
    const ofTwin = {
      ...ofBerlin,
      ...berlin.keys('2', 'cache'),
      'cilium/cache/nodes/v1/berlin/node-1': 'of the twin',
    };
    for (let flip = 1; flip <= 4; flip += 1) {
      const toTwin = flip % 2 === 1;
      berlin.proxy.retarget(toTwin ? twin.process.port : berlin.process.port);
      berlin.proxy.cut();
      await mesh.holds(toTwin ? ofTwin : ofBerlin);
      await mesh.until('it is ready', 'berlin', ({ ready }) => ready);
      expect(mesh.status('berlin')?.['num-failures']).toBe(flip);
    }
    await berlin.put({ 'cilium/state/nodes/v1/berlin/node-3': 'later' });
    await mesh.holds({ ...ofBerlin, 'cilium/cache/nodes/v1/berlin/node-3': 'later' });
  });
});

describe.skipIf(etcdVersions().length === 0).concurrent('the listing of a remote', () => {
  /** Calls `between` once: after the first page of nodes, or after the last one. */
  const interrupting = (place: 'pages' | 'watch', between: () => Promise<void>) => {
    let isDone = false;
    let pages = 0;
    const around = (client: EtcdClient) =>
      overriding(client, {
        list: async function* (prefix, options) {
          const once = async () => {
            if (!isDone && prefix === NODES) {
              isDone = true;
              await between();
            }
          };
          for await (const page of client.list(prefix, options)) {
            if (prefix === NODES) pages += 1;
            yield page;
            if (place === 'pages') await once();
          }
          if (place === 'watch') await once();
        },
      });
    return { around, pages: () => pages };
  };

  test.each(['pages', 'watch'] as const)(
    'rule 43: is begun anew where history is compacted before its next step: %s',
    async (place) => {
      await using local = await startLocal();
      await using berlin = await startRemote('berlin');
      await berlin.configure(7, {});
      await berlin.put(Object.fromEntries(Array.from({ length: 50 }, (_, index) => [node(index), 'old'])));
      const { around } = interrupting(place, async () => {
        await berlin.delete(node(0), node(49));
        await berlin.put({ [node(1)]: 'new', [node(50)]: 'new' });
        await berlin.compact();
      });
      await using mesh = await Mesh.mirroring(local, [berlin], { pageSize: 10, around });
      const source = Object.entries(await berlin.dump('cilium/state/nodes/'));
      expect(source.length).toBe(49);
      await mesh.holds(Object.fromEntries(source.map(([key, value]) => [key.replace('/state/', '/cache/'), value])));
      expect(mesh.status('berlin')?.['num-failures']).toBeUndefined();
    },
  );

  test.each([0, 1])('rule 45: works with etcd.limit=%i', async (pageSize) => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7, {});
    await berlin.put(Object.fromEntries(Array.from({ length: 100 }, (_, index) => [node(index), `${index}`])));
    const { around, pages } = interrupting('watch', () => Promise.resolve());
    await using _mesh = await Mesh.mirroring(local, [berlin], { pageSize, around });
    expect(Object.keys(await local.dump('cilium/cache/nodes/')).length).toBe(100);
    expect(pages()).toBe(pageSize === 0 ? 1 : 100);
  });
});

describe.skipIf(etcdVersions().length === 0).concurrent('the cluster config of a remote', () => {
  test('rule 47: that comes after ten minutes is taken up within half a minute', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await berlin.delete('cilium/cluster-config/berlin');
    const clock = new ManualClock();
    await using mesh = new Mesh(local, { clock });
    mesh.add(berlin);
    await mesh.until('it is connected', 'berlin', ({ config }) => config?.required);
    await clock.advance(10 * MINUTE_MS);
    expect(await local.dump('cilium/')).toEqual({});
    expect(mesh.status('berlin')?.['num-failures'] ?? 0).toBeLessThanOrEqual(5);
    await berlin.configure(7);
    const [from, isTaken] = [clock.monotonicMs(), () => mesh.status('berlin')?.config?.retrieved];
    await untilLater(clock, 'it is taken up', isTaken, { stepMs: 10 });
    expect(clock.monotonicMs() - from).toBeLessThanOrEqual(30_000);
    await mesh.synced('berlin');
  });

  test('rule 49: that is not JSON is reported and retried, and other remotes are mirrored in the meantime', async () => {
    await using local = await startLocal();
    await using source = await startRemote('source');
    const [berlin, oslo] = sharing(source, 'berlin', 'oslo') as [Remote, Remote];
    await berlin.put({ 'cilium/cluster-config/berlin': '{"id":7,' });
    await oslo.configure(8, {});
    await using mesh = new Mesh(local);
    mesh.add(berlin);
    mesh.add(oslo);
    await mesh.synced('oslo');
    await mesh.until('the error is told', 'berlin', ({ reason }) => reason === 'the cluster config is not JSON');
    expect(mesh.status('berlin')).toMatchObject({ connected: true, config: { required: true } });
    expect(
      await local.client.get(keyOf('cilium/cluster-config/berlin'), { signal: AbortSignal.timeout(60_000) }),
    ).toBeUndefined();
    await oslo.put({ 'cilium/state/nodes/v1/oslo/n': 'x' });
    await until('the other one goes on', async () => Object.keys(await local.dump('cilium/cache/nodes/v1/oslo/')).length === 1);
    await berlin.configure(7, {});
    await mesh.synced('berlin');
  });
});
