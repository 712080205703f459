/** What is wrong with the files of a directory as a whole, and with several etcds together. */
import { clusterNameProblem } from '../cluster-info.ts';
import { type Problem, problem } from '../diagnosis/pod-checks.ts';
import { MAX_STATUS_TEXT_LENGTH } from '../limits.ts';
import { printable } from '../printable.ts';
import type { EtcdFindings } from './findings.ts';

/** Of the name of a cluster's file, undefined where nothing is. */
export function nameProblem(cluster: string): Problem | undefined {
  const found = clusterNameProblem(cluster);
  if (found === undefined) return undefined;
  return problem('config-name', `the file is ignored: ${found}`, 'rename it to the name of its cluster');
}

/** A file that has the name of a cluster, but not the word that makes it the file of one. */
export function unmarkedProblem(mark: string): Problem {
  const evidence = `the file is ignored: it does not contain "${mark}"`;
  return problem('config-name', evidence, 'add the endpoints of the cluster, or remove the file', 'warning');
}

export interface SharedProblem {
  readonly problem: Problem;
  /** Two or more; undefined is the local etcd. */
  readonly clusters: readonly (string | undefined)[];
}

/** What shows only where several etcds are compared. */
export function sharedProblems(all: readonly EtcdFindings[]): readonly SharedProblem[] {
  const found = all.flatMap(({ cluster, client }) => {
    if (client?.kind !== 'connected') return [];
    return [{ cluster, store: client.store, id: client.cluster?.id }];
  });
  const stores = shared(found, ({ store }) => store);
  const ids = shared(found, ({ id }) => id || undefined);
  return [
    ...stores.map((clusters) => ({
      clusters,
      problem: problem(
        clusters.includes(undefined) ? 'own-cluster' : 'same-etcd',
        `${namesOf(clusters)} reach the same etcd`,
        'correct the addresses, two clusters may use the same NodePort',
      ),
    })),
    ...ids.map((clusters) => ({
      clusters,
      problem: problem('cluster-id', `${namesOf(clusters)} have the same cluster ID`, 'change the ID of one of them'),
    })),
  ];
}

function namesOf(clusters: readonly (string | undefined)[]): string {
  return clusters.map((name) => (name === undefined ? 'local etcd' : printable(name, MAX_STATUS_TEXT_LENGTH))).join(' and ');
}

function shared<T extends Pick<EtcdFindings, 'cluster'>>(found: readonly T[], by: (each: T) => unknown) {
  const groups = Map.groupBy(
    found.filter((each) => by(each) !== undefined),
    by,
  );
  return [...groups.values()].filter((group) => group.length > 1).map((group) => group.map(({ cluster }) => cluster));
}
