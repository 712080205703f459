import { expect, onTestFinished, test } from 'vitest';
import { LeaseNotFoundError, UnavailableError } from '../../../src/shared/etcd/errors.ts';
import { keyOf } from '../../../src/shared/etcd/types.ts';
import { etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { memoryPublisher } from '../../support/etcd/memory-etcd.ts';
import { recordingLogger } from '../../support/recording-logger.ts';
import { until } from '../../support/until.ts';
import { type Meddling, startMeddled } from '../meddling.ts';
import { below, PREFIX, sync } from '../publisher-fixture.ts';

test.skipIf(etcdVersions().length === 0)(
  'leases that cannot be asked for after several writes were refused at once are asked for again, and all is written',
  async () => {
    await using etcd = await startEtcd();
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    onTestFinished(() => void process.off('unhandledRejection', onUnhandled));
    let asked = 0;
    let isRefusing = false;
    const refusing: Meddling = (real) => ({
      txn: (operations, options) =>
        isRefusing && asked < 3 && operations.some(({ type }) => type === 'put')
          ? new Promise((_, reject) => setTimeout(() => reject(new LeaseNotFoundError()), 5))
          : real.txn(operations, options),
      leaseTimeToLive: () => {
        asked += 1;
        return Promise.reject(new UnavailableError('gone'));
      },
    });
    const { publisher, stop } = startMeddled(etcd.endpoint, refusing);
    const prefix = keyOf('cilium/cache/nodes/v1/west/');
    const section = publisher.section({ scope: 'nodes/v1', cluster: 'west', prefix, rank: 0, owns: 'prefix' });
    const write = (value: string) => {
      for (let index = 0; index < 20_000; index += 1) section.upsert(keyOf(`${prefix}${index}`), Buffer.from(value));
    };
    const isWritten = () => section.stats.pending === 0 && section.stats.synced;
    // Until several transactions are under way at once.
    write('x');
    section.listed();
    await until('all is written', isWritten);
    isRefusing = true;
    write('y');
    await until('all is written again', () => asked >= 3 && isWritten());
    await stop();
    expect(asked).toBeGreaterThan(1);
    expect(unhandled).toEqual([]);
  },
);

test('fifty leases that are lost at once are told in a few lines, which count all of them', async () => {
  const { log, lines } = recordingLogger();
  const { publisher, etcd, stop } = memoryPublisher({ log, keysPerLease: 10 });
  onTestFinished(stop);
  const section = publisher.section({ scope: 'nodes/v1', cluster: 'west', prefix: PREFIX, rank: 0, owns: 'prefix' });
  for (let i = 0; i < 500; i += 1) section.upsert(below(`k${i}`), Buffer.from('x'));
  await sync(section);
  etcd.revokeAll();
  await until('all is written again', () => etcd.count(PREFIX) === 500 && section.stats.pending === 0);
  const told = lines.filter(({ msg }) => msg.startsWith('lease lost;') || msg.startsWith('leases lost;'));
  expect(told.length).toBeLessThan(5);
  const leases = told.map((line) => ('leases' in line ? Number(line.leases) : 1));
  expect(leases.reduce((sum, each) => sum + each, 0)).toBeGreaterThanOrEqual(50);
});
