/**
 * `clustermesh` in this process, between a Kubernetes API and an etcd of its own, with a record of what happens to that etcd.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { Registry } from '../../../src/shared/http/metrics.ts';
import { HastyClock } from '../clocks.ts';
import { type EtcdProcess, startEtcd } from '../etcd/etcd-process.ts';
import { StoreRecord } from '../etcd/store-record.ts';
import { type LogLine, recordingLogger } from '../recording-logger.ts';
import { until, within } from '../until.ts';
import { ClustermeshRun, EAST } from './clustermesh-run.ts';
import type { KubernetesRequests } from './kubernetes-requests.ts';

/** How many times as fast as the wall clock the times of the daemon pass: its pauses, not its work. */
const SPEED = 5;
const WITHIN_MS = 60_000;

interface ExportedKind {
  /** As the daemon's log and metrics name it. */
  readonly resource: string;
  readonly collection: string;
  readonly object: (index: number) => object;
  readonly name: (index: number) => string;
  readonly key: (index: number) => string;
}

const metadata = (name: string) => ({ name, annotations: { 'service.cilium.io/global': 'true' } });

/** One object of each, of the same number, makes a member of the cluster. */
export const EXPORTED_KINDS: readonly ExportedKind[] = [
  {
    resource: 'ciliumendpoints.cilium.io',
    collection: '/apis/cilium.io/v2/namespaces/default/ciliumendpoints',
    name: (index) => `pod-${index}`,
    key: (index) => `cilium/state/ip/v1/default/10.1.0.${index}`,
    object: (index) => ({
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumEndpoint',
      metadata: metadata(`pod-${index}`),
      status: { id: 1, identity: { id: 70_000 }, networking: { node: '172.16.0.1', addressing: [{ ipv4: `10.1.0.${index}` }] } },
    }),
  },
  {
    resource: 'ciliumnodes.cilium.io',
    collection: '/apis/cilium.io/v2/ciliumnodes',
    name: (index) => `node-${index}`,
    key: (index) => `cilium/state/nodes/v1/east/node-${index}`,
    object: (index) => ({
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNode',
      metadata: metadata(`node-${index}`),
      spec: { addresses: [{ type: 'InternalIP', ip: `172.16.0.${index}` }] },
    }),
  },
  {
    resource: 'services',
    collection: '/api/v1/namespaces/default/services',
    name: (index) => `service-${index}`,
    key: (index) => `cilium/state/services/v1/east/default/service-${index}`,
    object: (index) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata(`service-${index}`),
      spec: { ports: [{ name: 'http', port: 80 }] },
    }),
  },
];

export class ExportingCluster implements AsyncDisposable {
  readonly clock: HastyClock;
  readonly lines: readonly LogLine[];
  readonly directory: string;
  readonly #requests: KubernetesRequests;
  readonly #etcd: EtcdProcess;
  readonly #record: StoreRecord;
  readonly #members = new Set<number>();
  readonly #removed = new Set<string>();
  readonly #run: ClustermeshRun;

  private constructor(parts: Parts) {
    this.clock = parts.clock;
    this.lines = parts.lines;
    this.#run = parts.run;
    this.directory = parts.directory;
    this.#requests = parts.requests;
    this.#etcd = parts.etcd;
    this.#record = parts.record;
  }

  /** A daemon that has exported the first ten members. */
  static async start(options: ExportingClusterOptions): Promise<ExportingCluster> {
    const world = await ExportingCluster.open(options);
    for (let index = 1; index <= 10; index += 1) await world.create(index);
    await world.settled();
    return world;
  }

  /** A daemon at its start, and no members. */
  static async open({ requests, flags }: ExportingClusterOptions): Promise<ExportingCluster> {
    const etcd = await startEtcd();
    const record = await StoreRecord.start(etcd.endpoint);
    const directory = mkdtempSync(join(tmpdir(), 'exporting-cluster-'));
    const clock = new HastyClock(SPEED);
    const { log, lines } = recordingLogger();
    const argv = [...EAST, `--kvstore-opt=etcd.address=${etcd.endpoint}`, ...flags(directory)];
    const run = await ClustermeshRun.start(argv, { log, clock, metrics: new Registry('') });
    return new ExportingCluster({ requests, etcd, record, directory, clock, lines, run });
  }

  /** How the run of the daemon ended. */
  get ended(): Promise<void> {
    return this.#run.ended;
  }

  async create(index: number, kinds = EXPORTED_KINDS): Promise<void> {
    this.#members.add(index);
    for (const kind of kinds) await this.#requests.create(kind.collection, kind.object(index));
  }

  async delete(index: number, kinds = EXPORTED_KINDS): Promise<void> {
    this.#members.delete(index);
    for (const kind of kinds) {
      this.#removed.add(kind.key(index));
      await this.#requests.delete(`${kind.collection}/${kind.name(index)}`);
    }
  }

  /** The objects of a kind are about to go by themselves. */
  allowRemoval(kind: ExportedKind): void {
    for (const index of this.#members) this.#removed.add(kind.key(index));
  }

  /** Members come and go, so that it shows who follows. */
  async change(round = 0): Promise<void> {
    await this.create(20 + round);
    await this.delete(1 + round);
  }

  /** The keys that are exported now. */
  exported(): readonly string[] {
    const kinds = /^cilium\/state\/(ip|nodes|services)\//;
    return [...this.#record.state.keys()].filter((key) => kinds.test(key)).sort();
  }

  /** What happened to a key so far: its values in order, undefined for a removal. */
  historyOf(wanted: string): readonly (string | undefined)[] {
    const changes = this.#record.changes.filter(({ key }) => key === wanted);
    return changes.map(({ entry }) => entry && Buffer.from(entry.value, 'base64').toString());
  }

  /** Resolves when the keys of these kinds are those of the members. No key has vanished on the way whose object exists. */
  async settled(kinds = EXPORTED_KINDS): Promise<void> {
    const [prefixes, members] = [kinds.map(({ key }) => key(0).slice(0, 20)), [...this.#members]];
    const wanted = kinds.flatMap(({ key }) => members.map(key)).sort();
    const held = () => this.exported().filter((key) => prefixes.some((prefix) => key.startsWith(prefix)));
    const status = () => ({ has: held(), said: this.lines.slice(-8) });
    await until('the members are exported', () => held().join() === wanted.join(), { withinMs: WITHIN_MS, status });
    this.expectNothingVanished();
  }

  /** Resolves when the daemon reports that it is ready. */
  async ready(): Promise<void> {
    const isReady = async () => (await fetch(`http://127.0.0.1:${this.#run.healthPort}/readyz`)).ok;
    await until('the daemon is ready', isReady, { withinMs: WITHIN_MS, status: () => this.lines.slice(-8) });
  }

  /** A key goes only with its object. */
  expectNothingVanished(): void {
    const gone = this.#record.changes.filter(({ entry, key }) => entry === undefined && !this.#removed.has(key));
    expect(gone.map(({ key }) => key)).toEqual([]);
  }

  /** Resolves when a line of the log has `code` and matches. */
  async said(code: string, text: RegExp = /./): Promise<void> {
    const isIt = (line: LogLine) => line.code === code && text.test(String(line.reason ?? ''));
    await until(`the log has ${code} ${text}`, () => this.lines.some(isIt), {
      withinMs: WITHIN_MS,
      status: () => this.lines.slice(-8),
    });
  }

  /** Whether the metrics have a line that starts with `series` and is not 0. */
  async counts(series: string): Promise<boolean> {
    const lines = (await this.#run.metrics.metrics()).split('\n');
    return lines.some((line) => line.startsWith(series) && !line.endsWith(' 0'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#run.stop(WITHIN_MS).catch(() => undefined);
    await within('the daemon stops', Promise.allSettled([this.#run.ended]), WITHIN_MS);
    for (const index of [...this.#members]) await this.delete(index);
    await this.#record[Symbol.asyncDispose]();
    await this.#etcd.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface ExportingClusterOptions {
  /** To the API itself, past every fault. */
  readonly requests: KubernetesRequests;
  /** How the daemon reaches the API; it may leave files in the directory. */
  readonly flags: (directory: string) => readonly string[];
}

interface Parts {
  readonly requests: KubernetesRequests;
  readonly clock: HastyClock;
  readonly lines: readonly LogLine[];
  readonly run: ClustermeshRun;
  readonly etcd: EtcdProcess;
  readonly record: StoreRecord;
  readonly directory: string;
}
