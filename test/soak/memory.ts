/** The memory of a process over time, and whether it grows. */
import { readFileSync } from 'node:fs';

const INTERVAL_MS = 500;

export interface MemoryTrend {
  readonly samples: number;
  /** Medians of the first and of the last third, megabytes. */
  readonly firstMb: number;
  readonly lastMb: number;
  readonly mbPerMinute: number;
}

/** Samples the resident memory of whatever process `pid` names at the time. */
export class MemorySamples {
  readonly #values: { readonly atMs: number; readonly mb: number }[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(pid: () => number) {
    this.#timer = setInterval(() => {
      const mb = residentMb(pid());
      if (mb !== undefined) this.#values.push({ atMs: performance.now(), mb });
    }, INTERVAL_MS);
  }

  stop(): MemoryTrend {
    clearInterval(this.#timer);
    const third = Math.max(1, Math.floor(this.#values.length / 3));
    const [first, last] = [this.#values.slice(0, third), this.#values.slice(-third)];
    const minutes = (median(last.map(({ atMs }) => atMs)) - median(first.map(({ atMs }) => atMs))) / 60_000;
    const [firstMb, lastMb] = [median(first.map(({ mb }) => mb)), median(last.map(({ mb }) => mb))];
    return { samples: this.#values.length, firstMb, lastMb, mbPerMinute: minutes > 0 ? (lastMb - firstMb) / minutes : 0 };
  }
}

function residentMb(pid: number): number | undefined {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1024;
  } catch {
    return undefined;
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
