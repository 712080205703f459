/** The command line of the demo. */
import { resolve } from 'node:path';
import { FlagError } from '../../src/shared/flags/error.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';
import { bool, map } from '../../src/shared/flags/table.ts';
import { NAMESPACE } from '../mesh/workload/manifests.ts';

export interface DemoOptions {
  /** Ends after the story. */
  readonly once: boolean;
  /** Kubeconfig files of real clusters, by cluster. */
  readonly kubeconfigs: ReadonlyMap<string, string>;
}

const CLUSTERS = ['east', 'west'];

const flagTable = {
  once: bool(false, 'End after the story'),
  kubeconfig: map('Use a real cluster'),
};

export const HELP = `Shows a mesh of two clusters live, with nothing but processes of this machine on the loopback
interface.

Usage:
  scripts/demo [flags]

For each of the clusters east and west it starts an etcd, a Kubernetes API, the apiserver and
kvstoremesh, and tells a story: services that are shared, scaled and deleted, a link that is cut,
daemons that are killed. After the story the mesh stays up for you to play with. Ctrl-C ends it and
removes everything.

Flags:
      --once                    End after the story; status 0 where all was as expected, else 1
      --kubeconfig east=FILE    Use a real cluster as east; west=FILE as west. Otherwise the
                                Kubernetes API is embedded
  -h, --help                    Show this text

The embedded Kubernetes API is good for kubectl get, apply, annotate, label, watch and delete, not
for apply --server-side or --dry-run=server. There is no cluster behind it: no pod runs, and the
demo itself plays the controllers and the agents.

In a real cluster only the namespace ${NAMESPACE} is created, with services and endpoint slices
that lead nowhere, and deleted at the end. Nothing is created outside of it, and nothing that exists
is changed. The cluster needs Cilium's CRDs. Its own mesh, where it has one, is left alone, but will
see those services too.

Environment:
  ETCD_BIN    The etcd to use; otherwise that of the PATH, or that of the project's .cache
  NO_COLOR    No colours
`;

/** Throws FlagError; 'help' where that is asked for. */
export function parseOptions(argv: readonly string[]): DemoOptions | 'help' {
  const flags = parseFlags(flagTable, argv, {});
  if (flags === 'help') return 'help';
  const { once, kubeconfig } = flags.values;
  for (const [cluster, file] of kubeconfig) {
    if (!CLUSTERS.includes(cluster)) {
      throw new FlagError(`flag --kubeconfig: unknown cluster ${JSON.stringify(cluster)}; allowed: east=FILE, west=FILE`);
    }
    if (file === '') throw new FlagError(`flag --kubeconfig: ${cluster} has no file; allowed: ${cluster}=FILE`);
  }
  return { once, kubeconfigs: new Map([...kubeconfig].map(([cluster, file]) => [cluster, resolve(file)])) };
}
