/**
 * The protobuf message of an exported endpoint slice, read by field numbers alone, so that a recording can
 * be compared field by field. Written apart from the program's own encoder on purpose.
 */
interface Schema {
  readonly [field: number]: readonly [name: string, kind: Kind];
}
type Kind = 'text' | 'texts' | 'bool' | 'number' | 'map' | { readonly message: Schema } | { readonly messages: Schema };

const NAME: Schema = { 1: ['name', 'text'] };
const CONDITIONS: Schema = { 1: ['ready', 'bool'], 2: ['serving', 'bool'], 3: ['terminating', 'bool'] };
const HINTS: Schema = { 1: ['forZones', { messages: NAME }], 2: ['forNodes', { messages: NAME }] };
const PORT: Schema = { 1: ['name', 'text'], 2: ['protocol', 'text'], 3: ['port', 'number'], 4: ['appProtocol', 'text'] };
const ENDPOINT: Schema = {
  1: ['addresses', 'texts'],
  2: ['conditions', { message: CONDITIONS }],
  3: ['hostname', 'text'],
  5: ['deprecatedTopology', 'map'],
  6: ['nodeName', 'text'],
  7: ['zone', 'text'],
  8: ['hints', { message: HINTS }],
};
const SLICE: Schema = {
  1: ['cluster', 'text'],
  2: ['clusterID', 'number'],
  3: ['namespace', 'text'],
  4: ['name', 'text'],
  5: ['labels', 'map'],
  6: ['annotations', 'map'],
  7: ['addressType', 'text'],
  8: ['endpoints', { messages: ENDPOINT }],
  9: ['ports', { messages: PORT }],
};

type Fields = Record<string, unknown>;

/** The fields of an encoded endpoint slice. Throws where the bytes are no such message. */
export function decodeEndpointSlice(bytes: Buffer): Fields {
  return decode(bytes, SLICE);
}

function decode(bytes: Buffer, schema: Schema): Fields {
  const fields: Fields = {};
  for (const [number, value] of fieldsOf(bytes)) {
    const [name, kind] = schema[number] ?? [`unknown field ${number}`, undefined];
    if (kind === undefined) fields[name] = typeof value === 'bigint' ? Number(value) : value.toString('base64');
    else put(fields, name, kind, value);
  }
  return fields;
}

function put(fields: Fields, name: string, kind: Kind, value: bigint | Buffer): void {
  const append = (item: unknown) => {
    fields[name] = [...((fields[name] as unknown[] | undefined) ?? []), item];
  };
  if (typeof value === 'bigint') {
    fields[name] = kind === 'bool' ? value !== 0n : Number(BigInt.asIntN(64, value));
  } else if (kind === 'texts') append(value.toString('utf8'));
  else if (kind === 'map') {
    const { key = '', value: mapped = '' } = decode(value, { 1: ['key', 'text'], 2: ['value', 'text'] }) as Record<
      string,
      string
    >;
    fields[name] = { ...(fields[name] as Fields | undefined), [key]: mapped };
  } else if (typeof kind === 'object' && 'messages' in kind) append(decode(value, kind.messages));
  else fields[name] = typeof kind === 'object' ? decode(value, kind.message) : value.toString('utf8');
}

function* fieldsOf(bytes: Buffer): Generator<readonly [number: number, value: bigint | Buffer]> {
  let offset = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(offset);
      offset += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (offset < bytes.length) {
    const tag = Number(varint());
    const wireType = tag & 7;
    if (wireType === 0) yield [tag >> 3, varint()];
    else if (wireType === 2) {
      const end = Number(varint()) + offset;
      if (end > bytes.length) throw new Error('a field is longer than its message');
      yield [tag >> 3, bytes.subarray(offset, end)];
      offset = end;
    } else throw new Error(`wire type ${wireType} does not occur in an endpoint slice`);
  }
}
