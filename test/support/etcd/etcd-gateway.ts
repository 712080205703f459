/** An etcd by way of its JSON gateway: apart from the program's own client on purpose, and for what that does not do. */

export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly leaseId: string;
  readonly modRevision: string;
}

/** One call of the gateway: `method` such as `kv/put`, bytes in base64. */
export async function callEtcd(endpoint: string, method: string, body: unknown, timeoutMs = 5_000): Promise<unknown> {
  const response = await fetch(`${endpoint}/v3/${method}`, {
    method: 'POST',
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (!response.ok) throw new Error(`etcd ${method}: ${response.status} ${await response.text()}`);
  return response.json();
}

/** For what takes a full database its time. */
const PATIENCE_MS = 60_000;

/** Discards the history up to `revision`, which itself stays. */
export async function compactEtcd(endpoint: string, revision: number): Promise<void> {
  await callEtcd(endpoint, 'kv/compaction', { revision: String(revision), physical: true }, PATIENCE_MS);
}

/** The history up to `revision` is discarded, the file shrunk, and the alarm of a full database disarmed. */
export async function makeRoom(endpoint: string, revision: number): Promise<void> {
  await compactEtcd(endpoint, revision);
  await callEtcd(endpoint, 'maintenance/defragment', {}, PATIENCE_MS);
  const { alarms = [] } = (await callEtcd(endpoint, 'maintenance/alarm', { action: 'GET' })) as {
    readonly alarms?: readonly object[];
  };
  for (const alarm of alarms) await callEtcd(endpoint, 'maintenance/alarm', { ...alarm, action: 'DEACTIVATE' });
}

/** Everything, in the order of the keys. */
export async function readEtcd(endpoint: string): Promise<readonly KeyValue[]> {
  const { kvs = [] } = (await callEtcd(endpoint, 'kv/range', prefixRange(Buffer.alloc(0)))) as {
    kvs?: { key: string; value?: string; lease?: string; mod_revision: string }[];
  };
  return kvs.map(({ key, value = '', lease = '0', mod_revision }) => ({
    key: Buffer.from(key, 'base64'),
    value: Buffer.from(value, 'base64'),
    leaseId: lease,
    modRevision: mod_revision,
  }));
}

/** Writes a key, with a lease of its own where it has a time to live. */
export async function putKey(endpoint: string, key: Buffer, value: Buffer, ttlSeconds = 0): Promise<void> {
  const granted = ttlSeconds === 0 ? { ID: '0' } : await callEtcd(endpoint, 'lease/grant', { TTL: ttlSeconds });
  const { ID: lease } = granted as { ID: string };
  await callEtcd(endpoint, 'kv/put', { key: key.toString('base64'), value: value.toString('base64'), lease });
}

/** The fields of a request that concerns every key with `prefix`; an empty one is everything. */
export function prefixRange(prefix: Buffer): { readonly key: string; readonly range_end: string } {
  const everyKey = 'AA==';
  // A last byte of 255 has no successor; that of the byte before it ends the range as well.
  const end = Buffer.from(prefix.subarray(0, prefix.findLastIndex((byte) => byte < 0xff) + 1));
  if (end.length === 0) return { key: prefix.length === 0 ? everyKey : prefix.toString('base64'), range_end: everyKey };
  end.writeUInt8(end.readUInt8(end.length - 1) + 1, end.length - 1);
  return { key: prefix.toString('base64'), range_end: end.toString('base64') };
}
