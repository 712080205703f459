/** A process that watches an etcd and measures how old each change is when its event arrives. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { keyOf, type Revision } from '../../src/shared/etcd/types.ts';
import { connect } from '../ceiling.ts';
import type { WatcherEnd, WatcherOrder, WatcherReport } from './messages.ts';
import { nowNs, stampOf } from './stamp.ts';

const LEFT_AFTER_NS = 100e6;
/** The load has drained when nothing came for so long, or when all is there. */
const QUIET_NS = 1e9;
const PATIENCE_NS = 60e9;

/** By sequence: 0 for a change that has not arrived. */
const sentNs: number[] = [];
const arrivedNs: number[] = [];
let arrived = 0;
let lastArrivalNs = nowNs();

async function follow({ watched, prefix, run }: WatcherOrder, signal: AbortSignal): Promise<void> {
  const client = connect(watched);
  // Existing keys are of no interest: the watch begins with the revision after the current one.
  let from = 1;
  for await (const page of client.list(keyOf(prefix), { signal, pageSize: 1, keysOnly: true })) {
    from = page.revision + 1;
    break;
  }
  process.send?.('watching');
  for await (const batch of client.watch(keyOf(prefix), { signal, from: from as Revision })) {
    if (batch.kind !== 'events') continue;
    const now = nowNs();
    for (const event of batch.events) {
      const stamp = event.type === 'put' ? stampOf(event.value, run) : undefined;
      if (stamp === undefined) continue;
      if (arrivedNs[stamp.sequence] === undefined) arrived += 1;
      sentNs[stamp.sequence] = stamp.sentNs;
      arrivedNs[stamp.sequence] = now;
      lastArrivalNs = now;
    }
  }
}

async function drained({ changes, lastSentNs }: WatcherEnd): Promise<void> {
  const isOver = () => arrived === changes || nowNs() - Math.max(lastArrivalNs, lastSentNs) > QUIET_NS;
  while (!isOver() && nowNs() - lastSentNs < PATIENCE_NS) await sleep(10);
}

function report(end: WatcherEnd, cpu: number): WatcherReport {
  const latencies: number[] = [];
  let [left, superseded, lost] = [0, 0, 0];
  for (let sequence = 0; sequence < end.changes; sequence += 1) {
    const [sent, arrival] = [sentNs[sequence], arrivedNs[sequence]];
    if (sent === undefined || arrival === undefined) {
      if (sequence + end.repeatedAfter < end.changes) superseded += 1;
      else lost += 1;
      continue;
    }
    if (sequence >= end.counted) latencies.push((arrival - sent) / 1e6);
    if (arrival - end.lastSentNs > LEFT_AFTER_NS) left += 1;
  }
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  const drainMs = Math.max(0, lastArrivalNs - end.lastSentNs) / 1e6;
  return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), drainMs, left, superseded, lost, cpu };
}

// The bench has ended, or has what it wanted.
process.once('disconnect', () => process.exit());
const [order] = (await once(process, 'message')) as [WatcherOrder];
const stop = new AbortController();
const [before, startNs] = [process.cpuUsage(), nowNs()];
const following = follow(order, stop.signal).catch((thrown: unknown) => {
  if (!stop.signal.aborted) throw thrown;
});
const [end] = (await once(process, 'message')) as [WatcherEnd];
const { user, system } = process.cpuUsage(before);
const cpu = (user + system) / ((nowNs() - startNs) / 1000);
await drained(end);
stop.abort(new Error('drained'));
await following;
process.send?.(report(end, cpu));
process.disconnect();
