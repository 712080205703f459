/**
 * How long a publisher of many keys blocks the event loop, without any etcd: for each phase the longest delay, and the most
 * processor time of one turn of the loop, which is more accurate on a busy machine.
 *
 * The etcd in memory uses the same event loop, and so does garbage collection, mostly for that etcd: a
 * phase shows the delay of all of them. The longest garbage collection pause is shown too.
 */

import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type EtcdKey, keyOf } from '../../src/shared/etcd/types.ts';
import type { Section } from '../../src/shared/publisher/types.ts';
import { memoryPublisher } from '../../test/support/etcd/memory-etcd.ts';
import { until } from '../../test/support/until.ts';
import type { Figure, RowContext } from '../frame/row.ts';

/** The most processor time of this thread, in milliseconds, between two turns of the event loop. */
class TurnMeter {
  #longestMs = 0;
  #overs = 0;
  #lastMicros = 0;

  /** The most of one turn, in milliseconds, and turns of 20 ms and more. */
  get longestMs(): number {
    return this.#longestMs;
  }

  get overs(): number {
    return this.#overs;
  }

  start(): void {
    this.#lastMicros = cpuMicros();
    setImmediate(() => this.#turn());
  }

  reset(): void {
    this.#longestMs = 0;
    this.#overs = 0;
    this.#lastMicros = cpuMicros();
  }

  #turn(): void {
    const now = cpuMicros();
    const milliseconds = (now - this.#lastMicros) / 1000;
    this.#longestMs = Math.max(this.#longestMs, milliseconds);
    if (milliseconds >= 20) this.#overs += 1;
    this.#lastMicros = now;
    setImmediate(() => this.#turn());
  }
}

function cpuMicros(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

const PREFIX = 'cilium/cache/ip/v1/west/';
const CLUSTERS = 511;
const KINDS = 5;
const KEYS_PER_TURN = 500;

export async function runPublisherDelay({ options: { keys }, note }: RowContext): Promise<Figure[]> {
  const figures: Figure[] = [];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const turns = new TurnMeter();
  turns.start();
  let longestGcMs = 0;
  const gc = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longestGcMs = Math.max(longestGcMs, duration);
  });
  gc.observe({ entryTypes: ['gc'] });
  const { etcd, publisher, stop } = memoryPublisher({ auditIntervalMs: 2000 });
  for (let cluster = 0; cluster < CLUSTERS; cluster += 1)
    for (let kind = 0; kind < KINDS; kind += 1) sectionOf(publisher, `cilium/cache/k${kind}/v1/c${cluster}/`).listed();
  await until('the empty sections are synced', () => publisher.stats.pending === 0, { withinMs: 600_000 });
  const section = sectionOf(publisher, PREFIX);

  /** Measures from the moment `begin` returns: earlier work belongs to the bench. */
  const phase = async (name: string, begin: () => void | Promise<void>, isOver: () => boolean) => {
    globalThis.gc?.();
    await nextTurn();
    const startMs = performance.now();
    delay.reset();
    longestGcMs = 0;
    turns.reset();
    delay.enable();
    await begin();
    await until(name, isOver, { withinMs: 600_000 });
    delay.disable();
    const milliseconds = (nanoseconds: number) => (nanoseconds / 1e6).toFixed(1);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    const base = { name: 'longest GC pause', value: longestGcMs };
    figures.push({ name: `${name}, longest delay`, unit: 'ms', value: delay.max / 1e6, base });
    figures.push({ name: `${name}, most CPU of a turn`, unit: 'ms', value: turns.longestMs, base });
    const percentiles = [99, 99.9].map((each) => `p${each} ${milliseconds(delay.percentile(each))} ms`).join(', ');
    note(`${name}: ${seconds} s, delay ${percentiles}, turns of 20 ms CPU: ${turns.overs}`);
  };
  const isWritten = () => section.stats.pending === 0 && etcd.size >= keys;
  const afterwards = async (work: () => void) => {
    work();
    await nextTurn();
    delay.reset();
    longestGcMs = 0;
    turns.reset();
  };

  await phase(
    'first load',
    () => list(section, keys),
    () => section.stats.synced && isWritten(),
  );
  const audits = etcd.lists;
  await phase(
    'full audit',
    () => undefined,
    () => etcd.lists >= audits + 2 * (CLUSTERS * KINDS + 1),
  );
  await phase('all leases lost', () => afterwards(() => etcd.revokeAll()), isWritten);
  const listsBefore = etcd.lists;
  await phase(
    'history compacted',
    () => afterwards(() => etcd.compact()),
    () => etcd.lists > listsBefore + CLUSTERS * KINDS + 1 && isWritten(),
  );
  await phase('listed again, equal', () => list(section, keys), isWritten);
  await phase(
    'half not named any more',
    () => list(section, keys / 2),
    () => section.stats.pending === 0 && etcd.size < keys * 0.6,
  );
  const reserved = publisher.stats.reservedBytes;
  await phase(
    'released',
    () => section.release(),
    () => publisher.stats.reservedBytes < reserved / 100,
  );
  const startMs = performance.now();
  for (let cluster = 0; cluster < CLUSTERS; cluster += 1) void publisher.stats.failing;
  const failingMs = performance.now() - startMs;
  void publisher.stats.pending;
  const pendingMs = performance.now() - startMs - failingMs;
  note(`${CLUSTERS} times why writes fail ${failingMs.toFixed(2)} ms, pending keys of all sections ${pendingMs.toFixed(2)} ms`);
  await stop();
  return figures;
}

function sectionOf(publisher: ReturnType<typeof memoryPublisher>['publisher'], prefix: string): Section {
  return publisher.section({ scope: 'ip/v1', cluster: prefix, prefix: keyOf(prefix), rank: 0, owns: 'prefix' });
}

async function list(section: Section, keys: number): Promise<void> {
  section.interrupted('a new listing');
  for (let i = 0; i < keys; i += 1) {
    const ip = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
    section.upsert(
      `${PREFIX}${ip}` as EtcdKey,
      Buffer.from(`{"IP":"${ip}","Mask":null,"HostIP":"172.16.0.1","ID":${i},"Key":0,"Metadata":"cilium"}`),
    );
    if (i % KEYS_PER_TURN === 0) await nextTurn();
  }
  section.listed();
}
