/** What the tests of the rules share: several clusters in one etcd, time that a test moves, and views of the local etcd. */

import type { EtcdClient, KeyValue, WatchEvent } from '../../src/shared/etcd/types.ts';
import type { ManualClock } from '../support/clocks.ts';
import { history, listAll } from '../support/etcd/etcd-client.ts';
import { Remote, type Store } from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';

/** Further clusters whose keys the etcd of `remote` holds too. They end with it. */
export function sharing<Name extends string>(remote: Remote, ...names: readonly Name[]): Remote[] {
  return names.map((name) => new SharingRemote(name, remote));
}

class SharingRemote extends Remote {
  constructor(name: string, { process, proxy }: Remote) {
    super(name, process, proxy);
  }

  override [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    return Promise.resolve();
  }
}

/** `until`, while the time of `clock` advances in steps. */
export async function untilLater(
  clock: ManualClock,
  what: string,
  probe: () => unknown,
  { stepMs = 1_000, status }: { readonly stepMs?: number; readonly status?: () => unknown } = {},
): Promise<void> {
  await until(
    what,
    async () => {
      await clock.advance(stepMs);
      return Boolean(await probe());
    },
    { withinMs: 45_000, ...(status === undefined ? {} : { status }) },
  );
}

/** What changed in the local etcd since `since`, the locks of the leaders left out. */
export async function changesSince(local: Store, since: number): Promise<WatchEvent[]> {
  const events = await history(local.client, since);
  return events.filter(({ key }) => !key.startsWith('cilium/kvstoremesh-lock/'));
}

/** Everything below `prefix`, with leases and revisions. */
export async function leased(client: EtcdClient, prefix = 'cilium/'): Promise<KeyValue[]> {
  return listAll(client, prefix);
}

/** The kinds of which the local etcd holds a key of `cluster`. */
export async function mirroredKinds(local: Store, cluster: string): Promise<string[]> {
  const keys = Object.keys(await local.dump('cilium/cache/')).map((key) => key.split('/'));
  return [...new Set(keys.flatMap(([, , kind, , name]) => (name === cluster && kind !== undefined ? [kind] : [])))].sort();
}

/** The kinds whose canary the local etcd holds. */
export async function canaries(local: Store, cluster: string): Promise<string[]> {
  const prefix = `cilium/synced/${cluster}/cilium/cache/`;
  return Object.keys(await local.dump(prefix)).map((key) => key.slice(prefix.length).replace('/v1', ''));
}

export const ALL_KINDS = ['endpointslices', 'identities', 'ip', 'nodes', 'serviceexports', 'services'];
