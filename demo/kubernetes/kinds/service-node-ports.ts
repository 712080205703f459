/**
 * Node ports: given to the ports of services that are reached from outside, taken from the others.
 */
import { isObject, type JsonObject, listOr, withFields } from '../objects/json.ts';
import type { Surroundings } from './resource-kind.ts';

const FIRST_NODE_PORT = 30_000;

/** `spec` with the node ports its type has; earlier ones are kept. */
export function completeNodePorts(spec: JsonObject, before: JsonObject, surroundings: Surroundings): JsonObject {
  const ports = listOr(spec.ports).filter(isObject);
  if (ports.length === 0) return spec;
  const earlier = new Map(
    listOr(before.ports)
      .filter(isObject)
      .map((port) => [portKey(port), port.nodePort]),
  );
  if (hasNodePorts(spec)) {
    const used = new Set([...surroundings.usedNodePorts(), ...ports.map((port) => Number(port.nodePort ?? 0))]);
    return withFields(spec, {
      ports: ports.map((port) => {
        const nodePort = port.nodePort ?? earlier.get(portKey(port)) ?? freePort(used);
        return withFields(port, { nodePort });
      }),
    });
  }
  const dropped = ports.map((port) =>
    port.nodePort === 0 || (hasNodePorts(before) && port.nodePort === earlier.get(portKey(port)))
      ? withFields(port, { nodePort: undefined })
      : port,
  );
  return withFields(spec, { ports: dropped });
}

/** True where the type of `spec` gives its ports node ports. */
function hasNodePorts(spec: JsonObject): boolean {
  if (spec.type === 'LoadBalancer') return spec.allocateLoadBalancerNodePorts !== false;
  return spec.type === 'NodePort';
}

function portKey(port: JsonObject): string {
  return `${port.protocol}/${port.port}`;
}

function freePort(used: Set<number>): number {
  let port = FIRST_NODE_PORT;
  while (used.has(port)) port += 1;
  used.add(port);
  return port;
}
