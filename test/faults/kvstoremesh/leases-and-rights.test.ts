import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { createEtcdClient } from '../../../src/shared/etcd/client.ts';
import { type EtcdClient, type EtcdKey, keyOf, type LeaseId, NO_LEASE } from '../../../src/shared/etcd/types.ts';
import { type Logger, silentLogger } from '../../../src/shared/process/log.ts';
import { createPublisher } from '../../../src/shared/publisher/publisher.ts';
import type { Publisher, PublisherObserver, Section } from '../../../src/shared/publisher/types.ts';
import { type Clock, systemClock } from '../../../src/shared/time/clock.ts';
import { overriding } from '../../support/etcd/etcd-client.ts';
import { etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { enableUsers } from '../../support/etcd/etcd-users.ts';
import { startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { recordingLogger } from '../../support/recording-logger.ts';
import { CertificateDirectory, canMakeCertificates } from '../../support/tls/certificates.ts';
import { until } from '../../support/until.ts';
import { watchForLeaks } from './leaks.ts';

const leaks = watchForLeaks();
afterAll(() => leaks.none());

describe.skipIf(etcdVersions().length === 0)('a publisher', () => {
  test('fault 21: whose leases expire as soon as they are granted requests new ones with back-off, and writes once one lasts', async () => {
    await using local = await startLocal();
    let isBroken = true;
    let grants = 0;
    const fragile = overriding(local.client, {
      grantLease: async (ttlSeconds, options) => {
        grants += 1;
        const lease = await local.client.grantLease(ttlSeconds, options);
        if (isBroken) await local.client.revokeLease(lease, options);
        return lease;
      },
    });
    const clock = notingClock();
    await using published = new Published(fragile, { clock });
    const nodes = published.section('nodes/v1');
    nodes.upsert(keyOf(`${nodes.options.prefix}a`), Buffer.from('1'));
    nodes.listed();
    await until('six leases were granted', () => grants >= 6);
    expect(clock.backoffs.length).toBeGreaterThanOrEqual(grants - 1);
    expect(clock.backoffs.at(-1)).toBeGreaterThan(clock.backoffs[0] ?? Number.POSITIVE_INFINITY);
    isBroken = false;
    await nodes.whenSynced(AbortSignal.timeout(60_000));
    expect(await local.dump('cilium/cache/')).toEqual({ 'cilium/cache/nodes/v1/berlin/a': '1' });
    expect(published.publisher.stats.failing).toBeUndefined();
  });

  test('whose leases are all revoked while it is connected writes their keys again after one failure, however many leases there are', async () => {
    await using local = await startLocal();
    const clock = notingClock();
    await using published = new Published(local.client, { clock, keysPerLease: 20 });
    const nodes = published.section('nodes/v1');
    const keys = Array.from({ length: 800 }, (_, at) => keyOf(`${nodes.options.prefix}${at}`));
    for (const key of keys) nodes.upsert(key, Buffer.from('1'));
    nodes.listed();
    await nodes.whenSynced(AbortSignal.timeout(60_000));
    const leases = await leasesBelow(local.client, 'cilium/');
    expect(leases.size).toBeGreaterThanOrEqual(40);
    const before = clock.backoffs.length;
    for (const lease of leases) await local.client.revokeLease(lease, { signal: AbortSignal.timeout(60_000) });
    nodes.upsert(keyOf(`${nodes.options.prefix}0`), Buffer.from('2'));
    await until('all keys are back', async () => Object.keys(await local.dump('cilium/cache/')).length === keys.length, {
      withinMs: 45_000,
      status: () => published.publisher.stats,
    });
    expect(clock.backoffs.length - before).toBeLessThanOrEqual(8);
  });

  test.skipIf(!canMakeCertificates())(
    'fault 26: without write permission for one prefix (needs the openssl command, version 3) reports it, continues with the others, and resumes once it is granted',
    async () => {
      using directory = new Certificates();
      const ca = directory.authority('ca');
      const alternatives = ['DNS:localhost', 'IP:127.0.0.1'];
      const [server, root, mesh] = [
        ca.issue({ name: 'server', alternatives }),
        ca.issue({ name: 'root' }),
        ca.issue({ name: 'mesh' }),
      ];
      await using etcd = await startEtcd({ tls: { ...server, clientCaFile: ca.caFile } });
      const admin = await enableUsers(etcd, ca, root, ['mesh']);
      onTestFinished(() => admin.close());
      await admin.allowReading('mesh', 'cilium/');
      await admin.allowWriting('mesh', 'cilium/cache/nodes/');
      await admin.allowWriting('mesh', 'cilium/synced/');
      const config = { endpoints: [etcd.endpoint], caFile: ca.caFile, ...mesh };
      const client = createEtcdClient({ config, name: 'test', log: silentLogger, clock: systemClock });
      onTestFinished(() => client.close());
      const { log, lines } = recordingLogger();
      const refused: string[] = [];
      {
        await using published = new Published(client, { log, observer: { syncError: (scope) => refused.push(scope) } });
        const [nodes, ip] = [published.section('nodes/v1'), published.section('ip/v1')];
        ip.upsert(keyOf(`${ip.options.prefix}a`), Buffer.from('1'));
        ip.listed();
        await until('it is refused', () => refused.length > 0, { status: () => ({ lines, stats: published.publisher.stats }) });
        for (let round = 0; round < 50; round += 1) {
          nodes.upsert(keyOf(`${nodes.options.prefix}a`), Buffer.from(String(round)));
          nodes.listed();
          await nodes.flushed(AbortSignal.timeout(60_000));
        }
        await nodes.whenSynced(AbortSignal.timeout(60_000));
        expect(new Set(refused)).toEqual(new Set(['ip/v1']));
        expect(refused.length).toBeLessThan(10);
        const line = { scope: 'ip/v1', cluster: 'berlin', code: 'ETCD_PERMISSION_DENIED' };
        expect(lines).toContainEqual(expect.objectContaining(line));
        await admin.allowWriting('mesh', 'cilium/cache/ip/');
        await ip.whenSynced(AbortSignal.timeout(60_000));
        expect(published.publisher.stats.failing).toBeUndefined();
      }
    },
  );
});

class Certificates extends CertificateDirectory implements Disposable {
  [Symbol.dispose](): void {
    this.remove();
  }
}

interface PublishedOptions {
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly observer?: Partial<PublisherObserver>;
  readonly keysPerLease?: number;
}

async function leasesBelow(client: EtcdClient, prefix: string): Promise<Set<LeaseId>> {
  const leases = new Set<LeaseId>();
  for await (const page of client.list(keyOf(prefix), { signal: AbortSignal.timeout(60_000) }))
    for (const { lease } of page.keyValues) if (lease !== NO_LEASE) leases.add(lease);
  return leases;
}

/** A running publisher. */
class Published implements AsyncDisposable {
  readonly publisher: Publisher;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  constructor(client: EtcdClient, { clock = systemClock, log = silentLogger, observer, keysPerLease }: PublishedOptions) {
    const nobody = () => undefined;
    const silent = { transaction: nobody, syncError: nobody, repair: nobody, rejected: nobody, synced: nobody };
    const parts = { client, clock, log, observer: { ...silent, ...observer } };
    const leases = { leaseTtlSeconds: 900, ...(keysPerLease === undefined ? {} : { keysPerLease }) };
    const publisher = createPublisher({ ...parts, root: keyOf('cilium/'), ...leases });
    this.publisher = publisher;
    this.#ended = publisher.run(this.#stop.signal);
  }

  section(scope: string): Section {
    const prefix: EtcdKey = keyOf(`cilium/cache/${scope}/berlin/`);
    const canary = keyOf(`cilium/synced/berlin/cilium/cache/${scope}`);
    return this.publisher.section({ scope, cluster: 'berlin', prefix, rank: 0, owns: 'prefix', canary });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('stopped by the test'));
    await this.#ended;
  }
}

/** Periodic delays of a publisher, independent of failures. */
const REGULAR_MS = new Set([250, 1_000, 60_000]);

/** Time as it is, with every irregular wait noted. */
function notingClock(): Clock & { readonly backoffs: readonly number[] } {
  const backoffs: number[] = [];
  const sleep: Clock['sleep'] = (ms, signal) => {
    if (!REGULAR_MS.has(ms)) backoffs.push(ms);
    return systemClock.sleep(ms, signal);
  };
  return { ...systemClock, sleep, backoffs };
}
