/** What a process uses, as the kernel counts it. */
import { readFileSync } from 'node:fs';

export interface Usage {
  /** User and system. */
  readonly cpuSeconds: number;
  /** Resident now. */
  readonly memoryMegabytes: number;
  readonly peakMegabytes: number;
}

const TICKS_PER_SECOND = 100;

/** Throws if the process has ended. */
export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const [user = '0', system = '0'] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? '0') / 1024;
  return {
    cpuSeconds: (Number(user) + Number(system)) / TICKS_PER_SECOND,
    memoryMegabytes: megabytes('VmRSS'),
    peakMegabytes: megabytes('VmHWM'),
  };
}

/** Sum of what several processes use. */
export function usageOfAll(pids: readonly number[]): Usage {
  return pids.map(usageOf).reduce((a, b) => ({
    cpuSeconds: a.cpuSeconds + b.cpuSeconds,
    memoryMegabytes: a.memoryMegabytes + b.memoryMegabytes,
    peakMegabytes: a.peakMegabytes + b.peakMegabytes,
  }));
}
