/**
 * Keys that belong to no section: cluster configurations, the heartbeat, canaries.
 *
 * Each is looked up once before it is written, so that a restart leaves an equal one alone.
 */

import { Backoff } from '../backoff.ts';
import type { Clock } from '../clock.ts';
import type { EtcdClient, EtcdKey } from '../etcd/types.ts';
import { PUBLISH_BACKOFF_MAX_MS, PUBLISH_BACKOFF_MIN_MS } from '../limits.ts';
import type { KeyGroup } from './key-group.ts';
import { ABSENT } from './key-table.ts';
import { adoptLeases } from './observed-keys.ts';
import type { SingleKeys } from './types.ts';
import { calledBack } from './waiters.ts';

export interface SingleKeysOptions {
  readonly group: KeyGroup;
  readonly client: EtcdClient;
  readonly clock: Clock;
  /** Changes with each store that is listed anew: what was read before says nothing about it. */
  readonly epoch: () => number;
}

export class PublishedSingleKeys implements SingleKeys {
  readonly #options: SingleKeysOptions;

  constructor(options: SingleKeysOptions) {
    this.#options = options;
  }

  async put(key: EtcdKey, value: Uint8Array, signal: AbortSignal): Promise<void> {
    const { group } = this.#options;
    const slot = group.table.slotOf(key);
    if (slot === undefined || !group.table.isDesired(slot)) await this.#observe(key, signal);
    await this.write(key, value, signal);
  }

  /** Like `put`, for a value that differs from whatever etcd holds. */
  async write(key: EtcdKey, value: Uint8Array, signal: AbortSignal): Promise<void> {
    const { group } = this.#options;
    const slot = group.desire(key, value);
    // One whose value is right already may hang on no lease, or on somebody else's.
    if (slot !== undefined && group.needsMove(slot)) group.requestMove(slot);
    await calledBack((wake) => group.whenSettled(wake), signal);
  }

  async remove(key: EtcdKey, signal: AbortSignal): Promise<void> {
    const { group } = this.#options;
    group.removeUnseen(key);
    await calledBack((wake) => group.whenSettled(wake), signal);
  }

  release(key: EtcdKey): void {
    this.#options.group.abandon(key);
  }

  async keep(key: EtcdKey, signal: AbortSignal): Promise<void> {
    const slot = this.#options.group.table.slotOf(key);
    if (slot === undefined || !this.#options.group.table.isDesired(slot)) await this.#observe(key, signal);
  }

  async #observe(key: EtcdKey, signal: AbortSignal): Promise<void> {
    const { group, client, clock, epoch } = this.#options;
    const backoff = new Backoff({ minMs: PUBLISH_BACKOFF_MIN_MS, maxMs: PUBLISH_BACKOFF_MAX_MS });
    for (;;) {
      signal.throwIfAborted();
      const before = epoch();
      try {
        const keyValue = await client.get(key, { signal });
        if (before !== epoch()) continue;
        const slot = group.table.slotOf(key);
        const isNews = slot === undefined || (group.table.revision[slot] === ABSENT && !group.isMoving(slot));
        if (keyValue === undefined || !isNews) return;
        group.observe(keyValue);
        await adoptLeases(group.options.leases, group, signal);
        return;
      } catch {
        // The publisher's own loops report the state of etcd; here it is only waited for.
        await clock.sleep(backoff.nextMs(), signal);
      }
    }
  }
}
