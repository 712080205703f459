/**
 * A mesh of real etcds with proxies on both sides, an oracle that looks on, and a check of what stays behind.
 */

import { test } from 'vitest';
import { keyOf, prefixEnd } from '../../../src/shared/etcd/types.ts';
import { FAST_KEEPALIVE, FAST_PINGS } from '../../support/etcd/etcd-fixture.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import type { EtcdOptions } from '../../support/etcd/etcd-server.ts';
import {
  Mesh,
  type MeshOptions,
  type Remote,
  type Store,
  startFullRemote,
  startLocal,
} from '../../support/kvstoremesh/mesh-fixture.ts';
import { type Oracle, type OracleOptions, observe } from '../../support/kvstoremesh/oracle.ts';
import { startTcpProxy, type TcpProxy } from '../../support/network/tcp-proxy.ts';
import { type LogLine, recordingLogger } from '../../support/recording-logger.ts';
import { until } from '../../support/until.ts';
import { watchForLeaks } from './leaks.ts';

export interface FaultOptions extends Omit<MeshOptions, 'localEndpoint' | 'log'> {
  readonly local?: EtcdOptions;
  readonly remote?: EtcdOptions;
  readonly oracle?: OracleOptions;
  readonly timeoutMs?: number;
  /** Others run at the same time: leaks of the process cannot be attributed. */
  readonly isConcurrent?: boolean;
}

export interface FaultRig {
  readonly local: Store;
  /** What stands between the mesh and the local etcd. */
  readonly localProxy: TcpProxy;
  /** A remote that is complete, with a proxy of its own. */
  readonly berlin: Remote;
  /** Has mirrored `berlin`, from the beginning of the test. */
  readonly mesh: Mesh;
  readonly oracle: Oracle;
  readonly lines: readonly LogLine[];
}

/** A test that breaks what is mirrored. When the fault is over the mirror must be right, and leave nothing behind when it stops. */
export function faultTest(title: string, options: FaultOptions, body: (rig: FaultRig) => Promise<void>): void {
  const { timeoutMs = 60_000, isConcurrent = false } = options;
  const kind = isConcurrent ? test.concurrent : test;
  const define = etcdVersions().length === 0 ? kind.skip : kind;
  define(title, { timeout: timeoutMs }, async () => {
    const leaks = isConcurrent ? undefined : watchForLeaks();
    await play(options, body);
    await leaks?.none();
  });
}

async function play(
  { local: localOptions, remote, oracle: oracleOptions, ...options }: FaultOptions,
  body: (rig: FaultRig) => Promise<void>,
) {
  await using local = await startLocal(withFastPings(localOptions));
  await using localProxy = await startTcpProxy(local.process.port);
  await using berlin = await startFullRemote('berlin', 7, withFastPings(remote));
  await using oracle = await observe(local, [berlin], oracleOptions);
  const { log, lines } = recordingLogger();
  await using mesh = await Mesh.mirroring(local, [berlin], {
    keepalive: FAST_KEEPALIVE,
    silenceMs: 1_500,
    ...options,
    localEndpoint: localProxy.endpoint,
    log,
  });
  await body({ local, localProxy, berlin, mesh, oracle, lines });
  await localProxy.heal();
  await berlin.proxy.heal();
  await oracle.converged();
  await mesh.stop();
  await until('every connection is closed', () => localProxy.connections + berlin.proxy.connections === 0);
}

function withFastPings(options: EtcdOptions = {}): EtcdOptions {
  return { ...options, args: [...FAST_PINGS, ...(options.args ?? [])] };
}

/** Source of the addresses, of which there are many in a cluster. */
export const ADDRESSES = 'cilium/state/ip/v1/default/';

/** Puts `count` addresses, 128 a transaction; returns their names in the source. */
export async function putAddresses(remote: Store, count: number, value: string | Uint8Array, from = 0): Promise<string[]> {
  const keys = Array.from(
    { length: count },
    (_, index) => `${ADDRESSES}10.${(from + index) >> 16}.${((from + index) >> 8) & 255}.${(from + index) & 255}`,
  );
  const perTxn = value.length > 8_192 ? Math.max(1, Math.floor(1_000_000 / value.length)) : 128;
  for (let at = 0; at < count; at += perTxn) {
    await remote.put(Object.fromEntries(keys.slice(at, at + perTxn).map((key) => [key, value])));
  }
  return keys;
}

/** Removes everything below `prefix` in one revision. */
export async function deleteBelow(store: Store, prefix: string): Promise<void> {
  const key = keyOf(prefix);
  await store.client.txn([{ type: 'delete', key, end: prefixEnd(key) }], { signal: AbortSignal.timeout(60_000) });
}

/** Breaks the way to the remote until `heal`; resolves when the mesh has noticed. */
export async function disconnect({ berlin }: Pick<FaultRig, 'berlin'>): Promise<void> {
  await berlin.proxy.disconnect();
  await until('no connection is left', () => berlin.proxy.connections === 0);
}

/** A number of a server's own metrics; 0 while it has none. */
export async function serverMetric(store: Store, series: string): Promise<number> {
  const answer = await fetch(`${store.process.metricsEndpoint}/metrics`);
  const line = (await answer.text()).split('\n').find((each) => each.startsWith(series));
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ') + 1));
}

/** The number of such lines. */
export function said(lines: readonly LogLine[], message: string): number {
  return lines.filter(({ msg }) => msg === message).length;
}
