/** Rows of simulated agents on the local etcd; bench/agents/main.ts takes other sizes. */
import type { Figure, Row } from '../frame/row.ts';
import { type AgentsRun, runAgents } from './run.ts';

const OPTIONS = {
  agents: 500,
  remotes: 10,
  shape: { nodes: 30, identities: 50, services: 20, backends: 5, endpoints: 1_500 },
  imported: 1,
  members: 1,
  isShared: false,
  rates: [10, 50, 200],
  seconds: 15,
  perProcess: 500,
};

function figuresOf({ sync, reconnect, rates, kept, keptBefore }: AgentsRun): readonly Figure[] {
  return [
    { name: 'watches', unit: '', value: sync.watches },
    { name: 'all synchronized', unit: 's', value: sync.seconds },
    { name: 'etcd CPU of a listed key', unit: 'µs', value: sync.etcdMicrosecondsPerListedKey },
    {
      name: 'etcd memory of a watch',
      unit: 'kB',
      value: ((kept.liveMegabytes - keptBefore.liveMegabytes) / sync.watches) * 1024,
    },
    { name: 'all back at once', unit: 's', value: reconnect.seconds },
    { name: 'all back at once, etcd CPU of a watch', unit: 'µs', value: reconnect.etcdMicrosecondsPerWatch },
    { name: 'all back at once, watches canceled', unit: '', value: reconnect.canceled, target: { of: 'value', atMost: 0 } },
    { name: 'failures', unit: '', value: sync.failures, target: { of: 'value', atMost: 0 } },
    ...rates.flatMap(({ wanted, ...rate }): Figure[] => [
      { name: `delivered at ${wanted} changes/s`, unit: 'events/s', value: rate.deliveredPerSecond },
      { name: `etcd CPU of a delivery at ${wanted} changes/s`, unit: 'µs', value: rate.etcdMicrosecondsPerDelivery },
      { name: `p99 at ${wanted} changes/s`, unit: 'ms', value: rate.lagP99Ms },
      { name: `slow watchers at ${wanted} changes/s`, unit: '', value: rate.slowWatchers },
    ]),
  ];
}

/** They measure etcd, whatever program feeds it. */
const row = (name: string, what: string, options: Partial<typeof OPTIONS>): Row => ({
  name,
  measures: `500 simulated agents that each follow 10 remote clusters on ${what}: lists, idle watches, changes at rising rates`,
  isExtra: true,
  isInside: true,
  run: async ({ note }) => figuresOf(await runAgents({ ...OPTIONS, ...options }, note)),
});

export const AGENTS_ROWS: readonly Row[] = [
  row('agents', 'one etcd', {}),
  row('agents-3', 'an etcd of three members', { members: 3 }),
  row('agents-half', 'one etcd with half of the keys', { imported: 0.5 }),
];
