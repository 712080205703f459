/** The cgroups of the containers of a node, and the end of a node: its processes, containers, mounts and cgroups. */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../until.ts';
import { processesOf } from './node-network.ts';
import { CGROUPS, nodeProgram } from './node-programs.ts';

/** Version 1 of cgroups has a hierarchy for each of them. */
const HIERARCHIES = ['cpu', 'cpuacct', 'cpuset', 'memory', 'devices', 'freezer', 'blkio', 'pids', 'systemd'];
const CPUSET_FILES = ['cpuset.cpus', 'cpuset.mems'];

function hierarchies(): readonly string[] {
  if (existsSync(join(CGROUPS, 'cgroup.controllers'))) return [CGROUPS];
  return HIERARCHIES.map((name) => join(CGROUPS, name)).filter((path) => existsSync(path));
}

/** Makes the cgroup below which the kubelet puts all Pods. */
export function makeCgroups(name: string): void {
  for (const hierarchy of hierarchies()) {
    mkdirSync(join(hierarchy, name), { recursive: true });
    for (const file of CPUSET_FILES) {
      const parent = join(hierarchy, file);
      if (existsSync(parent)) writeFileSync(join(hierarchy, name, file), readFileSync(parent));
    }
  }
}

/** Idempotent. Nothing runs in them any more. */
export function removeCgroups(name: string): void {
  for (const hierarchy of hierarchies()) {
    const directories = globSync(`${name}/**/`, { cwd: hierarchy }).concat(name);
    for (const directory of directories.toSorted((a, b) => b.length - a.length)) {
      try {
        rmdirSync(join(hierarchy, directory));
      } catch {
        // Gone, or the kernel still counts something in it: the next start uses it.
      }
    }
  }
}

/** Kills what runs on the node, and detaches what is mounted below `directories`. Idempotent. */
export async function endContainers(number: number, cgroup: string, directories: readonly string[]): Promise<void> {
  const running = () => [...processesOf(number), ...hierarchies().flatMap((hierarchy) => processesIn(join(hierarchy, cgroup)))];
  await until('all processes of the node have ended', () => {
    const left = running();
    for (const pid of left) kill(pid);
    return left.length === 0;
  });
  for (const mount of mounts().toReversed()) {
    if (directories.some((directory) => mount.startsWith(directory))) spawnSync(nodeProgram('umount'), ['-l', mount]);
  }
}

function processesIn(cgroup: string): readonly number[] {
  return globSync('**/cgroup.procs', { cwd: cgroup }).flatMap((file) => {
    try {
      return readFileSync(join(cgroup, file), 'utf8').split('\n').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  });
}

function mounts(): readonly string[] {
  const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return lines.map((line) => line.split(' ')[1] ?? '');
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
