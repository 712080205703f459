/**
 * What the status page remembers of each remote cluster: its last events, and samples of the last hour.
 *
 * All of it is bounded and in memory. Nothing is kept of a cluster that is gone.
 */
import { printable } from '../../shared/printable.ts';
import type { Clock } from '../../shared/time/clock.ts';
import type { RemoteCluster } from '../remote/cluster.ts';
import type { NewsReader, RemoteNews } from '../remote/news.ts';
import { MAX_PAGE_EVENT_LENGTH, MAX_PAGE_EVENTS, MAX_PAGE_SAMPLES } from './limits.ts';
import type { RemoteEventSummary } from './snapshot.ts';

/** The parts of a remote that are sampled. */
export type Sampled = Pick<RemoteCluster, 'name' | 'createdMs' | 'stalenessMs'> & {
  readonly bounds: Pick<RemoteCluster['bounds'], 'changes'>;
};

/** Values of the last hour, the oldest first. */
export class SampleRing {
  readonly #values = new Float32Array(MAX_PAGE_SAMPLES);
  #count = 0;

  push(value: number): void {
    this.#values[this.#count % MAX_PAGE_SAMPLES] = value;
    this.#count += 1;
  }

  /** `size` of them at most, each the largest of as many as are merged; rounded to three digits. */
  values(size = MAX_PAGE_SAMPLES): number[] {
    const held = Math.min(this.#count, MAX_PAGE_SAMPLES);
    const width = Math.ceil(MAX_PAGE_SAMPLES / size);
    const merged: number[] = [];
    // Groups begin at multiples of their width, so that a merged value stays the same while it moves.
    let group: number | undefined;
    for (let index = this.#count - held; index < this.#count; index += 1) {
      const value = Number((this.#values[index % MAX_PAGE_SAMPLES] ?? 0).toPrecision(3));
      const current = Math.floor(index / width);
      if (current === group) merged.push(Math.max(merged.pop() ?? 0, value));
      else merged.push(value);
      group = current;
    }
    return merged;
  }
}

/** Of one remote. */
export class RemoteRecord {
  readonly rate = new SampleRing();
  readonly lag = new SampleRing();
  #events: RemoteEventSummary[] = [];
  #changes = 0;
  #sampledMs: number | undefined;
  #condition = '';
  #since = 0;

  /** The newest first. */
  get events(): readonly RemoteEventSummary[] {
    return this.#events.toReversed();
  }

  add({ kind, reason }: RemoteNews, nowMs: number): void {
    const text = reason === undefined ? {} : { reason: printable(reason, MAX_PAGE_EVENT_LENGTH) };
    const last = this.#events.at(-1);
    const isSame = last?.kind === kind && last.reason === text.reason;
    if (isSame) this.#events[this.#events.length - 1] = { ...last, last: nowMs, count: last.count + 1 };
    else this.#events.push({ first: nowMs, last: nowMs, count: 1, kind, ...text });
    if (this.#events.length > MAX_PAGE_EVENTS) this.#events.shift();
  }

  sample({ createdMs, stalenessMs, bounds: { changes } }: Sampled, monotonicMs: number): void {
    const seconds = (monotonicMs - (this.#sampledMs ?? createdMs)) / 1000;
    this.rate.push(seconds > 0 ? Math.max(0, changes - this.#changes) / seconds : 0);
    this.lag.push(stalenessMs / 1000);
    this.#changes = changes;
    this.#sampledMs = monotonicMs;
  }

  /** When the remote got into this condition, which its last event has caused if it has changed. */
  since(condition: string, nowMs: number): number {
    if (condition !== this.#condition) this.#since = this.#events.at(-1)?.first ?? nowMs;
    this.#condition = condition;
    return this.#since;
  }
}

export class MeshHistory implements NewsReader {
  readonly #clock: Clock;
  readonly #records = new Map<string, RemoteRecord>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Of the remote; an empty one, which is not kept, if there is no such remote. */
  of(cluster: string): RemoteRecord {
    return this.#records.get(cluster) ?? new RemoteRecord();
  }

  news(cluster: string, news: RemoteNews): void {
    const record = this.of(cluster);
    this.#records.set(cluster, record);
    record.add(news, this.#clock.nowMs());
  }

  gone(cluster: string): void {
    this.#records.delete(cluster);
  }

  /** Takes a sample of each remote every `everyMs`, until the signal is aborted; then resolves. */
  async run(remotes: () => readonly Sampled[], everyMs: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#clock.sleep(everyMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      for (const remote of remotes()) this.of(remote.name).sample(remote, this.#clock.monotonicMs());
    }
  }
}
