/** The value of an endpoint slice: one zstd frame with a protobuf message, whose fields src/apiserver/converters/endpoint-slice.ts has. */
import { constants, zstdDecompressSync } from 'node:zlib';
import { WireReader } from '../../shared/etcd/wire/reader.ts';

/** Of a value without compression; a slice has 1000 endpoints at most. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** Memory of 16 MiB, which is what readers allow a value. */
const MAX_WINDOW_LOG = 24;
/** A message of empty fields would take long. */
const MAX_FIELDS = 200_000;
/** Of one text: an annotation has 256 KiB at most. */
const MAX_TEXT_BYTES = 256 * 1024;

type Field = readonly [name: string, kind: 'text' | 'integer' | 'boolean' | 'map' | Message, isRepeated?: boolean];
interface Message extends ReadonlyMap<number, Field> {}

const CONDITIONS: Message = new Map<number, Field>([
  [1, ['ready', 'boolean']],
  [2, ['serving', 'boolean']],
  [3, ['terminating', 'boolean']],
]);
const ZONE: Message = new Map<number, Field>([[1, ['name', 'text']]]);
const HINTS: Message = new Map<number, Field>([[1, ['forZones', ZONE, true]]]);
const ENDPOINT: Message = new Map<number, Field>([
  [1, ['addresses', 'text', true]],
  [2, ['conditions', CONDITIONS]],
  [3, ['hostname', 'text']],
  [5, ['deprecatedTopology', 'map']],
  [6, ['nodeName', 'text']],
  [7, ['zone', 'text']],
  [8, ['hints', HINTS]],
]);
const PORT: Message = new Map<number, Field>([
  [1, ['name', 'text']],
  [2, ['protocol', 'text']],
  [3, ['port', 'integer']],
  [4, ['appProtocol', 'text']],
]);
const SLICE: Message = new Map<number, Field>([
  [1, ['cluster', 'text']],
  [2, ['clusterID', 'integer']],
  [3, ['namespace', 'text']],
  [4, ['name', 'text']],
  [5, ['labels', 'map']],
  [6, ['annotations', 'map']],
  [7, ['addressType', 'text']],
  [8, ['endpoints', ENDPOINT, true]],
  [9, ['ports', PORT, true]],
]);

/** Throws where the value is none. Fields that are not known are left out. */
export function decodedEndpointSlice(value: Uint8Array): object {
  const params = { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG };
  const message = zstdDecompressSync(value, { maxOutputLength: MAX_MESSAGE_BYTES, params });
  return decoded(SLICE, new WireReader(message, 0, message.length, MAX_FIELDS));
}

function decoded(message: Message, reader: WireReader): object {
  const object: Record<string, unknown> = {};
  while (!reader.done) {
    const tag = reader.tag();
    const field = message.get(tag >>> 3);
    const [name, kind, isRepeated = false] = field ?? ['', 'text'];
    const isText = kind !== 'integer' && kind !== 'boolean';
    if (field === undefined || (tag & 7) !== (isText ? 2 : 0)) {
      reader.skip(tag);
      continue;
    }
    if (kind === 'map') {
      const map = (object[name] ?? {}) as Record<string, string>;
      const [key, value] = entry(content(reader));
      map[key] = value;
      object[name] = map;
    } else if (isRepeated) {
      const list = (object[name] ?? []) as unknown[];
      list.push(fieldValue(kind, reader));
      object[name] = list;
    } else object[name] = fieldValue(kind, reader);
  }
  return object;
}

function fieldValue(kind: Exclude<Field[1], 'map'>, reader: WireReader): unknown {
  if (kind === 'boolean') return reader.bool();
  if (kind === 'text') return reader.text(MAX_TEXT_BYTES);
  if (kind === 'integer') return Number(BigInt.asIntN(64, reader.uint64()));
  const part = content(reader);
  const value = decoded(kind, part);
  reader.fieldsLeft = part.fieldsLeft;
  return value;
}

/** A reader of the message that follows; `reader` is behind it. */
function content(reader: WireReader): WireReader {
  const end = reader.limit();
  const part = new WireReader(reader.buffer, reader.position, end, reader.fieldsLeft);
  reader.position = end;
  return part;
}

/** One entry of a map: field 1 has the key, field 2 the value. */
function entry(reader: WireReader): readonly [string, string] {
  const texts = new Map<number, string>();
  while (!reader.done) {
    const tag = reader.tag();
    if ((tag & 7) === 2) texts.set(tag >>> 3, reader.text(MAX_TEXT_BYTES));
    else reader.skip(tag);
  }
  return [texts.get(1) ?? '', texts.get(2) ?? ''];
}
