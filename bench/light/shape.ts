/** How many keys of each kind a simulated cluster has. */

export interface Shape {
  readonly nodes: number;
  readonly identities: number;
  readonly services: number;
  /** Of each service. */
  readonly backends: number;
  readonly endpoints: number;
}

/** Keys of a cluster of `shape`: its cluster config, canaries and heartbeat are not counted. */
export function keysOf({ nodes, identities, services, endpoints }: Shape): number {
  return nodes + identities + services + endpoints;
}

/** `keys` keys in the proportions of a large cluster: 80 % endpoints, 10 % identities, 8 % services with 5 backends, 2 % nodes. */
export function shapeOf(keys: number): Shape {
  const [nodes, identities, services] = [Math.max(1, Math.round(keys * 0.02)), Math.round(keys * 0.1), Math.round(keys * 0.08)];
  return { nodes, identities, services, backends: 5, endpoints: Math.max(0, keys - nodes - identities - services) };
}

/** The same with each number of keys multiplied by `scale`; a kind that exists keeps one key at least. */
export function scaled(shape: Shape, scale: number): Shape {
  const of = (count: number) => (count === 0 ? 0 : Math.max(1, Math.round(count * scale)));
  const { nodes, identities, services, backends, endpoints } = shape;
  return { nodes: of(nodes), identities: of(identities), services: of(services), backends, endpoints: of(endpoints) };
}
