/** A publisher on a real etcd, whose client can be meddled with at any call. */

import { onTestFinished } from 'vitest';
import { type EtcdClient, keyOf } from '../../src/shared/etcd/types.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { createPublisher, type PublisherOptions } from '../../src/shared/publisher/publisher.ts';
import type { Publisher } from '../../src/shared/publisher/types.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { openClient } from '../support/etcd/etcd-client.ts';

/** Calls of the publisher's client that are answered otherwise; each may ask `real`. */
export type Meddling = (real: EtcdClient) => Partial<EtcdClient>;

export function startMeddled(
  endpoint: string,
  meddling: Meddling,
  options: Partial<PublisherOptions> = {},
): { readonly real: EtcdClient; readonly publisher: Publisher } {
  const real = openClient(endpoint);
  const meddled = meddling(real);
  const client = new Proxy(real, {
    get: (target, name) => {
      const member: unknown = Reflect.get(meddled, name) ?? Reflect.get(target, name, target);
      return typeof member === 'function' ? (member as () => unknown).bind(target) : member;
    },
  });
  const observer = { transaction() {}, syncError() {}, repair() {}, rejected() {}, synced() {} };
  const defaults = { root: keyOf('cilium/'), leaseTtlSeconds: 900, clock: systemClock, log: silentLogger, observer };
  const publisher = createPublisher({ client, ...defaults, ...options });
  const stop = new AbortController();
  const running = publisher.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await running;
    real.close();
  });
  return { real, publisher };
}
