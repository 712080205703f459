/**
 * Which security identities belong to which cluster. Agents take the cluster ID from the upper 8 or 9 of their 24 bits.
 */
import { clusterIdProblem } from '../../shared/cluster-info.ts';

const IDENTITY_BITS = 24;

/** Lower identities are the same in every cluster. */
const FIRST_OF_A_CLUSTER = 256;

export class IdentityRange {
  readonly #shift: number;
  readonly #maxConnectedClusters: number;

  /** `maxConnectedClusters`: 255 or 511. */
  constructor(maxConnectedClusters: number) {
    this.#maxConnectedClusters = maxConnectedClusters;
    this.#shift = IDENTITY_BITS - (maxConnectedClusters > 255 ? 9 : 8);
  }

  /** `identity` is one of the cluster with `id`. True where the cluster has no possible ID, and with it no identities. */
  isOf(id: number, identity: number): boolean {
    if (clusterIdProblem(id, this.#maxConnectedClusters) !== undefined) return true;
    return this.ownerOf(identity) === id;
  }

  /** The ID of the cluster that `identity` belongs to; undefined where it is beyond all clusters. */
  ownerOf(identity: number): number | undefined {
    return identity < 2 ** IDENTITY_BITS ? identity >>> this.#shift : undefined;
  }

  isReserved(identity: number): boolean {
    return identity < FIRST_OF_A_CLUSTER;
  }
}
