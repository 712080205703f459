/** `kvstoremesh` as its launcher runs it, but for the lock, which lasts `LOCK_TTL_SECONDS`. */
import { runDaemon } from '../../src/cli/daemon.ts';
import { kvstoremeshFlagTable } from '../../src/kvstoremesh/flags.ts';
import { runKvstoremesh } from '../../src/kvstoremesh/run.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';

const flags = parseFlags(kvstoremeshFlagTable, process.argv.slice(3));
if (flags === 'help') throw new Error('no flags');
const timing = { lockTtlSeconds: Number(process.env.LOCK_TTL_SECONDS), standbyMs: 1_000 };
const daemon = {
  name: 'kvstoremesh',
  metricPrefix: 'cilium_kvstoremesh_',
  run: (runtime: Parameters<typeof runKvstoremesh>[1]) => runKvstoremesh(flags.values, runtime, timing),
};
process.exit(await runDaemon(daemon, flags));
