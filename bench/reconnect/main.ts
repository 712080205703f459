/**
 * The row `outages`: how soon after an outage a change of a remote cluster is mirrored.
 *
 * A change is written while the link is interrupted. The time runs from the restoration of the link until the change is in
 * the local etcd. Several links are interrupted at the same time and restored one after the other.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type EtcdClient, keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { freePort } from '../../test/support/network/free-port.ts';
import { startSynBlackHole } from '../../test/support/network/syn-black-hole.ts';
import { startTcpProxy } from '../../test/support/network/tcp-proxy.ts';
import { connect, fill } from '../ceiling.ts';
import { announcements } from '../dataset.ts';
import { startEtcd } from '../etcd.ts';
import type { Figure, Row, RunContext } from '../frame/row.ts';
import { median } from '../report.ts';
import { dropped, type Links, refused, silent } from './links.ts';
import { MirroringProcess } from './mesh.ts';

/** Links of one daemon that are interrupted at the same time. */
const MOST_LINKS = 20;
/** Between the starts of two outages. */
const STAGGER_MS = 370;
const CROWD = 50;
const REPLACED_AFTER_MS = 4_000;

type Report = (what: string, ms: readonly number[]) => void;

async function runOutages({ options: { outages, tries }, note }: RunContext): Promise<Figure[]> {
  const figures: Figure[] = [];
  const report: Report = (what, ms) => {
    const sorted = ms.map((each) => each / 1000).sort((a, b) => a - b);
    const [p50, p95] = [median(sorted), sorted[Math.ceil(sorted.length * 0.95) - 1] ?? Number.NaN];
    figures.push({ name: `${what}, p50 of ${ms.length}`, unit: 's', value: p50 });
    figures.push({ name: `${what}, p95`, unit: 's', value: p95 });
    figures.push({ name: `${what}, max`, unit: 's', value: sorted.at(-1) ?? Number.NaN });
  };
  const links = Math.min(MOST_LINKS, tries);
  await using etcd = await startEtcd();
  const kinds = [
    interrupted('refused', await refused(etcd.port, links), outages, tries, report),
    interrupted('silent', await silent(etcd.port, links), outages, tries, report),
  ];
  if (process.getuid?.() === 0) kinds.push(interrupted('dropped', await dropped(links), outages, tries, report));
  else note('dropped packets: only as root');
  await Promise.all(kinds);
  const between = ['refused', 'silent'] as const;
  await Promise.all(between.map(async (kind) => report(`replaced while ${kind}`, await replaced(kind, tries))));
  note(await crowd());
  return figures;
}

export const OUTAGES_ROW: Row = {
  name: 'outages',
  measures: 'restoration of an interrupted link until a change made behind it is mirrored, for --outages seconds of outage',
  isExtra: true,
  isInside: true,
  run: runOutages,
};

async function put(client: EtcdClient, cluster: string, value: string): Promise<void> {
  const key = keyOf(`cilium/state/nodes/v1/${cluster}/probe`);
  await client.txn([{ type: 'put', key, value: Buffer.from(value), lease: NO_LEASE }], { signal: AbortSignal.timeout(60_000) });
}

/** Writes the cluster config of each cluster into one etcd, and a first value for each. */
async function announce(endpoint: string, names: readonly string[], value: string): Promise<void> {
  const client = connect(endpoint);
  const isThere = () =>
    put(client, 'none', '').then(
      () => true,
      () => false,
    );
  while (!(await isThere())) await sleep(100);
  client.close();
  for (const [at, name] of names.entries()) await fill(endpoint, [...announcements(name, at + 1)]);
  const writer = connect(endpoint);
  for (const name of names) await put(writer, name, value);
  writer.close();
}

async function interrupted(kind: string, given: Links, outages: readonly number[], tries: number, report: Report): Promise<void> {
  await using made = given;
  const names = made.links.map((_, at) => `${kind}-${at}`);
  await announce(made.endpoint, names, 'first');
  const remotes = names.map((name, at) => ({ name, endpoint: made.links[at]?.endpoint ?? '' }));
  await using mesh = await MirroringProcess.start(remotes);
  await Promise.all(names.map((name) => mesh.arrival(name, 'first')));
  const client = connect(made.endpoint);
  for (const seconds of outages) {
    const took: number[] = [];
    for (let round = 0; took.length < tries; round += 1) {
      const one = async (name: string, at: number) => {
        const link = made.links[at];
        await sleep(at * STAGGER_MS);
        await link?.interrupt();
        await sleep(seconds * 1000);
        const value = `${seconds}-${round}`;
        const arrival = mesh.arrival(name, value);
        await put(client, name, value);
        const healedMs = performance.now();
        await link?.heal();
        took.push((await arrival) - healedMs);
      };
      await Promise.all(names.slice(0, tries - took.length).map(one));
    }
    report(`${kind} for ${seconds} s`, took);
  }
  client.close();
}

/** An etcd that is stopped and replaced at the same address by one with other data, once all of it is announced. */
async function replaced(between: 'refused' | 'silent', tries: number): Promise<number[]> {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  let etcd = await startEtcd({ port });
  await announce(endpoint, ['pod'], 'first');
  await using mesh = await MirroringProcess.start([{ name: 'pod', endpoint }]);
  await mesh.arrival('pod', 'first');
  const took: number[] = [];
  while (took.length < tries) {
    await etcd.stop();
    const hole = between === 'silent' ? await startSynBlackHole('127.0.0.1', port) : undefined;
    await sleep(REPLACED_AFTER_MS + Math.random() * 1000);
    await hole?.stop();
    etcd = await startEtcd({ port });
    const value = `replaced-${took.length}`;
    const arrival = mesh.arrival('pod', value);
    await announce(endpoint, ['pod'], value);
    const readyMs = performance.now();
    took.push(Math.max(0, (await arrival) - readyMs));
  }
  await etcd.stop();
  return took;
}

/** Many remotes that are lost together and return together. */
async function crowd(): Promise<string> {
  await using etcd = await startEtcd();
  await using proxy = await startTcpProxy(etcd.port);
  const names = Array.from({ length: CROWD }, (_, at) => `crowd-${at}`);
  await announce(etcd.endpoint, names, 'first');
  await using mesh = await MirroringProcess.start(names.map((name) => ({ name, endpoint: proxy.endpoint })));
  await Promise.all(names.map((name) => mesh.arrival(name, 'first')));
  const attempts: number[] = [];
  let [before, slowestMs, isOver] = [proxy.accepted, 0, false];
  const perSecond = setInterval(() => {
    attempts.push(proxy.accepted - before);
    before = proxy.accepted;
  }, 1_000);
  const polling = (async () => {
    while (!isOver) {
      const startMs = performance.now();
      await fetch(`${mesh.api}/v1/cluster`).then((answer) => answer.text());
      slowestMs = Math.max(slowestMs, performance.now() - startMs);
      await sleep(20);
    }
  })();
  proxy.reject();
  proxy.cut();
  await sleep(30_000);
  const arrivals = names.map((name) => mesh.arrival(name, 'second'));
  const client = connect(etcd.endpoint);
  for (const name of names) await put(client, name, 'second');
  client.close();
  const revision = await mesh.revision();
  const healedMs = performance.now();
  await proxy.heal();
  const lastMs = Math.max(...(await Promise.all(arrivals))) - healedMs;
  await sleep(2_000);
  [isOver] = [true];
  await polling;
  clearInterval(perSecond);
  const written = (await mesh.revision()) - revision;
  return [
    `${CROWD} remotes away for 30 s and back at once: the last change after ${(lastMs / 1000).toFixed(2)} s,`,
    `attempts a second: ${Math.max(...attempts.slice(1))} at most, ${median(attempts).toFixed(0)} in the median;`,
    `transactions of the local etcd: ${written}; slowest answer of the status API: ${slowestMs.toFixed(0)} ms`,
  ].join(' ');
}
