/**
 * The client of a remote's etcd.
 *
 * Another store that answers over a connection is mirrored over the same one: a new connection to the address of a Service may
 * still lead to the Pod that is gone.
 */
import type { EtcdConfig } from '../../shared/etcd/config.ts';
import type { EtcdClient } from '../../shared/etcd/types.ts';
import type { OpenedSource, RemoteClusterContext, SourceFile } from './context.ts';

type OnDropped = NonNullable<SourceFile['onDropped']>;

export class RemoteSource {
  readonly #file: Pick<SourceFile, 'path' | 'cluster'>;
  readonly #openFile: RemoteClusterContext['open'];
  #opened: OpenedSource | undefined;
  /** Of the file, as last read. */
  #config: EtcdConfig | undefined;
  /** Of the connection under way. */
  #onDropped: OnDropped | undefined;

  constructor(file: Pick<SourceFile, 'path' | 'cluster'>, openFile: RemoteClusterContext['open']) {
    this.#file = file;
    this.#openFile = openFile;
  }

  /** Of the file, as last read. */
  get endpoints(): number {
    return this.#config?.endpoints.length ?? 0;
  }

  /** Why the etcd cannot be reached at the moment. */
  get error(): Error | undefined {
    const { connected = true, lastError } = this.#opened?.client.state ?? {};
    return connected ? undefined : lastError;
  }

  /** The client for the next connection: that of the last one, unless it was closed. Rejects with the problem of the file. */
  async open(onDropped: OnDropped): Promise<EtcdClient> {
    this.#onDropped = onDropped;
    if (this.#opened === undefined) {
      const events = { onDropped: (count: number) => this.#onDropped?.(count) };
      this.#opened = await this.#openFile({ ...this.#file, last: this.#config, ...events });
      this.#config = this.#opened.config;
    } else this.#opened.client.forgetCluster();
    return this.#opened.client;
  }

  /** The next connection has a new client, for the file as it is then. Idempotent. */
  close(): void {
    this.#opened?.client.close();
    this.#opened = undefined;
  }
}
