/**
 * EndpointSlice → one key below `cilium/state/endpointslices/v1/<cluster>/`.
 *
 * The value is one zstd frame with a protobuf message (proto2: fields that are set are written, even if zero). The
 * slice is exported unchanged, including endpoints that are not ready, all labels and annotations.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { EndpointSlice, GoMap, SliceEndpoint, SlicePort } from '../../shared/kubernetes/objects/types.ts';
import { MAX_COMPARED_SLICE_BYTES } from '../../shared/limits.ts';
import { ProtobufWriter } from '../../shared/protobuf.ts';
import { compareBytes } from '../encoding/go-json.ts';
import { type Cluster, endpointSliceKey } from '../encoding/keyspace.ts';
import { type Conversion, isInt32, quoted } from './conversion.ts';

/** Upstream also exports slices of names (FQDN), but its readers reject all other types than these two. */
const READABLE_TYPES: ReadonlySet<string> = new Set(['IPv4', 'IPv6']);

/** What a slice of a shared service exports: one entry, or none where no reader could use it. */
export function convertEndpointSlice(cluster: Cluster, slice: EndpointSlice): Conversion {
  if (!READABLE_TYPES.has(slice.addressType)) return { entries: [], rejected: [] };
  const { name, namespace = '' } = slice.metadata;
  const rejected: string[] = [];
  const value = compress(sliceMessage(cluster, slice, rejected).finish());
  return { entries: [{ key: endpointSliceKey(cluster, namespace, name), value }], rejected };
}

/** Memory of 16 MiB, which is what readers allow a value. */
const MAX_WINDOW_LOG = 24;

/**
 * `value`, an endpoint slice that another encoder or release of zstd has compressed, compressed by this program:
 * values of the original can then be compared. `value` itself if it is not such a frame, has trailing
 * data, or is large: it is then compared byte by byte, and written again at worst.
 */
export function repackedEndpointSlice(value: Uint8Array): Uint8Array {
  try {
    const message = unpacked(value);
    return message === undefined ? value : compress(message);
  } catch {
    return value;
  }
}

/** Undefined where bytes follow the frame. Throws where there is none, or a longer message than is compared. */
function unpacked(value: Uint8Array): Buffer | undefined {
  const options = {
    maxOutputLength: MAX_COMPARED_SLICE_BYTES,
    params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG },
    info: true,
  };
  // With `info` it returns how much of the input it read; the types do not declare this.
  const { buffer, engine } = zstdDecompressSync(value, options) as unknown as Unpacked;
  return engine.bytesWritten === value.length ? buffer : undefined;
}

interface Unpacked {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

/** The checksum allows readers to detect a damaged value; the size allows them to allocate once. */
function compress(message: Buffer): Buffer {
  return zstdCompressSync(message, {
    params: { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_contentSizeFlag]: 1 },
    pledgedSrcSize: message.length,
  });
}

function sliceMessage(cluster: Cluster, slice: EndpointSlice, rejected: string[]): ProtobufWriter {
  const { name, namespace = '', labels, annotations } = slice.metadata;
  const message = new ProtobufWriter().text(1, cluster.name).integer(2, cluster.id).text(3, namespace).text(4, name);
  writeMap(message, 5, labels);
  writeMap(message, 6, annotations);
  message.text(7, slice.addressType);
  for (const endpoint of slice.endpoints ?? []) message.message(8, endpointMessage(endpoint));
  for (const port of slice.ports ?? []) {
    if (port.port === undefined || isInt32(port.port)) message.message(9, portMessage(port));
    else rejected.push(`ports: ${port.port} of ${quoted(port.name ?? '')} is not an integer of 32 bits`);
  }
  return message;
}

function endpointMessage(endpoint: SliceEndpoint): ProtobufWriter {
  const message = new ProtobufWriter();
  for (const address of endpoint.addresses ?? []) message.text(1, address);
  message.message(2, conditionsMessage(endpoint.conditions));
  writeText(message, 3, endpoint.hostname);
  writeMap(message, 5, endpoint.deprecatedTopology);
  writeText(message, 6, endpoint.nodeName);
  writeText(message, 7, endpoint.zone);
  if (endpoint.hints) message.message(8, hintsMessage(endpoint.hints));
  return message;
}

/** Present also where it is empty. */
function conditionsMessage(conditions: SliceEndpoint['conditions'] = {}): ProtobufWriter {
  const message = new ProtobufWriter();
  writeBoolean(message, 1, conditions.ready);
  writeBoolean(message, 2, conditions.serving);
  writeBoolean(message, 3, conditions.terminating);
  return message;
}

function hintsMessage(hints: NonNullable<SliceEndpoint['hints']>): ProtobufWriter {
  const message = new ProtobufWriter();
  for (const zone of hints.forZones ?? []) message.message(1, new ProtobufWriter().text(1, zone.name));
  return message;
}

function portMessage(port: SlicePort): ProtobufWriter {
  const message = new ProtobufWriter();
  writeText(message, 1, port.name);
  writeText(message, 2, port.protocol);
  if (port.port !== undefined) message.integer(3, port.port);
  writeText(message, 4, port.appProtocol);
  return message;
}

function writeText(message: ProtobufWriter, field: number, text: string | undefined): void {
  if (text !== undefined) message.text(field, text);
}

function writeBoolean(message: ProtobufWriter, field: number, value: boolean | undefined): void {
  if (value !== undefined) message.boolean(field, value);
}

/** Entries sorted by key, so that equal maps are equal bytes. */
function writeMap(message: ProtobufWriter, field: number, map: GoMap | undefined): void {
  for (const [key, value] of Object.entries(map ?? {}).sort(([a], [b]) => compareBytes(a, b))) {
    message.message(field, new ProtobufWriter().text(1, key).text(2, value));
  }
}
