/**
 * The whole content of an etcd in the form of the recordings: sorted by key, with times made equal.
 */
import { zstdDecompressSync } from 'node:zlib';
import { readEtcd } from '../../../support/etcd/etcd-gateway.ts';
import { type Binary, binary, textOrBinary } from '../../recorded-bytes.ts';
import { decodeEndpointSlice } from './endpoint-slice-message.ts';

export interface DumpEntry {
  readonly key: string;
  readonly value: string | Binary;
  /** For endpoint slices: the message inside the compressed value, readable and as bytes. */
  readonly decoded?: unknown;
  readonly protobuf?: Binary;
  readonly leased: boolean;
}

const TIME = '<time>';
const RFC3339 = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)`;
const ONLY_TIME = new RegExp(`^${RFC3339}$`);
const EXPORT_TIME = new RegExp(`("exportCreationTimestamp":\\s*)"${RFC3339}"`);
const HEARTBEAT = 'cilium/.heartbeat';

/** Reads everything from the etcd at `endpoint`, an http URL. The heartbeat is left out unless asked for. */
export async function dumpEtcd(endpoint: string, options: { readonly hasHeartbeat: boolean }): Promise<readonly DumpEntry[]> {
  return (await readEtcd(endpoint))
    .map(({ key, value, leaseId }) => entryOf(key, value, leaseId !== '0'))
    .filter(({ key }) => options.hasHeartbeat || key !== HEARTBEAT)
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** A key and its value as the recordings have them. */
export function entryOf(keyBytes: Buffer, value: Buffer, leased: boolean): DumpEntry {
  const key = keyBytes.toString('utf8');
  if (key.startsWith('cilium/synced/') || key.startsWith(HEARTBEAT)) {
    return { key, value: value.toString('utf8').replace(ONLY_TIME, TIME), leased };
  }
  if (key.includes('/endpointslices/')) return sliceEntry(key, value, leased);
  const text = textOrBinary(value);
  const isExport = key.includes('/serviceexports/') && typeof text === 'string';
  return { key, value: isExport ? text.replace(EXPORT_TIME, `$1"${TIME}"`) : text, leased };
}

function sliceEntry(key: string, value: Buffer, leased: boolean): DumpEntry {
  try {
    const message = zstdDecompressSync(value);
    return { key, value: binary(value), decoded: decodeEndpointSlice(message), protobuf: binary(message), leased };
  } catch {
    return { key, value: textOrBinary(value), leased };
  }
}
