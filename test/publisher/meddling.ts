/** A publisher on a real etcd, whose client can be meddled with at any call. */

import { onTestFinished } from 'vitest';
import { type EtcdClient, keyOf } from '../../src/shared/etcd/types.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { createPublisher, type PublisherOptions } from '../../src/shared/publisher/publisher.ts';
import type { Publisher } from '../../src/shared/publisher/types.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { openClient, overriding } from '../support/etcd/etcd-client.ts';

/** Calls of the publisher's client with scripted responses; each may call `real`. */
export type Meddling = (real: EtcdClient) => Partial<EtcdClient>;

export function startMeddled(
  endpoint: string,
  meddling: Meddling,
  options: Partial<PublisherOptions> = {},
): { readonly real: EtcdClient; readonly publisher: Publisher; stop(): Promise<void> } {
  const real = openClient(endpoint);
  const client = overriding(real, meddling(real));
  const observer = { transaction() {}, syncError() {}, repair() {}, rejected() {}, synced() {} };
  const defaults = { root: keyOf('cilium/'), leaseTtlSeconds: 900, clock: systemClock, log: silentLogger, observer };
  const publisher = createPublisher({ client, ...defaults, ...options });
  const abort = new AbortController();
  const running = publisher.run(abort.signal);
  const stop = async () => {
    abort.abort();
    await running;
    real.close();
  };
  onTestFinished(stop);
  return { real, publisher, stop };
}
