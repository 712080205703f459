/** `etcdinit` as a process, with the etcd of a version, or what a test puts in its place, first in its PATH. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EtcdBinary } from '../etcd/etcd-process.ts';
import { until } from '../until.ts';
import { type Child, type Outcome, startChild } from './child.ts';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

/** A data directory and a PATH of its own. */
export class InitRig implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'etcdinit-'));
  readonly dataDir = join(this.directory, 'data');
  readonly #bin = join(this.directory, 'bin');

  constructor(binary?: EtcdBinary) {
    mkdirSync(this.dataDir, { mode: 0o700 });
    mkdirSync(this.#bin);
    if (binary !== undefined) symlinkSync(binary.path, join(this.#bin, 'etcd'));
  }

  /** A shell script in the place of etcd. */
  fakeEtcd(script: string, mode = 0o755): void {
    const path = join(this.#bin, 'etcd');
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, mode);
  }

  /** Only what is in the place of etcd is in the PATH; `/usr/bin` is not. */
  isolated = false;

  start(...flags: readonly string[]): Child {
    const args = [main, 'etcdinit', '--cluster-name=harbor', `--etcd-data-dir=${this.dataDir}`, '--debug', ...flags];
    const env = { PATH: this.isolated ? this.#bin : `${this.#bin}:${process.env.PATH ?? ''}` };
    return startChild(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], { env });
  }

  async run(...flags: readonly string[]): Promise<Outcome> {
    await using child = this.start(...flags);
    return await child.outcome;
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Resolves when `child` has begun with `step`. */
export async function reached(child: Child, step: string): Promise<void> {
  await until(`etcdinit is at: ${step}`, () => child.stderrSoFar.includes(`"step":"${step}"`), {
    withinMs: 45_000,
    status: () => child.stderrSoFar.slice(-1_000),
  });
}

/** The process ID that `output` names for etcd; undefined where it was not started. */
export function etcdPid(output: string): number | undefined {
  const found = /"pid":(\d+)/.exec(output)?.[1];
  return found === undefined ? undefined : Number(found);
}

export function isAlive(pid: number): boolean {
  try {
    // A zombie is no process any more.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

export function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** A script in the place of the etcd at `path`, which ignores the signal to stop. */
export function unstoppable(path: string): string {
  return `setpriv --pdeathsig KILL ${path} "$@" & trap '' TERM; wait`;
}
