/** `kv list`, `kv get` and `kv watch`: keys of the local etcd with their values decoded. */
import { ProgramError } from '../../shared/errors.ts';
import type { EtcdClient, EtcdKey, KeyValue, Revision } from '../../shared/etcd/types.ts';
import { keyText } from '../../shared/etcd/types.ts';
import { decodedValue } from './decode.ts';
import { type Kind, kindOf, type Place } from './kinds.ts';

export interface ShownKey {
  readonly key: string;
  readonly revision: number;
  /** Of the value. */
  readonly bytes: number;
  readonly value: unknown;
}

export interface KeyList {
  readonly keys: readonly ShownKey[];
  /** Keys that were left out because of the limit; as etcd counts them. */
  readonly more: number;
}

export interface ShownChange extends Omit<ShownKey, 'bytes' | 'value'> {
  readonly change: 'created' | 'changed' | 'deleted';
  readonly bytes?: number;
  readonly value?: unknown;
}

/** The local etcd does not have the key. */
export class KeyMissingError extends ProgramError {
  readonly code = 'KV_KEY_MISSING';
  readonly retriable = true;
}

/** The history from which changes were to be read is gone. */
export class WatchLostError extends ProgramError {
  readonly code = 'KV_WATCH_LOST';
  readonly retriable = true;
}

/** In the order of the keys, at most `limit`. Rejects with an EtcdError. */
export async function listKeys(
  client: EtcdClient,
  places: readonly Place[],
  { limit, signal }: { readonly limit: number; readonly signal: AbortSignal },
): Promise<KeyList> {
  const keys: ShownKey[] = [];
  let total = 0;
  for (const { prefix, isKey } of places) {
    let counted = false;
    for await (const page of client.list(prefix, { signal, exact: isKey })) {
      if (!counted) total += Math.max(page.total, page.keyValues.length);
      counted = true;
      keys.push(...page.keyValues.slice(0, limit - keys.length).map(shown));
      if (keys.length >= limit) break;
    }
  }
  return { keys, more: Math.max(0, total - keys.length) };
}

/** The first key of that name in `places`. Rejects with KeyMissingError, or an EtcdError. */
export async function getKey(client: EtcdClient, places: readonly Place[], name: string, signal: AbortSignal): Promise<ShownKey> {
  for (const { prefix, isKey } of places) {
    const found = await client.get(isKey ? prefix : (`${prefix}${Buffer.from(name).toString('latin1')}` as EtcdKey), { signal });
    if (found !== undefined) return shown(found);
  }
  const tried = places.map(({ prefix, isKey }) => keyText((isKey ? prefix : `${prefix}${name}`) as EtcdKey)).join(' or ');
  throw new KeyMissingError(`the etcd has no ${tried}; list the kind to see the names that it has`);
}

/** Changes from now on, until `signal` is aborted. Rejects with WatchLostError, or an EtcdError. */
export async function* watchKeys(client: EtcdClient, place: Place, signal: AbortSignal): AsyncGenerator<ShownChange, void, void> {
  const from = await revisionOf(client, place, signal);
  for await (const batch of client.watch(place.prefix, { signal, from: (from + 1) as Revision, exact: place.isKey })) {
    if (batch.kind === 'compacted' || batch.kind === 'replaced')
      throw new WatchLostError('the etcd was replaced or has dropped its history; watch again');
    if (batch.kind !== 'events') continue;
    for (const event of batch.events) {
      if (event.type === 'delete') yield { change: 'deleted', key: keyText(event.key), revision: event.modRevision };
      else yield { change: event.isCreation ? 'created' : 'changed', ...shown(event) };
    }
  }
}

async function revisionOf(client: EtcdClient, { prefix, isKey }: Place, signal: AbortSignal): Promise<number> {
  for await (const { revision } of client.list(prefix, { signal, exact: isKey, keysOnly: true, pageSize: 1 })) return revision;
  return 0;
}

function shown({ key, value, modRevision }: Pick<KeyValue, 'key' | 'value' | 'modRevision'>): ShownKey {
  const kind: Kind = kindOf(key) ?? 'synced';
  return { key: keyText(key), revision: modRevision, bytes: value.length, value: decodedValue(kind, value) };
}
