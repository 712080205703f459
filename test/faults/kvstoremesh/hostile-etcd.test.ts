/** A remote whose etcd answers anything, beside one that is honest. */
import { expect, test } from 'vitest';
import { clusterConfigKey } from '../../../src/shared/etcd/keyspace.ts';
import { ETCD_CALL_TIMEOUT_MS, ETCD_DIAL_TIMEOUT_MS, MAX_ETCD_TEXT_LENGTH } from '../../../src/shared/limits.ts';
import { createLogger } from '../../../src/shared/process/log.ts';
import { type Clock, systemClock } from '../../../src/shared/time/clock.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { FULL, Mesh, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { randomOf } from '../../support/mutation.ts';
import { until } from '../../support/until.ts';
import { HostileEtcd } from './hostile-etcd.ts';

/** Timeouts for other parties stay unchanged, and so do periodic tasks; back-off is short. */
const clock: Clock = {
  ...systemClock,
  sleep: (ms, signal) => {
    const isPause = ms <= 30_000 && ms !== ETCD_CALL_TIMEOUT_MS && ms !== ETCD_DIAL_TIMEOUT_MS;
    return systemClock.sleep(isPause ? Math.min(ms, 50) : ms, signal);
  },
};

const STORE = {
  'cilium/.heartbeat': 'now',
  [clusterConfigKey('berlin')]: JSON.stringify({ id: 7, capabilities: FULL }),
  ...Object.fromEntries(
    ['nodes', 'identities', 'ip', 'services', 'endpointslices', 'serviceexports'].flatMap((scope) => [
      [`cilium/synced/berlin/cilium/state/${scope}/v1`, 'x'],
    ]),
  ),
  'cilium/state/nodes/v1/berlin/node-1': 'node',
  'cilium/state/services/v1/berlin/shop/cart': 'service',
};

/** How often each lie is sent. */
const LEAST_TOLD = 4;

/** No key of the local etcd is berlin's elsewhere than there. */
const OF_BERLIN = /^cilium\/(?:cache\/[^/]+\/v1|cluster-config|synced)\/berlin(?:\/|$)/;

test.skipIf(etcdVersions().length === 0)(
  'fault 36: a remote whose etcd sends arbitrary responses affects only itself',
  { timeout: 180_000 },
  async () => {
    const seed = Number(process.env.HOSTILE_SEED ?? Math.floor(Math.random() * 2 ** 31));
    process.stdout.write(`HOSTILE_SEED=${seed}\n`);
    const lines: string[] = [];
    const log = createLogger({ debug: false, base: {}, destination: { write: (line) => lines.push(line) } });
    await using local = await startLocal();
    await using oslo = await startFullRemote('oslo', 8);
    await using hostile = await new HostileEtcd(STORE, randomOf(seed)).start();
    await using mesh = await Mesh.mirroring(local, [oslo], {
      log,
      processClock: clock,
      limits: { keys: 200, 'change-rate': 1000 },
    });
    const before = Object.entries(await local.dump('')).filter(([key]) => !key.startsWith('cilium/.heartbeat'));
    mesh.addFile('berlin', `endpoints: ["${hostile.endpoint}"]\n`);
    const untold = () => hostile.lies.filter((lie) => (hostile.told.get(lie) ?? 0) < LEAST_TOLD);
    await until('it has told each of its lies often enough', () => untold().length === 0, { withinMs: 100_000, status: untold });

    await oslo.fill('2');
    await until('oslo goes on', () => mesh.status('oslo')?.['num-nodes'] === 2, { status: () => mesh.status('oslo') });
    const after = Object.entries(await local.dump('')).filter(([key]) => !OF_BERLIN.test(key));
    expect(Object.fromEntries(after)).toMatchObject(Object.fromEntries(before));
    expect(after.filter(([key]) => key.includes('lie') || key.includes('berlin'))).toEqual([]);
    expect((await local.dump('cilium/cluster-config/'))[clusterConfigKey('berlin')] ?? '"id":7').toContain('"id":7');

    // No mistake of the program, and no text of it at full length.
    expect(
      lines.filter((line) => JSON.parse(line).msg === 'internal error while mirroring the remote cluster; starting over'),
    ).toEqual([]);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(2 * MAX_ETCD_TEXT_LENGTH);
  },
);
