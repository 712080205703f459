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
  once: bool(false, 'Exit after the story'),
  kubeconfig: map('Use a real cluster'),
};

export const HELP = `Runs a mesh of two clusters as processes of this machine, on the loopback interface.

Usage:
  scripts/demo [flags]

It starts an etcd, a Kubernetes API, the apiserver and kvstoremesh for each of the clusters east
and west. Then it shares, scales and deletes services, cuts the link, and kills daemons. After this
story the mesh keeps running for your own experiments. Ctrl-C stops the demo and removes everything.

Flags:
      --once                    Exit after the story; status 0 if all steps succeeded, else 1
      --kubeconfig east=FILE    Use a real cluster as east; west=FILE as west. Otherwise the
                                Kubernetes API is embedded
  -h, --help                    Show this text

The embedded Kubernetes API is good for kubectl get, apply, annotate, label, watch and delete, not
for apply --server-side or --dry-run=server. There is no cluster behind it: no pod runs, and the
demo itself plays the controllers and the agents.

In a real cluster only the namespace ${NAMESPACE} is created, with services and endpoint slices
of unused addresses, and deleted at the end. Other objects are not changed. The cluster needs
Cilium's CRDs. An existing mesh is not changed, but sees these services too.

Environment:
  ETCD_BIN    The etcd to use; otherwise that of the PATH, or that of the project's .cache
  NO_COLOR    No colours
`;

/** Throws FlagError; returns 'help' if it is requested. */
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
