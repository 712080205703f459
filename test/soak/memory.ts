/** The memory of the daemon at quiet moments, and whether it grows. */
import type { KvstoremeshProcess } from '../support/kvstoremesh/kvstoremesh-process.ts';

const MEGABYTE = 1024 * 1024;

export interface MemoryTrend {
  readonly samples: number;
  /** In use after a collection, medians of the first and of the last third, megabytes. */
  readonly firstMb: number;
  readonly lastMb: number;
  readonly mbPerMinute: number;
  /** Resident, the last sample. */
  readonly residentMb: number;
}

/** Samples of one process; a restarted one needs its own samples. */
export class MemorySamples {
  readonly #values: { readonly atMs: number; readonly mb: number }[] = [];
  #residentMb = 0;

  async take(daemon: KvstoremeshProcess): Promise<void> {
    const sample = await daemon.memory();
    this.#values.push({ atMs: performance.now(), mb: sample.usedBytes / MEGABYTE });
    this.#residentMb = sample.rss / MEGABYTE;
  }

  get trend(): MemoryTrend {
    const third = Math.max(1, Math.floor(this.#values.length / 3));
    const [first, last] = [this.#values.slice(0, third), this.#values.slice(-third)];
    const minutes = (median(last.map(({ atMs }) => atMs)) - median(first.map(({ atMs }) => atMs))) / 60_000;
    const [firstMb, lastMb] = [median(first.map(({ mb }) => mb)), median(last.map(({ mb }) => mb))];
    return {
      samples: this.#values.length,
      ...{ firstMb: rounded(firstMb), lastMb: rounded(lastMb), residentMb: rounded(this.#residentMb) },
      mbPerMinute: minutes > 0 ? rounded((lastMb - firstMb) / minutes) : 0,
    };
  }
}

const rounded = (value: number) => Math.round(value * 10) / 10;

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
