/**
 * Keys that belong to no section: cluster configurations, the heartbeat, canaries.
 *
 * Each is read once before it is written, so that a restart does not write an equal one.
 */

import type { EtcdClient, EtcdKey } from '../etcd/types.ts';
import { PUBLISH_BACKOFF_MAX_MS, PUBLISH_BACKOFF_MIN_MS } from '../limits.ts';
import { Backoff } from '../time/backoff.ts';
import type { Clock } from '../time/clock.ts';
import { retry } from '../time/retry.ts';
import type { Turns } from '../time/turns.ts';
import { adoptLeases } from './observed-keys.ts';
import { ABSENT, UNKNOWN } from './store/key-table.ts';
import type { SingleKeys } from './types.ts';
import type { KeyGroup } from './writer/key-group.ts';
import { calledBack } from './writer/waiters.ts';

export interface SingleKeysOptions {
  readonly group: KeyGroup;
  readonly client: EtcdClient;
  readonly clock: Clock;
  readonly turns: Turns;
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
    await this.#write(key, value, signal);
  }

  /** Like `put`, and it is written even where etcd holds the same. False where the key was released before that. */
  async rewrite(key: EtcdKey, value: Uint8Array, signal: AbortSignal): Promise<boolean> {
    const { group } = this.#options;
    const slot = group.desire(key, value);
    if (slot !== undefined) {
      group.table.revision[slot] = UNKNOWN;
      group.enqueue(slot);
    }
    await calledBack((wake) => group.whenSettled(wake), signal);
    const written = group.table.slotOf(key);
    return written !== undefined && group.table.isDesired(written);
  }

  async #write(key: EtcdKey, value: Uint8Array, signal: AbortSignal): Promise<void> {
    const { group } = this.#options;
    const slot = group.desire(key, value);
    // A key with the right value may have no lease, or a lease of another writer.
    if (slot !== undefined && group.needsMove(slot)) group.requestMove(slot);
    await calledBack((wake) => group.whenSettled(wake), signal);
  }

  async remove(key: EtcdKey, signal: AbortSignal): Promise<void> {
    const { group } = this.#options;
    const slot = group.table.ensure(key);
    // Even if the key is not known to exist.
    if (group.table.revision[slot] === ABSENT) group.table.revision[slot] = UNKNOWN;
    group.dropStale(slot);
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
    const { group, client, clock, turns } = this.#options;
    const backoff = new Backoff({ minMs: PUBLISH_BACKOFF_MIN_MS, maxMs: PUBLISH_BACKOFF_MAX_MS });
    const observe = async () => {
      while (!(await group.read(key, () => client.get(key, { signal })))) signal.throwIfAborted();
      await adoptLeases({ client, leases: group.options.leases, turns, signal }, group);
    };
    // The publisher's own loops report the state of etcd.
    await retry(observe, { backoff, clock, signal, recoverable: client });
  }
}
