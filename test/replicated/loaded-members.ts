/** A kvstoremesh, under a steady load, over an etcd of three members, with agents that read there and an oracle. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { connect, history } from '../support/etcd/etcd-client.ts';
import { EtcdCluster } from '../support/etcd/etcd-cluster.ts';
import { proxyForTest } from '../support/etcd/etcd-fixture.ts';
import { ConfigDirectory, harborFlags } from '../support/kvstoremesh/config-directory.ts';
import { startFullRemote } from '../support/kvstoremesh/mesh-fixture.ts';
import { type Oracle, observe } from '../support/kvstoremesh/oracle.ts';
import type { TcpProxy } from '../support/network/tcp-proxy.ts';
import { type Daemon, startDaemon } from '../support/processes/daemon.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { AgentReader } from './agent-reader.ts';
import { longestLag, SteadyLoad } from './steady-load.ts';

/** More than pings and lookups send, and less than the load of a moment. */
const WRITTEN_BYTES = 20_000;
/** A member that hangs is noticed in 3 s; etcd's default closes connections that ping so often. */
const PINGS = ['--grpc-keepalive-min-time=1s'];
const KEEPALIVE = ',etcd.keepaliveHeartbeat=2s,etcd.keepaliveTimeout=1s';
/** For which a fault lasts after the first change that agents see in spite of it. */
const LASTING_MS = 500;

interface Parts {
  readonly etcd: EtcdCluster;
  /** Between the daemon and each member. */
  readonly proxies: readonly TcpProxy[];
  /** Between the oracle and a member that does not fail. */
  readonly view: TcpProxy;
  readonly oracle: Oracle;
  readonly daemon: Daemon;
  readonly readers: readonly AgentReader[];
  readonly load: SteadyLoad;
}

export class LoadedMembers {
  readonly etcd: EtcdCluster;
  readonly proxies: readonly TcpProxy[];
  readonly #parts: Parts;
  readonly #lags: Record<string, number> = {};
  #seen = 1;

  private constructor(parts: Parts) {
    this.etcd = parts.etcd;
    this.proxies = parts.proxies;
    this.#parts = parts;
  }

  /** Its parts end when the test has finished. */
  static async start(version: string): Promise<LoadedMembers> {
    const etcd = await EtcdCluster.start({ version, args: PINGS });
    onTestFinished(() => etcd[Symbol.asyncDispose]());
    const proxies = await Promise.all(etcd.members.map(({ port }) => proxyForTest(port)));
    const view = await proxyForTest(etcd.member(1).port);
    const berlin = await startFullRemote('berlin', 7);
    onTestFinished(() => berlin[Symbol.asyncDispose]());
    const oracle = await observe({ process: view }, [berlin]);
    onTestFinished(() => oracle[Symbol.asyncDispose]());
    const config = join(temporaryDirectory('etcd'), 'etcd-config.yaml');
    writeFileSync(config, `endpoints: ${JSON.stringify(proxies.map(({ endpoint }) => endpoint))}\n`);
    const directory = new ConfigDirectory();
    directory.add(berlin);
    const flags = harborFlags(`etcd.config=${config}${KEEPALIVE}`, directory);
    const daemon = await startDaemon('kvstoremesh', [...flags, '--api-serve-addr=', '--prometheus-serve-addr=']);
    onTestFinished(() => daemon.kill());
    await daemon.ready();
    const endpoints = etcd.members.map(({ endpoint }) => endpoint);
    const readers = [await AgentReader.start(endpoints), await AgentReader.start(endpoints.toReversed())];
    const load = SteadyLoad.start(berlin);
    onTestFinished(() => load.stop());
    return new LoadedMembers({ etcd, proxies, view, oracle, daemon, readers, load });
  }

  /** The place of the member that the daemon writes to; it has idle connections to others. */
  async used(): Promise<number> {
    const before = this.proxies.map(({ bytes }) => bytes.toServer);
    const used = () => this.proxies.findIndex(({ bytes }, place) => bytes.toServer > (before[place] ?? 0) + WRITTEN_BYTES) + 1;
    return (await until('the daemon writes', used)) - 1;
  }

  /** The oracle looks at another member than the one at `index`, whose place is returned. */
  lookPast(index: number): number {
    this.#seen = (index + 1) % 3;
    this.#parts.view.retarget(this.etcd.member(this.#seen).port);
    this.#parts.view.cut();
    return this.#seen;
  }

  /** Runs `body`, and resolves when agents have later changes. Measures how far behind they were. */
  async during(name: string, body: () => Promise<unknown>): Promise<void> {
    const sinceMs = Date.now();
    await this.#arrives(sinceMs);
    await body();
    await this.#arrives(Date.now());
    this.#lags[name] = Math.max(...this.#parts.readers.map(({ events }) => longestLag(events, sinceMs)));
  }

  /** Resolves when agents have changes of a while later. */
  lasts(): Promise<unknown> {
    return this.#arrives(Date.now() + LASTING_MS);
  }

  /** Ends the load, and compares what agents got with the history of etcd, and the mirror with its source. */
  async verify(): Promise<void> {
    const { daemon, etcd, load, oracle, readers } = this.#parts;
    await load.stop();
    await oracle.converged();
    const since = Math.min(...readers.map((reader) => reader.since));
    const written = (await history(connect(etcd.member(this.#seen).endpoint), since))
      .filter(({ key }) => key.startsWith('cilium/cache/'))
      .map(({ type, key, modRevision }) => `${modRevision} ${type} ${key}`);
    for (const reader of readers) {
      const expected = written.filter((line) => Number.parseInt(line, 10) > reader.since);
      await until('the last event arrives', () => reader.events.length >= expected.length);
      expect(reader.events.map(({ type, key, revision }) => `${revision} ${type} ${key}`)).toEqual(expected);
      expect(reader.relistings).toEqual([]);
    }
    expect(daemon.log).not.toMatch(/was replaced|emptied or restored|relisting/);
  }

  /** Rate, resumed watches, and how far behind agents were. */
  get measured(): string {
    const { load, readers } = this.#parts;
    const resumed = readers.map((reader) => reader.resumed).join(' and ');
    const lags = Object.entries(this.#lags).map(([name, ms]) => `  ${name}: at most ${(ms / 1000).toFixed(1)} s behind\n`);
    return `${load.rate} changes a second, watches resumed ${resumed} times\n${lags.join('')}`;
  }

  async #arrives(ms: number): Promise<void> {
    await Promise.all(this.#parts.readers.map((reader) => reader.untilWritten(ms)));
  }
}
