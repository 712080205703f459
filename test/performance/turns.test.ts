/** How much work is done in one turn of the event loop, counted in keys: a block that does not depend on the machine. */
import { expect, onTestFinished, test } from 'vitest';
import type { EtcdClient } from '../../src/shared/etcd/types.ts';
import { listAll, overriding, soon } from '../support/etcd/etcd-client.ts';
import { proxyForTest } from '../support/etcd/etcd-fixture.ts';
import { enlarged } from '../support/kvstoremesh/cluster-keys.ts';
import { Mesh } from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';
import { entries, filledRemote, KEYS, localStore, putAll, report } from './mirrored-cluster.ts';

/** Keys of one turn of the event loop, and the most of any turn. */
class TurnCounter {
  most = 0;
  #keys = 0;

  add(keys: number): void {
    if (keys === 0) return;
    if (this.#keys === 0)
      setImmediate(() => {
        this.#keys = 0;
      });
    this.#keys += keys;
    this.most = Math.max(this.most, this.#keys);
  }

  /** The most since the last call. */
  take(): number {
    const { most } = this;
    this.most = 0;
    return most;
  }
}

/** `client`, whose pages, events and transactions are counted. */
function counted(client: EtcdClient, read: TurnCounter, written: TurnCounter): EtcdClient {
  return overriding(client, {
    async *list(prefix, options) {
      for await (const page of client.list(prefix, options)) {
        read.add(page.keyValues.length);
        yield page;
      }
    },
    async *watch(prefix, options) {
      for await (const batch of client.watch(prefix, options)) {
        if (batch.kind === 'events') read.add(batch.events.length);
        yield batch;
      }
    },
    txn: (operations, options) => {
      written.add(operations.length);
      return client.txn(operations, options);
    },
  });
}

/** A page, or a slice of events, of a thousand keys for each of the five kinds. */
const MOST_READ = 5_000;
/** Transactions of 128 keys: eight are in flight, and eight may begin when those end in the same turn. */
const MOST_WRITTEN = 2 * 8 * 128;

test('no turn of the event loop handles more than a few pages of keys, in a fill, a catch-up and after lost leases', async () => {
  const [remote, local] = [await filledRemote(), await localStore()];
  const [read, written, readBack] = [new TurnCounter(), new TurnCounter(), new TurnCounter()];
  const proxy = await proxyForTest(local.process.port);
  const mesh = new Mesh(local, {
    localEndpoint: proxy.endpoint,
    around: (client) => counted(client, read, written),
    aroundLocal: (client) => counted(client, readBack, written),
  });
  onTestFinished(() => mesh.stop());
  const check = (phase: string) => {
    const most = { read: read.take(), written: written.take(), readBack: readBack.take() };
    report(`most keys of a turn, ${phase}: ${JSON.stringify(most)}`);
    expect(most.read, `read, ${phase}`).toBeLessThanOrEqual(MOST_READ);
    expect(most.readBack, `read back, ${phase}`).toBeLessThanOrEqual(MOST_READ);
    expect(most.written, `written, ${phase}`).toBeLessThanOrEqual(MOST_WRITTEN);
  };
  mesh.add(remote);
  await mesh.synced(remote.name);
  check('fill');

  await remote.proxy.disconnect();
  const changed = entries.map((entry) => enlarged(entry, 1.2));
  await putAll(remote, changed);
  await remote.proxy.heal();
  const bytes = changed.reduce((sum, { value }) => sum + value.length, 0);
  const isCaughtUp = async () => {
    const values = Object.values(await local.dump('cilium/cache/'));
    return values.reduce((sum, value) => sum + value.length, 0) === bytes;
  };
  await until('the catch-up is mirrored', isCaughtUp);
  check('catch-up');

  // Lost while the local etcd cannot be reached, as leases are that expire.
  await proxy.disconnect();
  const leases = new Set((await listAll(local.client, 'cilium/cache/')).map(({ lease }) => lease));
  for (const lease of leases) await local.client.revokeLease(lease, soon());
  await proxy.heal();
  let found = 0;
  const isBack = async () => {
    found = Object.keys(await local.dump('cilium/cache/')).length;
    return found === KEYS;
  };
  await until('all keys are there again', isBack, { status: () => ({ found, stats: mesh.publisher.stats }) });
  check('lost leases');
});
