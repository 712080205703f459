/** Ceilings: what etcd's own `benchmark` reaches on an etcd like those of the other rows. */
import { fill } from '../ceiling.ts';
import { cluster } from '../dataset.ts';
import { runBenchmark } from '../etcd-benchmark.ts';
import type { Figure, Row, RunContext } from '../frame/row.ts';
import { runLoad } from '../load/load.ts';
import { benchEtcd, LOCAL, ROOT_USER, SOURCE, SOURCE_ID } from './mesh.ts';

/** About those of a pod address, in hundreds of thousands. */
const SIZES = ['--key-size=38', '--val-size=150', '--key-space-size=100000'];
const OPERATIONS = 128;
const PAGE = 1000;

/** Single puts; full transactions, as many in flight as a daemon has; pages of a list. */
async function runEtcd(context: RunContext): Promise<Figure[]> {
  const { keys } = context.options;
  await using etcd = await benchEtcd(context, LOCAL);
  const filledKeysPerSecond = keys / (await fill(etcd.config(ROOT_USER), cluster(SOURCE, SOURCE_ID, keys)));
  const base = { name: 'full transactions from Node', value: filledKeysPerSecond };
  const [put] = await runBenchmark(etcd, ['--conns=10', '--clients=100', 'put', '--total=50000', ...SIZES]);
  const [lone] = await runBenchmark(etcd, ['put', '--rate=200', '--total=400', ...SIZES]);
  const txns = Math.ceil(keys / OPERATIONS);
  const [txn] = await runBenchmark(etcd, ['--clients=8', 'txn-put', `--txn-ops=${OPERATIONS}`, `--total=${txns}`, ...SIZES]);
  const range = ['range', 'cilium/', 'cilium0', `--limit=${PAGE}`, '--total=200'];
  const [pages] = await runBenchmark(etcd, ['--clients=4', ...range]);
  const watch = ['watch-latency', '--put-rate=200', '--put-total=600', '--streams=1', '--watchers-per-stream=1'];
  const [puts, events] = await runBenchmark(etcd, [...watch, '--key-size=38', '--val-size=150']);
  const config = etcd.config(ROOT_USER);
  const { p99Ms } = await runLoad({
    ...{ target: config, watched: config, prefix: 'cilium/state/ip/v1/', rate: 200, seconds: 3, pids: {} },
    ...{ id: SOURCE_ID, keys, signal: context.signal },
  });
  const hop = { name: 'put to event from Node, p99', value: p99Ms };
  return [
    { name: 'put', unit: 'keys/s', value: put?.requestsPerSecond ?? Number.NaN, base },
    { name: 'txn-put of 128', unit: 'keys/s', value: (txn?.requestsPerSecond ?? Number.NaN) * OPERATIONS, base },
    { name: 'range of 1000', unit: 'keys/s', value: (pages?.requestsPerSecond ?? Number.NaN) * PAGE, base },
    { name: 'put at 200/s, p99', unit: 'ms', value: lone?.p99Ms ?? Number.NaN, base: hop },
    { name: 'watch-latency, put p99', unit: 'ms', value: puts?.p99Ms ?? Number.NaN, base: hop },
    { name: 'watch-latency, event after put p99', unit: 'ms', value: events?.p99Ms ?? Number.NaN, base: hop },
  ];
}

export const ETCD_ROW: Row = {
  name: 'etcd',
  measures: "ceilings of the same etcd by etcd's own benchmark: put, txn-put, range, watch-latency",
  isInside: true,
  run: runEtcd,
};
