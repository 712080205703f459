/** A remote whose keys change all the time, independent of the state of its etcd. */
import { setTimeout as pause } from 'node:timers/promises';
import { keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { type Remote, startRemote } from '../support/kvstoremesh/mesh-fixture.ts';
import { Random } from '../support/random.ts';

const KEYS = 2_000;
const INTERVAL_MS = 50;
const CALL_TIMEOUT_MS = 5_000;
/** Often enough for a daemon whose time passes faster. */
const HEARTBEAT_MS = 3_000;

export class ChangingRemote implements AsyncDisposable {
  readonly remote: Remote;
  readonly id: number;
  /** It answers; false while a fault keeps it from that. */
  isUp = true;
  readonly #random: Random;
  #sequence = 0;
  #writing: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;
  readonly #heartbeat: NodeJS.Timeout;
  /** Changes that its etcd has taken. */
  changes = 0;

  private constructor(remote: Remote, id: number, seed: number) {
    this.remote = remote;
    this.id = id;
    this.#random = new Random(seed);
    const beat = () => (this.isUp ? this.remote.put({ 'cilium/.heartbeat': new Date().toISOString() }) : Promise.resolve());
    this.#heartbeat = setInterval(() => void beat().catch(() => undefined), HEARTBEAT_MS);
  }

  static async start(name: string, id: number, seed: number, args: readonly string[]): Promise<ChangingRemote> {
    const changing = new ChangingRemote(await startRemote(name, { args }), id, seed);
    await changing.setUp();
    return changing;
  }

  get name(): string {
    return this.remote.name;
  }

  /** What an exporting daemon does to an etcd that is empty: keys, then what the cluster is, canaries last. */
  async setUp(): Promise<void> {
    for (let round = 0; round < 10; round += 1) await this.#change(100, 0);
    await this.remote.fill('1');
    await this.remote.configure(this.id);
    await this.remote.announce();
  }

  /** Changes about so many keys a second from now on, until `rest`. */
  change(perSecond: number): void {
    const stop = new AbortController();
    const count = Math.max(1, Math.round((perSecond * INTERVAL_MS) / 1000));
    this.#writing = { stop, ended: this.#write(count, stop.signal) };
  }

  async rest(): Promise<void> {
    this.#writing?.stop.abort();
    await this.#writing?.ended;
    this.#writing = undefined;
  }

  async #write(count: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startMs = performance.now();
      // Its etcd may be away; the next batch will show.
      if (this.isUp) await this.#change(count, 0.25).catch(() => undefined);
      await pause(Math.max(1, INTERVAL_MS - (performance.now() - startMs)), undefined, { signal }).catch(() => undefined);
    }
  }

  /** One transaction; `deletions`: the part of it that deletes. */
  async #change(count: number, deletions: number): Promise<void> {
    const keys = new Set(Array.from({ length: count }, () => this.#key(this.#random.between(0, KEYS))));
    const operations = [...keys].map((name) => {
      const key = keyOf(name);
      if (this.#random.next() < deletions) return { type: 'delete', key } as const;
      this.#sequence += 1;
      return { type: 'put', key, value: Buffer.from(this.#value()), lease: NO_LEASE } as const;
    });
    await this.remote.client.txn(operations, { signal: AbortSignal.timeout(CALL_TIMEOUT_MS), timeoutMs: CALL_TIMEOUT_MS });
    this.changes += operations.length;
  }

  #value(): string {
    return `${this.#sequence} ${'x'.repeat(this.#random.between(0, 300))}`;
  }

  #key(index: number): string {
    const { name } = this;
    const kinds = [
      `ip/v1/default/10.9.${index >> 8}.${index & 255}`,
      `identities/v1/id/${70_000 + index}`,
      `nodes/v1/${name}/node-${index}`,
      `services/v1/${name}/shop/${index}`,
      `endpointslices/v1/${name}/shop/${index}-x`,
    ];
    return `cilium/state/${kinds[index % kinds.length]}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#heartbeat);
    await this.rest();
    this.remote.process.resume();
    await this.remote[Symbol.asyncDispose]();
  }
}
