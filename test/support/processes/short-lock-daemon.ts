/**
 * `kvstoremesh` as its launcher runs it, but for the times that a test cannot wait for: `LOCK_TTL_SECONDS`,
 * `DRAIN_GRACE_MS` and `LEFTOVERS_MS` in the environment.
 */
import { runDaemon } from '../../../src/cli/command/daemon.ts';
import { kvstoremeshFlagTable } from '../../../src/kvstoremesh/flags.ts';
import { runKvstoremesh } from '../../../src/kvstoremesh/run.ts';
import { parseFlags } from '../../../src/shared/flags/parse.ts';

const flags = parseFlags(kvstoremeshFlagTable, process.argv.slice(3));
if (flags === 'help') throw new Error('no flags');
const { LOCK_TTL_SECONDS = '25', DRAIN_GRACE_MS = '180000', LEFTOVERS_MS = '60000' } = process.env;
const timing = {
  lockTtlSeconds: Number(LOCK_TTL_SECONDS),
  standbyMs: 1_000,
  drainGraceMs: Number(DRAIN_GRACE_MS),
  leftoversMs: Number(LEFTOVERS_MS),
};
const daemon = {
  name: 'kvstoremesh',
  metricPrefix: 'cilium_kvstoremesh_',
  run: (runtime: Parameters<typeof runKvstoremesh>[1]) => runKvstoremesh(flags.values, runtime, timing),
};
process.exit(await runDaemon(daemon, flags));
