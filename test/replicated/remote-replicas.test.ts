/** A remote cluster of several etcds: replicas with a store each behind one address, or members of one store. */
import { describe, expect, test } from 'vitest';
import { connect, history } from '../support/etcd/etcd-client.ts';
import { EtcdCluster, etcdClusterMissing } from '../support/etcd/etcd-cluster.ts';
import { proxyForTest, put, putMany } from '../support/etcd/etcd-fixture.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { Mesh, Remote, type Store, startFullRemote, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';

const KEYS = 2_000;
const NODES = 'cilium/state/nodes/v1/berlin/';

/** What was written or deleted after `since`, canaries and cluster configs included, without order and repetition. */
async function changes(store: Store, since: number): Promise<string[]> {
  const events = await history(store.client, since);
  return [...new Set(events.map(({ type, key }) => `${type} ${key}`))].sort();
}

const changed = (type: 'put' | 'delete', keys: object): string[] => Object.keys(keys).map((key) => `${type} ${key}`);
const mirrorOf = (key: string): string => key.replace('/state/', '/cache/');

/** Two replicas of a remote behind the address of the first one, and their mirror. */
class Replicated {
  readonly local: Store;
  readonly mesh: Mesh;
  readonly address: Remote;

  constructor(local: Store, mesh: Mesh, address: Remote) {
    this.local = local;
    this.mesh = mesh;
    this.address = address;
  }

  /** Moves the connection, then adds a key of each kind; returns what was written until all of these were mirrored. */
  async moveTo(replica: Remote, tag: string): Promise<string[]> {
    const [since, before] = [await this.local.revision(), this.mesh.status('berlin')?.status];
    this.address.proxy.retarget(replica.process.port);
    this.address.proxy.cut();
    const isMoved = ({ connected, status }: { connected?: true; status: string }) => connected && status !== before;
    await this.mesh.until('the other replica is in use', 'berlin', isMoved);
    return this.changesUntilAdded(replica, tag, since);
  }

  /** Each kind is listed and followed by itself: a later key of it arrives when its listing is complete. */
  async changesUntilAdded(replica: Remote, tag: string, since: number): Promise<string[]> {
    await replica.fill(tag);
    const added = Object.keys(replica.keys(tag, 'cache'));
    await until('the added keys are mirrored', async () => {
      const mirrored = await this.local.dump('cilium/cache/');
      return added.every((key) => key in mirrored) && this.mesh.publisher.stats.pending === 0;
    });
    const all = await changes(this.local, since);
    return all.filter((change) => !added.some((key) => change === `put ${key}`));
  }
}

const missing = etcdClusterMissing();
const versions = etcdVersions().filter(({ minor }) => minor === '3.6');

describe.skipIf(missing !== undefined).each(versions)(
  `a remote cluster with etcd $version${missing === undefined ? '' : ` (${missing})`}`,
  { timeout: 120_000 },
  ({ version }) => {
    test('of replicas with a store each: a move to another replica writes the keys that differ and no other', async () => {
      await using local = await startLocal({ version });
      await using first = await startFullRemote('berlin', 7, { version });
      await using second = await startFullRemote('berlin', 7, { version });
      // The same keys at other revisions.
      await putMany(first.client, NODES, KEYS);
      await putMany(second.client, NODES, KEYS, 50);
      await using mesh = await Mesh.mirroring(local, [first], { pageSize: 100 });
      const replicas = new Replicated(local, mesh, first);

      expect(await replicas.moveTo(second, '2')).toEqual([]);

      const [edited, added, removed] = [`${NODES}00017`, `${NODES}added`, `${NODES}01999`];
      await first.put({ [edited]: 'edited', [added]: 'added' });
      await first.delete(removed);
      expect(await replicas.moveTo(first, '3')).toEqual(
        [
          ...changed('put', { [mirrorOf(edited)]: '', [mirrorOf(added)]: '' }),
          ...changed('delete', { [mirrorOf(removed)]: '', ...second.keys('2', 'cache') }),
        ].sort(),
      );
      await mesh.holds(await mirrorOfAll(first));
    });

    test('of replicas with a store each: a listing that is cut and continues at another replica mixes no stores', async () => {
      await using local = await startLocal({ version });
      await using first = await startFullRemote('berlin', 7, { version });
      await using second = await startFullRemote('berlin', 7, { version });
      await putMany(first.client, NODES, KEYS);
      await putMany(second.client, `${NODES}other-`, KEYS, 50);
      await using mesh = await Mesh.mirroring(local, [first], { pageSize: 100 });
      const replicas = new Replicated(local, mesh, first);
      const since = await local.revision();
      for (const bytes of [20_000, 80_000, 200_000]) {
        const { accepted } = first.proxy;
        first.proxy.retarget(second.process.port);
        first.proxy.cut();
        await until('it reaches the other replica', () => first.proxy.accepted > accepted);
        first.proxy.retarget(first.process.port);
        first.proxy.cutAfterBytes(bytes);
        await until('it is back', () => first.proxy.accepted > accepted + 1);
        await mesh.until('it is connected', 'berlin', ({ connected }) => connected);
      }
      await replicas.changesUntilAdded(first, '2', since);
      await mesh.holds(await mirrorOfAll(first));
    });

    test('of three members: each of them is killed, and each leads once, and only changes are written', async () => {
      await using local = await startLocal({ version });
      await using etcd = await EtcdCluster.start({ version });
      await using berlin = new Remote('berlin', etcd.member(0), await proxyForTest(etcd.member(0).port));
      await berlin.configure(7);
      await berlin.fill('1');
      await berlin.announce();
      await putMany(berlin.client, NODES, KEYS);
      await using mesh = new Mesh(local);
      mesh.addFile('berlin', `endpoints: ${JSON.stringify(etcd.members.map(({ endpoint }) => endpoint))}\n`);
      await mesh.synced('berlin');
      await mesh.holds(await mirrorOfAll(berlin));
      const [since, before] = [await local.revision(), mesh.status('berlin')?.status.match(/ID: \S+/)?.[0]];
      const written: string[] = [];
      for (const place of [0, 1, 2]) {
        await etcd.moveLeader(place);
        await etcd.member(place).kill();
        const other = connect(etcd.member((place + 1) % 3).endpoint);
        const key = `${NODES}killed-${place}`;
        // The members elect a leader first, and reject writes until then.
        await until('it is written', () => put(other, key));
        await until('it is mirrored', async () => mirrorOf(key) in (await local.dump('cilium/cache/nodes/')));
        written.push(`put ${mirrorOf(key)}`);
        await etcd.member(place).restart();
      }
      expect(await changes(local, since)).toEqual(written);
      expect(mesh.status('berlin')?.status.match(/ID: \S+/)?.[0]).toBe(before);
    });
  },
);

/** What the mirror of the store holds. */
async function mirrorOfAll(remote: Remote): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [key, value] of Object.entries(await remote.dump('cilium/state/'))) {
    const own = key.replace('/identities/v1/id/', '/identities/v1/berlin/id/').replace('/ip/v1/default/', '/ip/v1/berlin/');
    found[mirrorOf(own)] = value;
  }
  return found;
}
