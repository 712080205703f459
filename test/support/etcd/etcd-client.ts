/** The client of the product on an etcd of a test, and what tests read with it. */
import { onTestFinished } from 'vitest';
import { createEtcdClient, type EtcdAdminClient, type EtcdClientOptions } from '../../../src/shared/etcd/client.ts';
import {
  type EtcdClient,
  type KeyValue,
  keyOf,
  NO_LEASE,
  type Revision,
  type WatchEvent,
} from '../../../src/shared/etcd/types.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';

/** A client that its owner closes. */
export function openClient(endpoints: string | readonly string[], options: Partial<EtcdClientOptions> = {}): EtcdAdminClient {
  const config = { endpoints: typeof endpoints === 'string' ? [endpoints] : endpoints };
  return createEtcdClient({ config, name: 'test', log: silentLogger, clock: systemClock, ...options });
}

/** A client that is closed when the test has finished. */
export function connect(endpoints: string | readonly string[], options: Partial<EtcdClientOptions> = {}): EtcdAdminClient {
  const client = openClient(endpoints, options);
  onTestFinished(() => client.close());
  return client;
}

/** A signal that no test outlives. */
export function soon(): { readonly signal: AbortSignal } {
  return { signal: AbortSignal.timeout(60_000) };
}

export const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');

/** Of the store. */
export async function revisionOf(client: EtcdClient): Promise<Revision> {
  for await (const page of client.list(keyOf('nothing-is-here/'), soon())) return page.revision;
  throw new Error('a list without a page');
}

/** Everything below `prefix`. */
export async function listAll(client: EtcdClient, prefix: string): Promise<KeyValue[]> {
  const all: KeyValue[] = [];
  for await (const page of client.list(keyOf(prefix), soon())) {
    for (const keyValue of page.keyValues) all.push({ ...keyValue, value: Buffer.from(keyValue.value) });
  }
  return all;
}

/** Every event below `cilium/` after `since`, read back from the store's own history. */
export async function history(client: EtcdClient, since: number): Promise<WatchEvent[]> {
  const sentinel = keyOf('cilium/~end-of-history');
  // Its own revision, and not that of the store: others may continue to write.
  const last = await client.txn([{ type: 'put', key: sentinel, value: bytes(String(Math.random())), lease: NO_LEASE }], soon());
  const events: WatchEvent[] = [];
  const abort = new AbortController();
  for await (const batch of client.watch(keyOf('cilium/'), { signal: abort.signal, from: (since + 1) as Revision })) {
    if (batch.kind === 'compacted' || batch.kind === 'replaced') throw new Error(`the history is gone: ${batch.kind}`);
    if (batch.kind !== 'events') continue;
    for (const event of batch.events) if (event.key !== sentinel) events.push(event);
    if (batch.events.some((event) => event.key === sentinel && event.modRevision >= last)) break;
  }
  abort.abort();
  return events;
}

/** `client`, but for the members that are given. */
export function overriding(client: EtcdClient, members: Partial<EtcdClient>): EtcdClient {
  return new Proxy(client, {
    get: (target, name) => {
      const member: unknown = Reflect.get(Object.hasOwn(members, name) ? members : target, name, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}
