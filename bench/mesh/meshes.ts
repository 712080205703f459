/** Meshes of remote clusters in sizes that users and proposals name. */

import type { Shape } from '../light/shape.ts';
import type { Rates } from '../light/sources.ts';

export interface MeshShape {
  readonly name: string;
  readonly clusters: number;
  /** Of each cluster. */
  readonly shape: Shape;
  /** Changes per second of each cluster. */
  readonly rates: Rates;
}

/** As in the proposals for large meshes. */
const PROPOSED = { identities: 0.2, endpoints: 1, services: 0 };

export const MESHES: readonly MeshShape[] = [
  {
    name: 'pods',
    clusters: 200,
    shape: { nodes: 300, identities: 500, services: 100, backends: 5, endpoints: 15_000 },
    rates: PROPOSED,
  },
  {
    name: 'clusters',
    clusters: 511,
    shape: { nodes: 40, identities: 200, services: 160, backends: 5, endpoints: 1_600 },
    rates: PROPOSED,
  },
  {
    // A Service of 5,000 backends, of which a cluster rewrites all that it knows at each change.
    name: 'backends',
    clusters: 11,
    shape: { nodes: 1_000, identities: 500, services: 1, backends: 5_000, endpoints: 5_000 },
    rates: { ...PROPOSED, services: 1 },
  },
];
