/** The ports of a service, or of a slice of it, as its value in etcd has them: by name. */
import { type Json, jsonInteger, jsonMap, jsonStruct, jsonText } from '../encoding/go-json.ts';
import { isPort, quoted } from './conversion.ts';

/** The defaults of the API server for absent fields. */
const DEFAULT_PROTOCOL = 'TCP';

const PROTOCOLS: ReadonlySet<string> = new Set(['TCP', 'UDP', 'SCTP']);

interface Port {
  readonly name?: string;
  readonly protocol?: string;
  readonly port?: number;
}

/** Ports by name: a map, and the JSON of all of it. */
export interface NamedPorts {
  readonly byName: ReadonlyMap<string, Json>;
  readonly json: Json;
}

/**
 * Of equal names the last one is used. A port without a number means all ports and cannot be exported; an invalid number or
 * protocol is added to `rejected` under the name of `field`, and its port is skipped.
 */
export function namedPorts(field: string, ports: readonly Port[], rejected: string[]): NamedPorts {
  const byName = new Map<string, Json>();
  for (const { name = '', protocol, port } of ports) {
    if (port === undefined) continue;
    const transport = protocol || DEFAULT_PROTOCOL;
    if (!isPort(port)) rejected.push(`${field}: ${port} of ${quoted(name)} is not a port`);
    else if (!PROTOCOLS.has(transport)) rejected.push(`${field}: ${quoted(transport)} of ${quoted(name)} is not a protocol`);
    else byName.set(name, jsonStruct({ Protocol: jsonText(transport), Port: jsonInteger(port) }));
  }
  return { byName, json: jsonMap(byName) };
}

/** All of them; of equal names that of the last one. */
export function unionOfPorts(all: readonly NamedPorts[]): Json {
  const [first] = all;
  if (first !== undefined && all.every((ports) => ports === first)) return first.json;
  return jsonMap(all.flatMap(({ byName }) => [...byName]));
}
