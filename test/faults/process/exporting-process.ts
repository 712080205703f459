/** A `clustermesh` process between a Kubernetes API of many objects and a local etcd, each behind a proxy. */

import { expect } from 'vitest';
import { startEmbeddedKubernetes } from '../../../demo/kubernetes/embedded-kubernetes.ts';
import type { Revision } from '../../../src/shared/etcd/types.ts';
import { history } from '../../support/etcd/etcd-client.ts';
import { ClustermeshRun, EAST } from '../../support/kubernetes/clustermesh-run.ts';
import { KubernetesRequests } from '../../support/kubernetes/kubernetes-requests.ts';
import { type Store, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { startTcpProxy, type TcpProxy } from '../../support/network/tcp-proxy.ts';
import { type Daemon, quickProgram, startDaemon } from '../../support/processes/daemon.ts';
import type { QuickTimes } from '../../support/processes/quick-daemon.ts';
import { until } from '../../support/until.ts';

const ENDPOINTS = 600;
const COLLECTION = '/apis/cilium.io/v2/namespaces/default/ciliumendpoints';

const addressOf = (index: number) => `10.1.${index >> 8}.${index & 255}`;
export const keyOfEndpoint = (index: number) => `cilium/state/ip/v1/default/${addressOf(index)}`;

export class ExportingProcess implements AsyncDisposable {
  readonly local: Store;
  readonly localProxy: TcpProxy;
  readonly kubernetesProxy: TcpProxy;
  readonly #requests: KubernetesRequests;
  readonly #times: QuickTimes;
  readonly #kubernetes: AsyncDisposable;
  #process: Daemon | undefined;

  private constructor(
    parts: Pick<ExportingProcess, 'local' | 'localProxy' | 'kubernetesProxy'>,
    kubernetes: AsyncDisposable & { readonly url: string },
    times: QuickTimes,
  ) {
    this.local = parts.local;
    this.localProxy = parts.localProxy;
    this.kubernetesProxy = parts.kubernetesProxy;
    this.#kubernetes = kubernetes;
    this.#requests = new KubernetesRequests({ url: kubernetes.url });
    this.#times = times;
  }

  /** Everything but the daemon runs. */
  static async start(times: QuickTimes = {}): Promise<ExportingProcess> {
    const [local, kubernetes] = await Promise.all([startLocal(), startEmbeddedKubernetes()]);
    const localProxy = await startTcpProxy(local.process.port);
    const kubernetesProxy = await startTcpProxy(Number(new URL(kubernetes.url).port));
    const world = new ExportingProcess({ local, localProxy, kubernetesProxy }, kubernetes, times);
    for (let from = 0; from < ENDPOINTS; from += 50)
      await Promise.all(Array.from({ length: 50 }, (_, index) => world.create(from + index)));
    return world;
  }

  get daemon(): Daemon {
    if (this.#process === undefined) throw new Error('the daemon was not started');
    return this.#process;
  }

  /** Starts the daemon, for the first time or again. */
  async run(): Promise<void> {
    this.#process = await startDaemon('clustermesh', this.#flags(this.localProxy.endpoint), quickProgram(this.#times));
  }

  async create(index: number, identity = 70_000): Promise<void> {
    await this.#requests.create(COLLECTION, {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumEndpoint',
      metadata: { name: `pod-${index}`, namespace: 'default', annotations: { padding: 'x'.repeat(200) } },
      status: {
        id: index + 1,
        identity: { id: identity },
        networking: { node: '172.16.0.1', addressing: [{ ipv4: addressOf(index) }] },
      },
    });
  }

  async delete(index: number): Promise<void> {
    await this.#requests.delete(`${COLLECTION}/pod-${index}`);
  }

  /** How many endpoints are exported. */
  async exported(): Promise<number> {
    return Object.keys(await this.local.dump('cilium/state/ip/')).length;
  }

  async untilLogged(message: string): Promise<void> {
    const status = () => this.daemon.log.slice(-3_000);
    await until(`the log says: ${message}`, () => this.daemon.log.includes(message), { withinMs: 45_000, status });
  }

  /** Resolves when the etcd holds what a daemon exports to an empty one that nothing ever happened to. */
  async settled(): Promise<void> {
    const wanted = JSON.stringify(Object.entries(await this.#reference()).sort());
    const held = async () => JSON.stringify(Object.entries(await this.local.dump('cilium/state/')).sort());
    const status = () => this.daemon.log.slice(-3_000);
    await until('all is exported', async () => (await held()) === wanted, { withinMs: 45_000, status });
    await this.#judgeCanaries();
  }

  async #reference(): Promise<Record<string, string>> {
    await using pristine = await startLocal();
    const run = await ClustermeshRun.start(this.#flags(pristine.process.endpoint));
    const canaries = async () => Object.keys(await pristine.dump('cilium/synced/')).length;
    await until('the reference is complete', async () => (await canaries()) === 6, { withinMs: 45_000 });
    await run.stop();
    return await pristine.dump('cilium/state/');
  }

  /** Whenever a canary of endpoints was written, those that exist throughout the test were there. */
  async #judgeCanaries(): Promise<void> {
    const present = new Set<string>();
    let canaries = 0;
    for (const { type, key } of await history(this.local.client, 0 as Revision)) {
      if (type === 'delete') present.delete(key);
      else present.add(key);
      if (key !== 'cilium/synced/east/cilium/state/ip/v1' || type === 'delete') continue;
      canaries += 1;
      const missing = Array.from({ length: ENDPOINTS }, (_, index) => keyOfEndpoint(index)).filter((each) => !present.has(each));
      expect(missing, 'before the canary').toEqual([]);
    }
    expect(canaries).toBeGreaterThan(0);
  }

  #flags(endpoint: string): string[] {
    const kubernetes = `http://127.0.0.1:${this.kubernetesProxy.port}`;
    return [...[...EAST, `--k8s-api-server-urls=${kubernetes}`], `--kvstore-opt=etcd.address=${endpoint}`];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.local.process.resume();
    await this.#process?.kill();
    this.#requests.close();
    await Promise.all([this.localProxy.stop(), this.kubernetesProxy.stop(), this.#kubernetes[Symbol.asyncDispose]()]);
    await this.local[Symbol.asyncDispose]();
  }
}
