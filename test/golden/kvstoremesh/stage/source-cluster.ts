/**
 * The etcd of a remote cluster, behind a proxy that can cut it off, with a writer of its heartbeat.
 */

import { randomUUID } from 'node:crypto';
import { callEtcd, compactEtcd, putKey } from '../../../support/etcd/etcd-gateway.ts';
import { type EtcdProcess, startEtcd } from '../../../support/etcd/etcd-process.ts';
import { startTcpProxy, type TcpProxy } from '../../../support/network/tcp-proxy.ts';
import { recordedEtcd } from '../../recorded-etcd.ts';
import { loadEntries } from '../recording/entry-loading.ts';
import type { InputEntry } from '../recording/input-bytes.ts';

/** Readers take a source for lost when its heartbeat is two minutes old. */
const HEARTBEAT_INTERVAL_MS = 20_000;
const HEARTBEAT = Buffer.from('cilium/.heartbeat');

export class SourceCluster {
  readonly #etcd: EtcdProcess;
  readonly #proxy: TcpProxy;
  #beating: NodeJS.Timeout | undefined;

  private constructor(etcd: EtcdProcess, proxy: TcpProxy, hasHeartbeat: boolean) {
    this.#etcd = etcd;
    this.#proxy = proxy;
    if (!hasHeartbeat) return;
    this.#beating = setInterval(() => {
      // It may be down just now.
      this.#beat().catch(() => undefined);
    }, HEARTBEAT_INTERVAL_MS);
  }

  static async start(entries: readonly InputEntry[], hasHeartbeat: boolean): Promise<SourceCluster> {
    const etcd = await startEtcd(recordedEtcd());
    await loadEntries(etcd.endpoint, entries);
    const source = new SourceCluster(etcd, await startTcpProxy(etcd.port), hasHeartbeat);
    await source.#beat();
    return source;
  }

  /** Where the daemon finds it. */
  get endpoint(): string {
    return this.#proxy.endpoint;
  }

  /** Its address, independent of the proxy. */
  get directEndpoint(): string {
    return this.#etcd.endpoint;
  }

  /** Its etcd goes; the data stays. */
  kill(): Promise<void> {
    return this.#etcd.kill();
  }

  async restart(): Promise<void> {
    await this.#etcd.restart();
    await this.#beat();
  }

  /** Its etcd comes back empty, as another one. */
  async replace(): Promise<void> {
    await this.#etcd.restart({ wipe: true, clusterToken: randomUUID() });
    await this.#beat();
  }

  /** Rejects new connections and resets open ones. */
  async cutOff(): Promise<void> {
    await this.#proxy.disconnect();
  }

  reconnect(): Promise<void> {
    return this.#proxy.heal();
  }

  /** Clients of this source find another one at its address. */
  async flipTo(other: SourceCluster): Promise<void> {
    await this.cutOff();
    this.#proxy.retarget(other.#etcd.port);
    await this.reconnect();
  }

  /** Drops the history up to now. */
  async compact(): Promise<void> {
    // The last revision is to be a write: etcd 3.4 loses a deletion for a watch that resumes at its very revision.
    await putKey(this.#etcd.endpoint, Buffer.from('unrelated/key'), Buffer.from('x'));
    const { header } = (await callEtcd(this.#etcd.endpoint, 'kv/range', { key: HEARTBEAT.toString('base64') })) as {
      header: { revision: string };
    };
    await compactEtcd(this.#etcd.endpoint, Number(header.revision));
  }

  async stop(): Promise<void> {
    clearInterval(this.#beating);
    await this.#proxy.stop();
    await this.#etcd.stop();
  }

  async #beat(): Promise<void> {
    if (this.#beating === undefined) return;
    const now = `${new Date().toISOString().slice(0, 'YYYY-MM-DDThh:mm:ss'.length)}Z`;
    await putKey(this.#etcd.endpoint, HEARTBEAT, Buffer.from(now));
  }
}
