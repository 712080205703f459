/**
 * Either daemon as its launcher runs it, with shorter times than the flags allow.
 *
 * The first argument is a `QuickTimes` as JSON, the command and its flags follow.
 */

import { apiserverFlagTable } from '../../../src/apiserver/flags.ts';
import { runApiserver } from '../../../src/apiserver/run.ts';
import { runDaemon } from '../../../src/cli/command/daemon.ts';
import { kvstoremeshFlagTable } from '../../../src/kvstoremesh/flags.ts';
import { KVSTOREMESH_TIMING, runKvstoremesh } from '../../../src/kvstoremesh/run.ts';
import { parseFlags } from '../../../src/shared/flags/parse.ts';
import type { Runtime } from '../../../src/shared/process/runtime.ts';
import type { Clock } from '../../../src/shared/time/clock.ts';

export interface QuickTimes {
  /** How many times faster than the wall clock its durations pass; 1 otherwise. */
  readonly speed?: number;
  readonly lockTtlSeconds?: number;
  readonly leaseTtlSeconds?: number;
  readonly drainGraceMs?: number;
  readonly orphansMs?: number;
  /** Between two samples of the status page. */
  readonly sampleMs?: number;
}

/** After this time in the queue a replica is a standby. */
const STANDBY_MS = 1_000;

function quickClock(clock: Clock, { speed = 1 }: QuickTimes): Clock {
  return {
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs() * speed,
    sleep: (ms, signal) => clock.sleep(ms / speed, signal),
  };
}

const [text = '{}', command = '', ...argv] = process.argv.slice(2);
const times = JSON.parse(text) as QuickTimes;
const quick = (runtime: Runtime): Runtime => ({ ...runtime, clock: quickClock(runtime.clock, times) });
const durations = {
  leaderElectionLeaseDurationMs: (times.lockTtlSeconds ?? 3) * 1000,
  ...(times.leaseTtlSeconds !== undefined && { kvstoreLeaseTtlMs: times.leaseTtlSeconds * 1000 }),
};

if (command === 'kvstoremesh') {
  const flags = parseFlags(kvstoremeshFlagTable, argv);
  if (flags === 'help') throw new Error('no flags');
  const { drainGraceMs, orphansMs, sampleMs } = { ...KVSTOREMESH_TIMING, ...times };
  const timing = { drainGraceMs, orphansMs, sampleMs, standbyMs: STANDBY_MS };
  const run = (runtime: Runtime) => runKvstoremesh({ ...flags.values, ...durations }, quick(runtime), timing);
  process.exit(await runDaemon({ name: command, metricPrefix: 'cilium_kvstoremesh_', run }, flags));
}
const flags = parseFlags(apiserverFlagTable, argv);
if (flags === 'help') throw new Error('no flags');
const run = (runtime: Runtime) => runApiserver({ ...flags.values, ...durations }, quick(runtime), { standbyMs: STANDBY_MS });
process.exit(await runDaemon({ name: command, metricPrefix: 'cilium_clustermesh_apiserver_', run }, flags));
