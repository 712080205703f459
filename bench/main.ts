/**
 * How fast a remote cluster is mirrored, compared with the maximum throughput of this etcd.
 *
 * Each round fills a fresh etcd twice with the same keys: once by a kvstoremesh that mirrors them from another etcd,
 * from the start of its process to its last canary, and once straight from memory in full transactions, which is the ceiling.
 * Machines are noisy: the result is the ratio within a round.
 *
 *   npm run bench -- [--keys 100000] [--rounds 3]
 *   npm run bench -- --guard    the cost of the import guard, without any etcd
 *   npm run bench -- --restart  how long mirroring stops when a kvstoremesh is killed and restarted
 *   npm run bench -- --delay    how long the publisher blocks the event loop, without any etcd
 *   npm run bench -- --scrape   how long a scrape of 511 remote clusters blocks the event loop
 *   npm run bench -- --status   how long a status request and a scrape with 511 remotes take
 *   npm run bench -- --reconnect [--outages 20,60,180] [--tries 20]    how soon after an outage changes are mirrored
 */
import { parseArgs } from 'node:util';
import { ceiling, fill } from './ceiling.ts';
import { announcements, cluster, type Entry } from './dataset.ts';
import { startEtcd } from './etcd.ts';
import { benchImportGuard } from './import-guard.ts';
import { mirror } from './kvstoremesh.ts';
import { benchPublisherDelay } from './publisher-delay.ts';
import { benchReconnect } from './reconnect/main.ts';
import { median, spread, table } from './report.ts';
import { benchRestart } from './restart.ts';
import { benchScrape } from './scrape.ts';
import { benchStatus } from './status.ts';

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '3' },
    guard: { type: 'boolean', default: false },
    restart: { type: 'boolean', default: false },
    delay: { type: 'boolean', default: false },
    scrape: { type: 'boolean', default: false },
    status: { type: 'boolean', default: false },
    reconnect: { type: 'boolean', default: false },
    outages: { type: 'string', default: '20,60,180' },
    tries: { type: 'string', default: '20' },
  },
});
const keys = Number(values.keys);
const rounds = Number(values.rounds);
if (!Number.isSafeInteger(keys) || keys < 1 || !Number.isSafeInteger(rounds) || rounds < 1) {
  process.stderr.write('bench: --keys and --rounds take whole numbers from 1\n');
  process.exit(2);
}

const outages = values.outages.split(',').map(Number);
const others: readonly (readonly [boolean, () => Promise<void>])[] = [
  [values.guard, () => benchImportGuard({ keys, rounds })],
  [values.restart, () => benchRestart({ keys, rounds })],
  [values.delay, () => benchPublisherDelay(keys)],
  [values.scrape, () => benchScrape(rounds)],
  [values.status, () => benchStatus({ rounds })],
  [values.reconnect, () => benchReconnect({ outages, tries: Number(values.tries) })],
];
for (const [isWanted, bench] of others) {
  if (!isWanted) continue;
  await bench();
  process.exit();
}

const entries: Entry[] = [...cluster('north', 7, keys)];
const megabytes = entries.reduce((sum, { key, value }) => sum + key.length + value.length, 0) / 1e6;
process.stdout.write(`${keys} keys, ${megabytes.toFixed(1)} MB, ${rounds} rounds\n`);

const source = await startEtcd();
try {
  await fill(source.endpoint, entries);
  await fill(source.endpoint, [...announcements('north', 7)]);
  const rows: { mirrorSeconds: number; ceilingSeconds: number; memoryMegabytes: number; cpuSeconds: number }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const ceilingSeconds = await ceiling(entries);
    const mirrored = await mirror({ source: source.endpoint, name: 'north', keys });
    rows.push({ ...mirrored, ceilingSeconds });
  }
  process.stdout.write(
    table(
      ['round', 'mirror s', 'keys/s', 'ceiling s', 'mirror/ceiling', 'CPU s', 'RSS MB'],
      rows.map((row, i) => [
        String(i + 1),
        row.mirrorSeconds.toFixed(2),
        String(Math.round(keys / row.mirrorSeconds)),
        row.ceilingSeconds.toFixed(2),
        (row.mirrorSeconds / row.ceilingSeconds).toFixed(2),
        row.cpuSeconds.toFixed(1),
        row.memoryMegabytes.toFixed(0),
      ]),
    ),
  );
  const ratios = rows.map((row) => row.mirrorSeconds / row.ceilingSeconds);
  const seconds = rows.map((row) => row.mirrorSeconds);
  process.stdout.write(
    `mirror: median ${median(seconds).toFixed(2)} s (${spread(seconds)}); ratio to the ceiling: median ${median(ratios).toFixed(2)} (${spread(ratios)})\n`,
  );
} finally {
  await source.stop();
}
