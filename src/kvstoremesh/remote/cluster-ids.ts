/**
 * The cluster IDs in use.
 *
 * The ID is part of every identity and of every node: agents treat two clusters with the same ID as one,
 * and apply policy to the wrong identities. The first cluster with an ID keeps it; a second
 * one is rejected until the first is removed or has another ID.
 */
import { type ClusterInfo, clusterIdProblem } from '../../shared/cluster-info.ts';

export class ClusterIds {
  readonly #own: ClusterInfo;
  readonly #allowConflicts: boolean;
  readonly #holders = new Map<number, string>();

  /** `allowConflicts`: every ID is taken as it is, and agents are left to refuse it. */
  constructor(own: ClusterInfo, allowConflicts: boolean) {
    this.#own = own;
    this.#allowConflicts = allowConflicts;
  }

  /** Registers `id` for `cluster`, instead of its previous one. Otherwise returns the reason and the remedy, and keeps the previous ID. */
  reserve(cluster: string, id: number): string | undefined {
    if (this.#allowConflicts) return undefined;
    const problem = this.#problem(cluster, id);
    if (problem !== undefined) return problem;
    this.release(cluster);
    this.#holders.set(id, cluster);
    return undefined;
  }

  /** `cluster` is gone. */
  release(cluster: string): void {
    for (const [id, holder] of this.#holders) if (holder === cluster) this.#holders.delete(id);
  }

  #problem(cluster: string, id: number): string | undefined {
    const { name, id: ownId, maxConnectedClusters } = this.#own;
    const problem = clusterIdProblem(id, maxConnectedClusters);
    if (problem !== undefined) return `${problem}; set --cluster-id of cluster ${cluster}`;
    if (id === ownId) {
      return `cluster ID ${id} is in use by the local cluster ${name}; change the --cluster-id of one of the two clusters`;
    }
    const holder = this.#holders.get(id);
    if (holder !== undefined && holder !== cluster) {
      return `cluster ID ${id} is in use by cluster ${holder}; change the --cluster-id of one of the two clusters`;
    }
    return undefined;
  }
}
