/** Changes without end in one cluster, and what a reader in another cluster sees of them. */
import { setTimeout as pause } from 'node:timers/promises';
import type { EtcdClient } from '../../src/shared/etcd/types.ts';
import { keyOf, type Revision } from '../../src/shared/etcd/types.ts';
import type { RealCluster } from '../support/cluster/real-cluster.ts';
import { until } from '../support/until.ts';

const SERVICES = 10;
const PAUSE_MS = 20;

/** Changes the addresses of global Services in turn, until it is disposed of. */
export class Changes implements AsyncDisposable {
  readonly #cluster: RealCluster;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #count = 0;
  /** The number of the last change of each Service, by its name. */
  readonly last = new Map<string, number>();

  private constructor(cluster: RealCluster) {
    this.#cluster = cluster;
  }

  static async start(cluster: RealCluster): Promise<Changes> {
    const changes = new Changes(cluster);
    for (let i = 0; i < SERVICES; i += 1) await changes.#create(`changing-${i}`);
    changes.#running = changes.#run();
    return changes;
  }

  get count(): number {
    return this.#count;
  }

  async #create(name: string): Promise<void> {
    const { requests } = this.#cluster;
    await requests.create('/api/v1/namespaces/default/services', {
      metadata: { name, annotations: { 'service.cilium.io/global': 'true' } },
      spec: { ports: [{ name: 'http', port: 80, protocol: 'TCP' }] },
    });
    await requests.create('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
      metadata: { name, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: [],
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    });
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const name = `changing-${this.#count % SERVICES}`;
      this.#count += 1;
      const number = this.#count;
      const path = `/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/${name}`;
      await this.#cluster.requests.patch(path, 'merge-patch', {
        endpoints: [{ addresses: [addressOf(number)], conditions: { ready: true } }],
      });
      this.last.set(name, number);
      await pause(PAUSE_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  /** Ends the changes; `last` is final then. Rejects where one of them failed. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function addressOf(number: number): string {
  return `10.${1 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
}

function numberOf(address: string): number {
  const [, high = 1, middle = 0, low = 0] = address.split('.').map(Number);
  return ((high - 1) << 16) | (middle << 8) | low;
}

/** A reader of the mirrored Services, which lists and watches as agents do. */
export class ServiceReader implements AsyncDisposable {
  readonly #client: EtcdClient;
  readonly #prefix: string;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #failure = '';
  /** The number of the change that each Service is at, by its name. */
  readonly changes = new Map<string, number>();
  /** Events that withdrew a Service. */
  readonly deletions: string[] = [];
  /** Times that another etcd was found, or the watch position was lost: a reader lists again then. */
  relists = 0;

  constructor(client: EtcdClient, remote: string) {
    this.#client = client;
    this.#prefix = `cilium/cache/services/v1/${remote}/default/`;
    this.#running = this.#run();
  }

  /** Waits until the reader has seen what is now the last change of each Service, or a later one. */
  async hasAll(changes: Changes, withinMs = 120_000): Promise<void> {
    const wanted = [...changes.last];
    const lacking = () => wanted.filter(([name, number]) => (this.changes.get(name) ?? 0) < number);
    const status = () => ({ lacking: lacking(), seen: [...this.changes], failure: this.#failure });
    await until('the reader has the last change of each Service', () => lacking().length === 0, { withinMs, status });
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#listAndWatch(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#failure = String(error);
        await pause(100, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #listAndWatch(signal: AbortSignal): Promise<void> {
    // After a rollout this is another etcd.
    this.#client.forgetCluster();
    let revision = 0;
    for await (const page of this.#client.list(keyOf(this.#prefix), { signal })) {
      revision = page.revision;
      for (const { key, value } of page.keyValues) this.#set(String(key), value);
    }
    for await (const batch of this.#client.watch(keyOf(this.#prefix), { signal, from: (revision + 1) as Revision })) {
      if (batch.kind === 'compacted' || batch.kind === 'replaced') {
        this.relists += 1;
        return;
      }
      if (batch.kind !== 'events') continue;
      for (const event of batch.events) {
        if (event.type === 'put') this.#set(String(event.key), event.value);
        else this.deletions.push(String(event.key));
      }
    }
  }

  #set(key: string, value: Uint8Array): void {
    const { backends } = JSON.parse(Buffer.from(value).toString()) as { readonly backends?: Record<string, unknown> };
    const [address] = Object.keys(backends ?? {});
    if (address !== undefined) this.changes.set(key.slice(this.#prefix.length), numberOf(address));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
