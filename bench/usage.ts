/** What the kernel knows of a process. */
import { readFile } from 'node:fs/promises';

/** Of /proc: USER_HZ is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Memory {
  /** Resident now, and at most so far. */
  readonly residentMegabytes: number;
  readonly peakMegabytes: number;
}

/** Processor time so far, user and system. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const [user = '0', system = '0'] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) / TICKS_PER_SECOND;
}

export async function memory(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const megabytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? Number.NaN) / 1024;
  return { residentMegabytes: megabytes('VmRSS'), peakMegabytes: megabytes('VmHWM') };
}

/** The value of the series that starts with `name`, labels included, in a text of Prometheus; 0 if there is none. */
export async function scraped(endpoint: string, names: readonly string[]): Promise<number[]> {
  const text = await (await fetch(`${endpoint}/metrics`)).text();
  const lines = text.split('\n');
  return names.map((name) =>
    lines.filter((line) => line.startsWith(name)).reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0),
  );
}

export interface Usage {
  readonly cpuSeconds: number;
  readonly memoryMegabytes: number;
  readonly peakMegabytes: number;
}

/** Of several processes together. */
export async function usageOf(pids: readonly number[]): Promise<Usage> {
  let [cpu, resident, peak] = [0, 0, 0];
  for (const pid of pids) {
    cpu += await cpuSeconds(pid);
    const { residentMegabytes, peakMegabytes } = await memory(pid);
    [resident, peak] = [resident + residentMegabytes, peak + peakMegabytes];
  }
  return { cpuSeconds: cpu, memoryMegabytes: resident, peakMegabytes: peak };
}
