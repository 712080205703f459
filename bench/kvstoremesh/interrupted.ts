/** What a mirror does when its connection returns, and how long its event loop is blocked by that and by other bulk work. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { keyOf, type LeaseId } from '../../src/shared/etcd/types.ts';
import { ProtobufWriter } from '../../src/shared/protobuf.ts';
import { startTcpProxy, type TcpProxy } from '../../test/support/network/tcp-proxy.ts';
import { connect, fill } from '../ceiling.ts';
import { cluster, enlarged } from '../dataset.ts';
import type { Etcd } from '../etcd.ts';
import type { Figure, Row, RunContext } from '../frame/row.ts';
import { EtcdSession } from '../load/session.ts';
import { scraped } from '../usage.ts';
import { benchEtcd, filledSource, LOCAL, ROOT_USER, SOURCE, SOURCE_ID, startMirror, synced } from './mesh.ts';
import { Observer, revisionOf } from './observe.ts';

/** One key of so many is changed. */
const CHANGED = 100;
const CATCH_UP_BYTES = 40e6;
/** An audit starts within a minute; twice that with a loaded machine. */
const AUDIT_MS = 70_000;
/** The resolution of the monitor in the metrics is part of what it reports. */
const RESOLUTION_MS = 10;
const LAG = 'nodejs_eventloop_lag_max_seconds';

/** `etcd` as it is reached through the proxy. */
function through(proxy: TcpProxy, etcd: Etcd): Pick<Etcd, 'config'> {
  return {
    config: (user) => {
      const config = etcd.config(user);
      return { ...config, endpoints: config.endpoints.map((each) => each.replace(/:\d+$/, `:${proxy.port}`)) };
    },
  };
}

async function compact(etcd: Etcd): Promise<void> {
  const message = new ProtobufWriter(32);
  message.varint(0x08);
  message.varint(await revisionOf(etcd));
  using session = new EtcdSession(etcd.config(ROOT_USER));
  await new Promise<void>((resolve, reject) =>
    session.call('/etcdserverpb.KV/Compact', message.finish(), (error) => (error === undefined ? resolve() : reject(error))),
  );
}

/** Seconds of a list of everything, page by page, by a client that does nothing else. */
async function listSeconds(etcd: Etcd): Promise<number> {
  const client = connect(etcd.config(ROOT_USER));
  const { signal } = new AbortController();
  const startMs = performance.now();
  for await (const _ of client.list(keyOf('cilium/state/'), { signal }));
  client.close();
  return (performance.now() - startMs) / 1000;
}

async function runReconnect(context: RunContext): Promise<Figure[]> {
  const { keys } = context.options;
  await using source = await filledSource(context, cluster(SOURCE, SOURCE_ID, keys));
  await using proxy = await startTcpProxy(source.port);
  await using local = await benchEtcd(context, LOCAL);
  await using daemon = await startMirror({ subject: context.subject, local, source: through(proxy, source) });
  await synced(local, daemon);
  const base = { name: 'a paged list of the same', value: await listSeconds(source) };
  await using observer = await Observer.start(local);
  await observer.untilQuiet();
  const before = observer.dataEvents;
  await proxy.disconnect();
  const changed = [...cluster(SOURCE, SOURCE_ID, keys)].filter((_, i) => i % CHANGED === 0).map((entry) => enlarged(entry, 1.1));
  await fill(source.config(ROOT_USER), changed);
  await compact(source);
  const healedMs = performance.now();
  await proxy.heal();
  const arrivedMs = await observer.untilKeys(changed.length, AbortSignal.any([context.signal, daemon.signal]));
  await observer.untilQuiet();
  return [
    { name: 'to the last change', unit: 's', value: (arrivedMs - healedMs) / 1000, base, target: { of: 'value', atMost: 2 } },
    {
      ...{ name: 'writes of unchanged keys', unit: 'events', value: observer.dataEvents - before - changed.length },
      target: { of: 'value', atMost: 0 },
    },
  ];
}

export const RECONNECT_ROW: Row = {
  name: 'reconnect',
  measures:
    'connection lost, 1 % of --keys keys changed, history compacted: return of the connection to the last change, and writes',
  run: runReconnect,
};

/** A process that does nothing, with the same monitor: what the machine adds. */
function idleLoop() {
  const child = fork(join(import.meta.dirname, '../load/idle-loop.ts'), {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return {
    worstMs: async () => {
      const answer = once(child, 'message');
      child.send('worst');
      return Number((await answer)[0]);
    },
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}

async function revokeAllLeases(etcd: Etcd): Promise<void> {
  const client = connect(etcd.config(ROOT_USER));
  const { signal } = new AbortController();
  const leases = new Set<LeaseId>();
  for await (const page of client.list(keyOf('cilium/cache/'), { signal, keysOnly: true }))
    for (const { lease } of page.keyValues) leases.add(lease);
  for (const lease of leases) await client.revokeLease(lease, { signal });
  client.close();
}

async function runBlocks(context: RunContext): Promise<Figure[]> {
  const { keys } = context.options;
  const entries = () => cluster(SOURCE, SOURCE_ID, keys);
  await using source = await filledSource(context, entries());
  await using proxy = await startTcpProxy(source.port);
  await using local = await benchEtcd(context, LOCAL);
  await using localProxy = await startTcpProxy(local.port);
  using idle = idleLoop();
  await idle.worstMs();
  await using daemon = await startMirror({
    subject: context.subject,
    local: through(localProxy, local),
    source: through(proxy, source),
  });
  const signal = AbortSignal.any([context.signal, daemon.signal]);
  const figures: Figure[] = [];
  /** Of the time since the last one: a scrape resets the monitor. */
  const add = async (phase: string) => {
    const [seconds = Number.NaN] = await scraped(daemon.metricsEndpoint, [LAG]);
    const base = { name: 'an idle process', value: await idle.worstMs() };
    const value = Math.max(0, seconds * 1000 - RESOLUTION_MS);
    figures.push({ name: phase, unit: 'ms', value, base, target: { of: 'value', atMost: 20 } });
  };
  await synced(local, daemon);
  await add('fill');
  {
    await using observer = await Observer.start(local);
    await fill(
      source.config(ROOT_USER),
      Iterator.from(entries()).map((entry) => enlarged(entry, 1.2)),
    );
    await observer.untilKeys(keys, signal);
    await add('all values rewritten');
  }
  {
    await using observer = await Observer.start(local);
    await proxy.disconnect();
    let bytes = 0;
    const until = (length: number) => {
      bytes += length;
      return bytes < CATCH_UP_BYTES;
    };
    const changed = [...entries()]
      .map((entry) => enlarged(entry, 2))
      .filter(({ key, value }) => until(key.length + value.length));
    await fill(source.config(ROOT_USER), changed);
    await proxy.heal();
    await observer.untilKeys(changed.length, signal);
    await add(`catch-up of ${Math.round(Math.min(bytes, CATCH_UP_BYTES) / 1e6)} MB`);
  }
  {
    await using observer = await Observer.start(local);
    // As leases expire: while the local etcd cannot be reached.
    await localProxy.disconnect();
    await revokeAllLeases(local);
    await localProxy.heal();
    await observer.untilKeys(keys, signal);
    await observer.untilQuiet();
    await add('all leases lost');
  }
  if (context.round === 1) {
    await sleep(AUDIT_MS, undefined, { signal });
    await add('audit');
  }
  return figures;
}

export const BLOCKS_ROW: Row = {
  name: 'blocks',
  measures: 'the longest block of the event loop in each phase, by nodejs_eventloop_lag_max_seconds of the program',
  accepts: ({ kind }) => kind !== 'peer',
  run: runBlocks,
};
