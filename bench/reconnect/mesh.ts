/** A kvstoremesh process that mirrors the remotes of a directory into its own etcd, and the arrival times of changes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EtcdClient, keyOf, type Revision } from '../../src/shared/etcd/types.ts';
import { freePort } from '../../test/support/network/free-port.ts';
import { connect } from '../ceiling.ts';
import { type Etcd, startEtcd } from '../etcd.ts';

const BINARY = new URL('../../bin/clustermesh-apiserver', import.meta.url).pathname;

export interface Remote {
  readonly name: string;
  readonly endpoint: string;
}

export class MirroringProcess implements AsyncDisposable {
  readonly client: EtcdClient;
  /** Of the status API. */
  readonly api: string;
  readonly #etcd: Etcd;
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #stop = new AbortController();
  readonly #seen = new Map<string, (atMs: number) => void>();

  private constructor(etcd: Etcd, child: ChildProcess, directory: string, api: string) {
    this.#etcd = etcd;
    this.#child = child;
    this.#directory = directory;
    this.api = api;
    this.client = connect(etcd.endpoint);
    void this.#watch();
  }

  static async start(remotes: readonly Remote[]): Promise<MirroringProcess> {
    const etcd = await startEtcd();
    const directory = await mkdtemp(join(tmpdir(), 'bench-mesh-'));
    for (const { name, endpoint } of remotes) await writeFile(join(directory, name), `endpoints:\n- ${endpoint}\n`);
    const api = `127.0.0.1:${await freePort()}`;
    const identity = ['--cluster-name=west', '--cluster-id=255', '--health-port=0', `--api-serve-addr=${api}`];
    const stores = [`--clustermesh-config=${directory}`, `--kvstore-opt=etcd.address=${etcd.endpoint}`];
    const child = spawn(BINARY, ['kvstoremesh', ...identity, ...stores], { stdio: 'ignore' });
    return new MirroringProcess(etcd, child, directory, `http://${api}`);
  }

  /** Resolves with the time, by `performance.now`, when the node `name` of the remote `cluster` has the value. */
  arrival(cluster: string, value: string): Promise<number> {
    return new Promise((resolve) => this.#seen.set(`cilium/cache/nodes/v1/${cluster}/probe=${value}`, resolve));
  }

  async revision(): Promise<number> {
    for await (const page of this.client.list(keyOf('none/'), { signal: this.#stop.signal })) return page.revision;
    return 0;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop;
    for await (const batch of this.client.watch(keyOf('cilium/cache/nodes/v1/'), { signal, from: 1 as Revision })) {
      if (batch.kind !== 'events') continue;
      for (const event of batch.events) {
        if (event.type !== 'put') continue;
        const text = `${event.key}=${Buffer.from(event.value).toString()}`;
        this.#seen.get(text)?.(performance.now());
        this.#seen.delete(text);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#child.kill('SIGKILL');
    this.client.close();
    await this.#etcd.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
