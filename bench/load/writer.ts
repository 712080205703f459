/**
 * A process that changes keys of an etcd at a fixed rate, whether the etcd answers in time or not. A change that is sent later
 * than a tick after it was due carries the time when it was due: a stalled etcd, or a stalled writer, is not left out.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { NO_LEASE } from '../../src/shared/etcd/types.ts';
import { encodeTxn } from '../../src/shared/etcd/wire/codec.ts';
import { TXN } from '../../src/shared/etcd/wire/methods.ts';
import type { WriterOrder, WriterReport } from './messages.ts';
import { EtcdSession } from './session.ts';
import { nowNs, stamped } from './stamp.ts';

/** Above what a timer of a millisecond is late by itself. */
const LATE_NS = 2.5e6;
/** Requests without an answer; a load that gets there is above what the etcd can do. */
const MAX_IN_FLIGHT = 4000;
/** Changes wait in the connection until it is established. */
const WARM_UP_CALLS = 1;

async function write(order: WriterOrder): Promise<WriterReport> {
  const { target, id, keys, run, rate, seconds, perTransaction } = order;
  using session = new EtcdSession(target);
  let [next, inFlight, latestNs, failed] = [0, 0, 0, 0];
  let failure: Error | undefined;
  const send = (startNs: number, count: number) => {
    const operations = Array.from({ length: count }, () => {
      const dueNs = startNs + (next * 1e9) / rate;
      const lateNs = nowNs() - dueNs;
      latestNs = Math.max(latestNs, lateNs);
      const { key, value } = stamped(id, keys, run, { sequence: next, sentNs: lateNs > LATE_NS ? dueNs : nowNs() });
      next += 1;
      return { type: 'put', key, value, lease: NO_LEASE } as const;
    });
    inFlight += 1;
    session.call(TXN.path, encodeTxn(operations), (error) => {
      inFlight -= 1;
      if (error === undefined) return;
      failed += count;
      failure = error;
    });
  };
  for (let i = 0; i < WARM_UP_CALLS; i += 1) await new Promise((resolve) => session.call(TXN.path, encodeTxn([]), resolve));
  const total = Math.round(rate * seconds);
  const before = process.cpuUsage();
  const firstSentNs = nowNs();
  while (next < total) {
    const due = Math.min(total, Math.floor(((nowNs() - firstSentNs) * rate) / 1e9) + 1);
    while (next < due && inFlight < MAX_IN_FLIGHT) send(firstSentNs, Math.min(perTransaction, due - next));
    // An etcd that is too busy rejects some; one that rejects most is not what the load is for.
    if (failure !== undefined && failed > next / 2) throw failure;
    // Not more often than something is due: each wake-up costs the measured processes time.
    await sleep(Math.max(1, Math.floor((firstSentNs + (next * 1e9) / rate - nowNs()) / 1e6)));
  }
  const lastSentNs = nowNs();
  const { user, system } = process.cpuUsage(before);
  while (inFlight > 0) await sleep(1);
  const cpu = (user + system) / ((lastSentNs - firstSentNs) / 1000);
  return { changes: total, failed, firstSentNs, lastSentNs, latestMs: latestNs / 1e6, cpu };
}

// The bench has ended, or has what it wanted.
process.once('disconnect', () => process.exit());
const [order] = (await once(process, 'message')) as [WriterOrder];
process.send?.(await write(order));
process.disconnect();
