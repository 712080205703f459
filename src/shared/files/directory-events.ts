/**
 * A directory whose files are read again when something happened in it.
 *
 * Normally a projected Secret or ConfigMap: visible names are links into `..data`, which is swapped as a whole.
 * Only a watch on the directory itself sees every swap, a watch on a file is deaf after the first one. A slow
 * poll covers what events miss. Events come in bursts and files are half-written for moments: they count once
 * the directory is quiet.
 */
import { type FSWatcher, watch } from 'node:fs';
import type { Clock } from '../time/clock.ts';
import { Trigger } from '../time/trigger.ts';

/** Events of a directory, in bursts. A directory that cannot be watched, or does not exist yet, is only polled. */
export class DirectoryEvents {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #changed = new Trigger();
  #watcher: FSWatcher | undefined;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** Watches, where that is not the case already. */
  arm(): void {
    if (this.#watcher !== undefined || this.#path === '') return;
    try {
      this.#watcher = watch(this.#path, { persistent: false }, (event) => this.#onEvent(event));
      this.#watcher.on('error', () => this.disarm());
    } catch {
      this.#watcher = undefined;
    }
  }

  disarm(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  /** Resolves with true `quietMs` after the last event of a burst, or with false after `pollMs` without one. */
  async burst(pollMs: number, quietMs: number, signal: AbortSignal): Promise<boolean> {
    const hasEvents = await this.#changed.wait(pollMs, this.#clock, signal);
    let isRestless = hasEvents;
    // A directory that never comes to rest is read all the same, at the pace of the poll.
    const endMs = this.#clock.monotonicMs() + pollMs;
    while (isRestless && this.#clock.monotonicMs() < endMs) isRestless = await this.#changed.wait(quietMs, this.#clock, signal);
    return hasEvents;
  }

  #onEvent(event: string): void {
    // A directory also reports `rename` for its own removal, after which the watch receives no events.
    if (event === 'rename') this.disarm();
    this.#changed.trigger();
  }
}
