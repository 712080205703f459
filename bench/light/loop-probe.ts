/**
 * Loaded into a measured process with `--import`: on request of its parent it watches how long the event loop is blocked, and
 * tells how much memory is in use after a collection. A block is the time between two turns of a timer, and the processor time
 * of the main thread in between, which other processes of the machine do not change.
 */
import { collectGarbage } from '../../src/shared/process/garbage.ts';

export interface LoopBlocks {
  readonly longestMs: number;
  readonly longestCpuMs: number;
}

/** After a collection. */
export interface LiveMemory {
  /** Heap, and buffers outside of it. */
  readonly megabytes: number;
  readonly heapMegabytes: number;
  readonly residentMegabytes: number;
}

const TURN_MS = 1;

let longestMs = 0;
let longestCpuMs = 0;
let watching: NodeJS.Timeout | undefined;

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function watch(): void {
  [longestMs, longestCpuMs] = [0, 0];
  let [lastMs, lastCpuMs] = [performance.now(), cpuMs()];
  watching = setInterval(() => {
    const [nowMs, nowCpuMs] = [performance.now(), cpuMs()];
    longestMs = Math.max(longestMs, nowMs - lastMs);
    longestCpuMs = Math.max(longestCpuMs, nowCpuMs - lastCpuMs);
    [lastMs, lastCpuMs] = [nowMs, nowCpuMs];
  }, TURN_MS);
}

function live(): LiveMemory {
  collectGarbage();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { megabytes: (heapUsed + external) / 2 ** 20, heapMegabytes: heapUsed / 2 ** 20, residentMegabytes: rss / 2 ** 20 };
}

if (process.send !== undefined) {
  process.on('message', (message) => {
    if (message === 'watch the loop') watch();
    else if (message === 'live memory') process.send?.(live());
    else if (message === 'longest blocks') {
      clearInterval(watching);
      process.send?.({ longestMs, longestCpuMs } satisfies LoopBlocks);
    }
  });
  process.channel?.unref();
}
