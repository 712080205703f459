/**
 * Who holds which cluster ID.
 *
 * The ID is part of every identity and of every node: two clusters with the same one are one cluster to
 * the agents, and policy is decided on the wrong identities. The first holder of an ID keeps it; a second
 * one is refused until the first is gone or has another ID.
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

  /** Takes `id` for `cluster` in place of the one it had. Otherwise the reason and the remedy; it then keeps what it had. */
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
