/** The process of `LightSources`: light etcds on consecutive addresses of the loopback network, and their changes. */
import { clusterKeys, nowGeneration } from './cluster-keys.ts';
import { LightEtcd } from './light-etcd.ts';
import type { Command, Rates, SourceStats, SourcesOptions } from './sources.ts';
import { LightStore } from './store.ts';

const HEARTBEAT_MS = 60_000;
/** Between two rounds of changes. */
const ROUND_MS = 20;

const options = JSON.parse(process.argv[2] ?? '{}') as SourcesOptions;
const etcds: LightEtcd[] = [];
let changes = 0;

for (const [at, { name, id, shape, host }] of options.clusters.entries()) {
  const store = new LightStore(clusterKeys({ name, id, shape }));
  const etcd = new LightEtcd({ store, clusterId: BigInt(at + 1) << 32n, host, port: options.port });
  await etcd.listen();
  etcds.push(etcd);
  const beat = () => void store.change(kindOf(store, 'cilium/.heartbeat'), 0, nowGeneration());
  setTimeout(() => {
    beat();
    setInterval(beat, HEARTBEAT_MS);
  }, Math.random() * HEARTBEAT_MS);
}

function kindOf(store: LightStore, prefix: string): number {
  return store.kinds.findIndex((kind) => kind.prefix.startsWith(prefix));
}

/** Half of the changes are new values; the others delete a key, or create it where it was deleted before. */
function change(store: LightStore, kind: number): void {
  const { count = 0 } = store.kinds[kind] ?? {};
  if (count === 0) return;
  const position = Math.floor(Math.random() * count);
  const deletes = Math.random() < 0.25 && store.stateOf(kind, position) !== undefined;
  store.change(kind, position, deletes ? undefined : nowGeneration());
  changes += 1;
}

let changing: NodeJS.Timeout | undefined;

function churn(rates: Rates): void {
  clearInterval(changing);
  const prefixes = { identities: 'cilium/state/identities/', endpoints: 'cilium/state/ip/', services: 'cilium/state/services/' };
  const due = { identities: 0, endpoints: 0, services: 0 };
  let lastMs = performance.now();
  changing = setInterval(() => {
    const nowMs = performance.now();
    const seconds = (nowMs - lastMs) / 1000;
    lastMs = nowMs;
    for (const kind of ['identities', 'endpoints', 'services'] as const) {
      due[kind] += rates[kind] * etcds.length * seconds;
      for (; due[kind] >= 1; due[kind] -= 1) {
        const store = etcds[Math.floor(Math.random() * etcds.length)]?.store;
        if (store === undefined) continue;
        if (kind === 'services') rewriteService(store, prefixes.services);
        else change(store, kindOf(store, prefixes[kind]));
      }
    }
  }, ROUND_MS);
}

function rewriteService(store: LightStore, prefix: string): void {
  const kind = kindOf(store, prefix);
  const { count = 0 } = store.kinds[kind] ?? {};
  if (count === 0) return;
  store.change(kind, Math.floor(Math.random() * count), nowGeneration());
  changes += 1;
}

function stats(): SourceStats {
  const { user, system } = process.cpuUsage();
  const sum = (of: (etcd: LightEtcd) => number) => etcds.reduce((total, etcd) => total + of(etcd), 0);
  return {
    changes,
    accepted: sum(({ accepted }) => accepted),
    connections: sum(({ connections }) => connections),
    cpuSeconds: (user + system) / 1e6,
    memoryMegabytes: process.memoryUsage.rss() / 2 ** 20,
  };
}

async function restart(count: number, downMs: number, isReplaced: boolean): Promise<void> {
  const chosen = etcds.slice(0, count);
  await Promise.all(chosen.map((etcd) => etcd.close()));
  process.send?.({ isDown: true });
  await new Promise((resolve) => setTimeout(resolve, downMs));
  for (const etcd of chosen) {
    if (isReplaced) etcd.clusterId += 1n;
    await etcd.listen();
  }
}

process.on('message', (command: Command) => {
  if (command.kind === 'stats') process.send?.(stats());
  else if (command.kind === 'churn') churn(command.rates);
  else void restart(command.count, command.downMs, command.isReplaced).then(() => process.send?.({ isUp: true }));
});
process.on('disconnect', () => process.exit());
process.send?.({ isUp: true });
