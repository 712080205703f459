/** The clusters that a command changes. */
import { asError } from '../shared/errors.ts';
import { Cluster } from './cluster.ts';
import { ClusterAccessError } from './errors.ts';
import type { ChangeFlags } from './flags.ts';

/** The clusters of a run, that of `--context` first. */
export class Clusters implements AsyncDisposable {
  readonly all: readonly Cluster[];

  constructor(all: readonly Cluster[]) {
    this.all = all;
  }

  /** All or none. `remedy` is added to the error of a cluster that cannot be read. Throws like `Cluster.open`. */
  static async open(flags: ChangeFlags, signal: AbortSignal, remedy = ''): Promise<Clusters> {
    const { kubeconfig, namespace } = flags;
    const contexts = [flags.context, ...new Set(flags.destinationContext)];
    const opened = await Promise.allSettled(contexts.map((context) => Cluster.open({ kubeconfig, context, namespace }, signal)));
    const all = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const failed = opened.find((each) => each.status === 'rejected');
    const clusters = new Clusters(all);
    if (failed === undefined) return clusters;
    await clusters[Symbol.asyncDispose]();
    const error = asError(failed.reason);
    throw remedy !== '' && error instanceof ClusterAccessError
      ? new ClusterAccessError(`${error.message}${remedy}`, { cause: error })
      : error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((cluster) => cluster[Symbol.asyncDispose]()));
  }
}
