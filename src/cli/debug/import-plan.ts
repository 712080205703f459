/** `kvstoremesh-dbg import-plan`: what an import policy would change, before it is in force. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClusterPlan } from '../../kvstoremesh/import-policy/plan.ts';
import { clusterNameProblem } from '../../shared/cluster-info.ts';
import { asError } from '../../shared/errors.ts';
import { FlagError } from '../../shared/flags/error.ts';
import { quoted } from '../../shared/flags/kinds.ts';
import { MAX_REMOTE_CLUSTERS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/time/clock.ts';
import { answerForm } from '../command/answer-form.ts';
import type { Command } from '../command/command.ts';
import { flagCommand } from '../command/flag-command.ts';
import { print } from '../command/output.ts';
import { importPlanFlagTable, ownClusterName } from './flags.ts';
import { withEtcd } from './with-etcd.ts';

/** A cluster could not be read. */
const EXIT_INCOMPLETE = 1;

export function importPlan(group: string): Command {
  return flagCommand({
    name: `${group} import-plan`,
    summary: 'Show what an import policy would add to the mirrors of remote clusters and remove from them; writes nothing',
    flags: importPlanFlagTable,
    operands: 'FILE [clusters...]',
    examples: [`${group} import-plan policy.yaml`, `${group} import-plan policy.yaml west -o json`],
    async run({ values, operands: [file, ...clusters] }) {
      if (file === undefined) throw new FlagError('expected the arguments FILE [clusters...], got none');
      // Loaded here, so that no other command pays for it.
      const [{ planCluster, planText }, { readImportPolicy }] = await Promise.all([
        import('../../kvstoremesh/import-policy/plan.ts'),
        import('../../kvstoremesh/import-policy/rules/policy-file.ts'),
      ]);
      const format = await answerForm(values.output, (answer: { readonly clusters: readonly ClusterPlan[] }) =>
        planText(answer.clusters),
      );
      const { etcdConfig, clustermeshConfig: directory, timeoutMs } = values;
      const policy = await readImportPolicy(file);
      const plans: ClusterPlan[] = [];
      let isComplete = true;
      for (const cluster of clusters.length > 0 ? clusters.map(named) : await configured(directory)) {
        try {
          const plan = await withEtcd(etcdConfig, timeoutMs, ({ client: local }) =>
            withEtcd(join(directory, cluster), timeoutMs, ({ client: remote, signal }) =>
              planCluster({ remote, local, cluster, clock: systemClock, signal }, policy),
            ),
          );
          plans.push(plan);
        } catch (thrown) {
          isComplete = false;
          process.stderr.write(`${cluster}: ${asError(thrown).message}\n`);
        }
      }
      print(format({ clusters: plans }));
      return isComplete ? 0 : EXIT_INCOMPLETE;
    },
  });
}

function named(cluster: string): string {
  const problem = clusterNameProblem(cluster);
  if (problem !== undefined) throw new FlagError(`${quoted(cluster)}: ${problem}`);
  return cluster;
}

/** The clusters with a file in `directory`, except the own one. */
async function configured(directory: string): Promise<readonly string[]> {
  const files = await readdir(directory).catch((thrown: unknown) => {
    throw new FlagError(`flag --clustermesh-config: ${asError(thrown).message}`);
  });
  const own = ownClusterName();
  return files
    .filter((name) => clusterNameProblem(name) === undefined && name !== own)
    .sort()
    .slice(0, MAX_REMOTE_CLUSTERS);
}
