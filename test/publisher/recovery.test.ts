import { onTestFinished, test } from 'vitest';
import { PUBLISH_BACKOFF_MAX_MS } from '../../src/shared/limits.ts';
import { type Clock, systemClock } from '../../src/shared/time/clock.ts';
import { bytes, openClient } from '../support/etcd/etcd-client.ts';
import { startEtcd } from '../support/etcd/etcd-process.ts';
import { startTcpProxy } from '../support/network/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { below, settledAs, startRig } from './publisher-fixture.ts';

test('what waits for the local etcd is written as soon as it can be reached again, however long the wait is', async () => {
  const etcd = await startEtcd();
  const proxy = await startTcpProxy(etcd.port);
  const direct = openClient(etcd.endpoint);
  let isLong = false;
  let waits = 0;
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => {
      if (!isLong || ms > PUBLISH_BACKOFF_MAX_MS) return systemClock.sleep(ms, signal);
      waits += 1;
      return systemClock.sleep(3_600_000, signal);
    },
  };
  const rig = startRig({ endpoint: proxy.endpoint, clock });
  onTestFinished(async () => {
    await rig.stop();
    direct.close();
    await proxy.stop();
    await etcd.stop();
  });
  const section = rig.section();
  section.upsert(below('a'), bytes('1'));
  section.listed();
  await settledAs(direct, { a: '1' });
  await proxy.disconnect();
  isLong = true;
  section.upsert(below('a'), bytes('2'));
  await until('it waits', () => waits > 0 && rig.publisher.stats.failing !== undefined);
  await proxy.heal();
  await settledAs(direct, { a: '2' });
  await until('all is well', () => rig.publisher.stats.failing === undefined);
});
