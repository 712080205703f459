/**
 * A reflector on an API server, with a handler that remembers.
 */

import { test as base } from 'vitest';
import {
  type ConnectionOptions,
  type KubeConnection,
  openConnection,
} from '../../src/shared/kubernetes/connection/connection.ts';
import type { Resource } from '../../src/shared/kubernetes/objects/resources.ts';
import type { ObjectId } from '../../src/shared/kubernetes/objects/types.ts';
import type { ReflectorEvent } from '../../src/shared/kubernetes/reflector/observer.ts';
import { runReflector } from '../../src/shared/kubernetes/reflector/reflector.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import type { Clock } from '../../src/shared/time/clock.ts';
import { HastyClock } from '../support/clocks.ts';
import { connectionOptions } from '../support/kubernetes/connection-options.ts';
import { until, within } from '../support/until.ts';
import { FakeApiserver } from './fake-apiserver.ts';

export const WIDGETS: Resource = { kind: 'Widget', group: 'test.io', version: 'v1', plural: 'widgets' };
export const WIDGETS_PATH = '/apis/test.io/v1/widgets';

/** Tests on an API server each, which `prepare` is called with. */
export function apiTest(prepare: (api: FakeApiserver) => void = () => undefined) {
  return base.extend<{ api: FakeApiserver }>({
    // biome-ignore lint/correctness/noEmptyPattern: vitest looks at the pattern for the fixtures it has to prepare
    api: async ({}, use) => {
      await using api = await FakeApiserver.start();
      prepare(api);
      await use(api);
    },
  });
}

export interface RunOptions {
  readonly resource?: Resource;
  readonly clock?: Clock;
  readonly connection?: Partial<ConnectionOptions>;
  readonly project?: (raw: unknown) => unknown;
}

/** One reflector under observation. */
export class ReflectorRun implements AsyncDisposable {
  /** What the handler holds, by `namespace/name`. */
  readonly objects = new Map<string, unknown>();
  /** Every call of the handler, in order: `+ns/name`, `-ns/name`, `listed`. */
  readonly told: string[] = [];
  readonly events: ReflectorEvent[] = [];
  readonly connection: KubeConnection;
  readonly clock: Clock;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  private constructor(connection: KubeConnection, clock: Clock, options: RunOptions) {
    this.connection = connection;
    this.clock = clock;
    const key = ({ text }: ObjectId) => text;
    this.#ended = runReflector<unknown>({
      connection,
      clock,
      resource: options.resource ?? WIDGETS,
      project: options.project ?? ((raw) => raw),
      handler: {
        upsert: (object, id) => {
          this.objects.set(key(id), object);
          this.told.push(`+${key(id)}`);
        },
        remove: (id) => {
          if (!this.objects.delete(key(id))) throw new Error(`${key(id)} was removed and never told`);
          this.told.push(`-${key(id)}`);
        },
        listed: () => this.told.push('listed'),
      },
      log: silentLogger,
      signal: this.#stop.signal,
      observer: (event) => this.events.push(event),
    });
    this.#ended.catch(() => undefined);
  }

  static async start(serverUrl: string | readonly string[], options: RunOptions = {}): Promise<ReflectorRun> {
    const clock = options.clock ?? new HastyClock();
    const serverUrls = typeof serverUrl === 'string' ? [serverUrl] : serverUrl;
    const connection = await openConnection(connectionOptions({ serverUrls, clock, ...options.connection }));
    return new ReflectorRun(connection, clock, options);
  }

  /** One whose first list is complete. */
  static async listed(serverUrl: string | readonly string[], options?: RunOptions): Promise<ReflectorRun> {
    const run = await ReflectorRun.start(serverUrl, options);
    await run.listed();
    return run;
  }

  get names(): string[] {
    return [...this.objects.keys()].sort();
  }

  /** Complete lists so far. */
  get listings(): number {
    return this.told.filter((word) => word === 'listed').length;
  }

  get relists(): string[] {
    return this.events.flatMap((event) => (event.type === 'relist' ? [event.reason] : []));
  }

  /** Codes of the failures so far. */
  get failures(): string[] {
    return this.events.flatMap((event) => (event.type === 'failure' ? [event.error.code] : []));
  }

  get state(): string | undefined {
    return this.events.flatMap((event) => (event.type === 'state' ? [event.state] : [])).at(-1);
  }

  holds(names: readonly string[]): Promise<unknown> {
    const wanted = [...names].sort();
    return until(`the handler holds ${wanted}`, () => isEqual(this.names, wanted), { status: () => this.status() });
  }

  listed(times = 1): Promise<unknown> {
    return until(`${times} complete lists`, () => this.listings >= times, { status: () => this.status() });
  }

  status(): unknown {
    return { told: this.told.slice(-10), failures: this.failures.slice(-5), state: this.state, relists: this.relists };
  }

  /** Aborts the reflector and waits until it has ended, which is at once. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await within('the reflector ends', this.#ended, 5_000);
    await this.connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function isEqual(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}
